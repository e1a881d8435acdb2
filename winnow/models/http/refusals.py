"""Translates a provider's refusal, HTTP status and error body, into an error of ``winnow.core.errors``.

Error bodies that are read::

    {"error": {"message", "type", "param", "code"}}         OpenAI, vLLM (``code`` is the status), DashScope compatible
    {"error": "Unauthorized"}                                vLLM without its key
    {"error": "...", "error_type": "..."}                    Text Embeddings Inference
    {"code", "message", "request_id"}                        DashScope native
    {"message", "id"}                                        Cohere
    {"code", "message", "data"}                              SiliconFlow (``code`` is a number)
    "Invalid token"                                          SiliconFlow without its key
    {"detail": "..."} or {"detail": [{"loc", "msg"}]}        gateways made with FastAPI

Everything else is refused by its status alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import orjson

from winnow.core.errors import Upstream, UpstreamRejected, UpstreamTooLong, UpstreamUnavailable
from winnow.core.retry import parse_retry_after

_MESSAGE_LENGTH: Final = 400  # characters of a provider's message that are passed on
_PASSING: Final = frozenset({408, 424, 425, 429})  # 424: TEI's "inference failed"
_LENGTH_STATUSES: Final = frozenset({400, 413, 422, 500})  # 500: llama.cpp
_QUOTA: Final = frozenset({"insufficient_quota", "throttling.allocationquota", "throttling.allocationquotaexceeded"})
_UNPAID: Final = frozenset(
    {
        "arrearage",
        "billing_hard_limit_reached",
        "allocationquota.freetieronly",
        "insufficient_user_quota",  # new-api, the gateway of DMXAPI and others
        "commoditynotpurchased",  # this and the next two come with 429, and do not pass
        "prepaidbilloverdue",
        "postpaidbilloverdue",
    }
)
_ABSENT: Final = frozenset({"modelnotfound", "model_not_found", "model_not_supported", "invalidurl"})  # with any status
_CENSORED: Final = frozenset({"datainspectionfailed", "data_inspection_failed"})
_BOUND: Final = (
    r"(?:too (?:long|many|large|big)|maximum|max\b|exceed|(?:larg|long|more|less)\w* than|at most|range of|limit)"
)
_AMOUNT: Final = r"\b(?:tokens?|length|context|batch[ _]size|inputs?\b|texts\b|documents\b)"
_TOO_LONG: Final = re.compile(rf"{_BOUND}[^.]{{0,80}}?{_AMOUNT}|{_AMOUNT}[^.]{{0,80}}?{_BOUND}", re.IGNORECASE)
_RATE: Final = re.compile(r"\brate\b|per (?:second|minute|hour|day)|\b[TR]PM\b", re.IGNORECASE)  # passes with time
_TOO_LONG_CODES: Final = frozenset({"context_length_exceeded", "max_tokens_per_request", "string_above_max_length"})
_TOO_LONG_PARAMETERS: Final = frozenset({"input_tokens", "input_text"})  # vLLM's


@dataclass(frozen=True, slots=True)
class Callee:
    """The target of a call, as error messages name it.

    Attributes:
        provider: name of the provider.
        url: where the call goes.
        variable: prefix of the settings that name it, ``WINNOW_EMBEDDING`` or ``WINNOW_RERANK``.
        secret: the key, which must not appear in a message.
    """

    provider: str
    url: str
    variable: str
    secret: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.provider} at {self.url}"

    def setting(self, name: str) -> str:
        """The environment variable of the setting ``name``."""
        return f"{self.variable}__{name}"

    def clean(self, message: str) -> str:
        """A provider's message on one line, cut, without the secret."""
        if self.secret:
            message = message.replace(self.secret, "***")
        line = " ".join(message.split())
        return f"{line[:_MESSAGE_LENGTH]} …" if len(line) > _MESSAGE_LENGTH else line


class Complaint(NamedTuple):
    """An error body's code, message and parameter; empty where it has none."""

    code: str = ""
    message: str = ""
    parameter: str = ""


