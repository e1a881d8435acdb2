"""Answers that no model should be believed for, whatever it is asked."""

from __future__ import annotations

from aiohttp import web

from tests.stubs.server import Handler

MIB = 1 << 20


def raw(body: str, content_type: str = "application/json") -> Handler:
    """Always this text."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=body, content_type=content_type)

    return handler


class Flood:
    """A gigabyte of JSON that never closes, in pieces.

    Attributes:
        announced: whether its length is in the header.
        sent: bytes that went out.
    """

    def __init__(self, announced: bool) -> None:
        self.announced = announced
        self.sent = 0

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "application/json"}
        if self.announced:
            headers["Content-Length"] = str(1024 * MIB)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        piece = b"[" * MIB
        for _ in range(1024):
            await response.write(piece)
            self.sent += MIB
        return response
