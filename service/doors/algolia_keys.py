"""Requests of Algolia's clients as others send them: their credential, and the content type of their bodies.

The credential has a header of its own, or is in browsers a parameter of the address; bodies come as ``text/plain``.
Both spare browsers a preflight.

An address is seen by proxies and kept in histories: this door takes search-only credentials, and no others.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from winnow.core.errors import Forbidden
from winnow.core.principal import Principal

PATHS: Final = "/1/indexes/"
_KEY: Final = b"x-algolia-api-key"
_ALLOWED: Final = frozenset({"search"})


class AlgoliaRequests:
    """Gives requests to Algolia's paths ``Authorization``, where it is missing, and the content type of JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].removeprefix(scope.get("root_path", "")).startswith(PATHS):
            scope = {**scope, "headers": _headers(scope)}
        await self.app(scope, receive, send)


def require_search_only(principal: Principal) -> None:
    """Raise ``Forbidden`` for a credential that may do more than search: it does not belong into a page."""
    if principal.kind == "key" and not principal.scopes <= _ALLOWED:
        raise Forbidden(
            f"{principal.described} may do more than search and must not be given to a page: use a token, or a key "
            "with the scope search alone"
        )


def _headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = [each for each in scope["headers"] if each[0] != b"content-type"]
    headers.append((b"content-type", b"application/json"))
    if any(name == b"authorization" for name, _ in headers):
        return headers
    key = next((value for name, value in headers if name == _KEY), b"")
    if not key:
        asked = {name.lower(): value for name, value in parse_qsl(scope["query_string"].decode("latin-1"))}
        key = asked.get(_KEY.decode(), "").encode("latin-1", "replace")
    return [*headers, (b"authorization", b"Bearer " + key)] if key else headers
