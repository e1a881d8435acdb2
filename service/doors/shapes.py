"""Error answers of other protocols.

The status is the protocol's own where it differs: 400 for a request that makes no sense, where the native API has 422.
Sources: OpenAI's API reference ("Error codes"); Cohere's ("Errors"); Alibaba Cloud Model Studio ("Error messages");
the OpenAPI document of Text Embeddings Inference. Clients differ in the member that they print (``message``,
``detail``, ``error.message``), so a shape that several protocols share has all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from service.errors import ErrorShape, Problem
from service.wire import JSON_TYPE

_AS_400: Final = {422: 400}


class OpenAIErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class OpenAIErrorBody(BaseModel):
    """An error as OpenAI's clients read it."""

    error: OpenAIErrorDetail


class RerankErrorBody(BaseModel):
    """An error as the clients of Cohere, Jina and vLLM read it."""

    message: str
    detail: str
    id: str | None
    error: OpenAIErrorDetail


class JsonRpcErrorBody(BaseModel):
    """An error of JSON-RPC 2.0, about a request whose id was not read."""

    jsonrpc: str
    id: None
    error: dict[str, Any]


class TeiErrorBody(BaseModel):
    """An error of Text Embeddings Inference."""

    error: str
    error_type: str


class DashScopeErrorBody(BaseModel):
    """An error of DashScope's own API."""

    code: str
    message: str
    request_id: str | None


class DashScopeCompatibleErrorBody(BaseModel):
    """An error of DashScope's compatible API."""

    error: OpenAIErrorDetail
    id: str | None
    request_id: str | None


_OPENAI_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_OPENAI_CODES: Final[Mapping[int, str]] = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_JSON_RPC_CODES: Final[Mapping[int, int]] = {400: -32700, 401: -32001, 403: -32001}
_TEI_TYPES: Final[Mapping[int, str]] = {413: "Validation", 422: "Validation", 429: "Overloaded", 503: "Unhealthy"}
_DASHSCOPE_CODES: Final[Mapping[int, str]] = {
    401: "InvalidApiKey",
    403: "AccessDenied",
    404: "ModelNotFound",
    405: "MethodNotAllowed",
    408: "RequestTimeOut",
    429: "Throttling.RateQuota",
    503: "ServiceUnavailable",
    504: "RequestTimeOut",
}


def openai_error(problem: Problem) -> dict[str, Any]:
    """The object under ``error``. ``param`` names the wrong member, with indexes: ``input[2]``."""
    status = problem.kind.status
    kind = _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    code = _OPENAI_CODES.get(status, problem.kind.code)
    return {"message": problem.detail, "type": kind, "param": _param(problem), "code": code}


def _param(problem: Problem) -> str | None:
    if not problem.errors:
        return None
    path = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem.errors[0]["loc"]]
    return "".join(path).removeprefix(".") or None


def _openai(problem: Problem, _: str | None) -> dict[str, Any]:
    return {"error": openai_error(problem)}


def _rerank(problem: Problem, request_id: str | None) -> dict[str, Any]:
    said = {"message": problem.detail, "detail": problem.detail}
    return {**said, "id": request_id, "error": openai_error(problem)}


def _tei(problem: Problem, _: str | None) -> dict[str, Any]:
    status = problem.kind.status
    kind = _TEI_TYPES.get(status, "Backend" if status >= 500 else "Validation")
    return {"error": problem.detail, "error_type": kind}


def _dashscope(problem: Problem, request_id: str | None) -> dict[str, Any]:
    status = problem.kind.status
    code = _DASHSCOPE_CODES.get(status, "InternalError" if status >= 500 else "InvalidParameter")
    return {"code": code, "message": problem.detail, "request_id": request_id}


def _json_rpc(problem: Problem, _: str | None) -> dict[str, Any]:
    data = {"status": problem.kind.status, "code": problem.kind.code}
    code = _JSON_RPC_CODES.get(problem.kind.status, -32603 if problem.kind.status >= 500 else -32600)
    return {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": problem.detail, "data": data}}


def _dashscope_compatible(problem: Problem, request_id: str | None) -> dict[str, Any]:
    return {"error": openai_error(problem), "id": request_id, "request_id": request_id}


OPENAI: Final = ErrorShape(JSON_TYPE, OpenAIErrorBody, _openai, _AS_400)
RERANK: Final = ErrorShape(JSON_TYPE, RerankErrorBody, _rerank, _AS_400)
JSON_RPC: Final = ErrorShape(JSON_TYPE, JsonRpcErrorBody, _json_rpc)
TEI: Final = ErrorShape(JSON_TYPE, TeiErrorBody, _tei)
DASHSCOPE: Final = ErrorShape(JSON_TYPE, DashScopeErrorBody, _dashscope, {**_AS_400, 413: 400, 415: 400})
DASHSCOPE_COMPATIBLE: Final = ErrorShape(
    JSON_TYPE, DashScopeCompatibleErrorBody, _dashscope_compatible, {**_AS_400, 413: 400, 415: 400}
)