class QuotaSpent(UpstreamUnavailable):
    """The account's quota is used up: worth one more try, no more. Does not leave ``winnow.models.http``."""


class Unpaid(UpstreamRejected):
    """The account is not paid up or out of credit."""


def refusal(callee: Callee, status: int, headers: Mapping[str, str], body: bytes) -> Upstream:
    """The error for an answer with ``status`` (not 2xx)."""
    try:
        complaint = complaint_of(orjson.loads(body))
    except orjson.JSONDecodeError:
        complaint = Complaint()
    said = callee.clean(complaint.message) or _reason(status)
    if complaint.parameter not in said:
        said = f"{complaint.parameter}: {said}"
    code = complaint.code.casefold()
    retry_after = parse_retry_after(headers.get("Retry-After"))
    if code in _UNPAID or status == HTTPStatus.PAYMENT_REQUIRED:
        return Unpaid(f"{callee}: the account is not paid up or out of credit ({said})")
    if code in _CENSORED:
        return UpstreamRejected(f"{callee}: the provider's content filter refused the text ({said})")
    if code in _QUOTA:
        return QuotaSpent(f"{callee}: the account's quota is used up ({said})", retry_after=retry_after)
    if status in _LENGTH_STATUSES and (status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or _is_too_long(complaint)):
        return UpstreamTooLong(f"{callee}: the input is over a limit ({said})")
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UpstreamUnavailable(f"{callee} answered {status} ({said})", retry_after=retry_after)
    remedy = _remedy(callee, HTTPStatus.NOT_FOUND if code in _ABSENT else status, headers)
    return UpstreamRejected(f"{callee} answered {status} ({said}){remedy}")


def complaint_of(answer: Any) -> Complaint:
    """Code and message of a parsed answer; some servers give their errors with status 200."""
    match answer:
        case str():
            return Complaint(message=answer)
        case {"error": dict(error)}:
            return Complaint(_code(error), _text(error.get("message")), _text(error.get("param")))
        case {"error": error} if error:
            return Complaint(_text(answer.get("error_type")), _text(error))
        case {"detail": [{"loc": [*_, name]}, *_]}:
            return Complaint(message=_text(answer["detail"]), parameter=_text(name))
        case dict():
            return Complaint(_code(answer), _text(answer.get("message") or answer.get("detail")))
        case _:
            return Complaint()


def _code(error: Mapping[str, Any]) -> str:
    """The provider's word for the complaint. As ``code`` vLLM sends the status, a number; its ``type`` tells more."""
    code = error.get("code")
    return code if isinstance(code, str) and code else _text(error.get("type"))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(_text(item) for item in value)
    if isinstance(value, dict):
        return _text(value.get("msg") or value.get("message"))
    return "" if value is None else str(value)


def _is_too_long(complaint: Complaint) -> bool:
    return (
        complaint.code.casefold() in _TOO_LONG_CODES
        or complaint.parameter in _TOO_LONG_PARAMETERS
        or (_TOO_LONG.search(complaint.message) is not None and not _RATE.search(complaint.message))
    )


def _remedy(callee: Callee, status: int, headers: Mapping[str, str]) -> str:
    """How to fix a final refusal; empty where the provider's message is all there is."""
    url, key, model = callee.setting("URL"), callee.setting("API_KEY"), callee.setting("MODEL")
    if 300 <= status < 400:
        target = callee.clean(headers.get("Location", "elsewhere"))
        return f": it sends callers on to {target}; set {url} to where the API itself is"
    match status:
        case HTTPStatus.UNAUTHORIZED:
            scheme = callee.setting("AUTH_SCHEME")
            return f": check {key}, and {scheme} (bearer, or raw for the bare key)"
        case HTTPStatus.FORBIDDEN:
            return f": the key of {key} may not use the model of {model} here, or belongs to another region than {url}"
        case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED:
            return f": check {url}, {callee.setting('PATH')} and {model}"
        case _:
            return ""


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no reason given"
