"""Cross-origin resource sharing (https://fetch.spec.whatwg.org/#http-cors-protocol): which pages may read answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Final, TypeAlias

from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.request_fields import field_of

FindOrigins: TypeAlias = Callable[[], Awaitable[Collection[str]]]
EXPOSED: Final = (
    "X-Request-Id",
    "Retry-After",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
)


class Cors(CORSMiddleware):
    """Lets pages of allowed origins call and read, whichever key they send: authentication checks the key's own list.

    Cookies are never allowed, so any request header is.

    Args:
        allowed: the origins of all who may call from a browser; they change with the keys.
    """

    def __init__(self, app: ASGIApp, allowed: FindOrigins) -> None:
        super().__init__(
            app, allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"], allow_headers=["*"], expose_headers=EXPOSED
        )
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or field_of(scope, b"origin") is None:
            await self.app(scope, receive, send)
            return
        self.allow_origins = await self._allowed()
        await super().__call__(scope, receive, send)
