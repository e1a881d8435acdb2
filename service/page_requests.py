"""Requests as pages send them that spare browsers a preflight: Algolia's clients, and ``navigator.sendBeacon``.

Their bodies come as ``text/plain``, and their credential in a header of its own or as a parameter of the address, which
proxies see and histories keep: a key in an address may be for searches alone.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from winnow.core.errors import Forbidden
from winnow.core.principal import Principal

_ALLOWED: Final = frozenset({"search"})
_BY_ADDRESS: Final = "winnow.by_address"


class _Credential(NamedTuple):
    """Where requests to paths that begin so have their credential, in small letters."""

    path: str
    header: bytes
    parameter: str


_CREDENTIALS: Final = (
    _Credential("/1/indexes/", b"x-algolia-api-key", "x-algolia-api-key"),
    _Credential("/1/events", b"x-algolia-api-key", "x-algolia-api-key"),
    _Credential("/v1/events", b"", "access_token"),  # RFC 6750, section 2.3: a beacon has no headers
)


class PageRequests:
    """Gives such requests ``Authorization``, where it is missing, and the content type of JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            for each in _CREDENTIALS:
                if path.startswith(each.path):
                    _make_like_others(scope, each)
        await self.app(scope, receive, send)


def is_by_address(scope: Scope) -> bool:
    """Whether the credential of a request was a parameter of its address."""
    return scope.get(_BY_ADDRESS, False) is True


def require_search_only(principal: Principal) -> None:
    """Raise ``Forbidden`` for a credential that may do more than search: it does not belong into a page."""
    if principal.kind == "key" and not principal.scopes <= _ALLOWED:
        raise Forbidden(
            f"{principal.described} may do more than search and must not be given to a page: use a token, or a key "
            "with the scope search alone"
        )


def _make_like_others(scope: Scope, credential: _Credential) -> None:
    """Change the headers in the scope itself: the log and the metrics read from it which route was found."""
    headers: list[tuple[bytes, bytes]] = [each for each in scope["headers"] if each[0] != b"content-type"]
    headers.append((b"content-type", b"application/json"))
    scope["headers"] = headers
    if any(name == b"authorization" for name, _ in headers):
        return
    key = next((value for name, value in headers if name == credential.header), b"")
    if not key:
        asked = {name.lower(): value for name, value in parse_qsl(scope["query_string"].decode("latin-1"))}
        key = asked.get(credential.parameter, "").encode("latin-1", "replace")
        scope[_BY_ADDRESS] = bool(key)
    if key:
        headers.append((b"authorization", b"Bearer " + key))
