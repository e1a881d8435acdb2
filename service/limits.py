"""The largest request body, enforced while it arrives."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BODY_TOO_LARGE, Problem, problem_response


class BodyLimit:
    """ASGI middleware that refuses a body over ``max_bytes``: at once by its length, else while it streams in.

    Starlette has one too, but it answers in plain text.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self.max_bytes:
            await problem_response(scope, self._problem())(scope, receive, send)
            return
        await self.app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.max_bytes:
                raise self._problem()
            return message

        return counted

    def _problem(self) -> Problem:
        limit = self.max_bytes / 2**20
        detail = f"the body is larger than {limit:g} MiB; send fewer documents at once, or raise server.max_body_mb"
        return Problem(BODY_TOO_LARGE, detail, headers={"Connection": "close"})
