"""A client without a wire: it asks an application as a server would, for tests that ask very often."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlencode

from starlette.types import ASGIApp

_BUSY: Final = (429, 503, 504)
_TRIES: Final = 100


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status_code: int
    text: str

    def json(self) -> Any:
        """Its body, read as JSON."""
        return json.loads(self.text)


class Asker:
    """Asks ``app``, and again where it is too busy. Its methods are those of an HTTP client."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def get(self, path: str, *, headers: Mapping[str, str], params: Mapping[str, Any] | None = None) -> Reply:
        """A request without a body."""
        return await self._ask("GET", path, headers, urlencode(params or {}).encode(), b"")

    async def post(self, path: str, *, headers: Mapping[str, str], json: Any) -> Reply:
        """A request with a body in JSON."""
        return await self._ask("POST", path, {"Content-Type": "application/json", **headers}, b"", _written(json))

    async def _ask(self, method: str, path: str, headers: Mapping[str, str], query: bytes, body: bytes) -> Reply:
        for _ in range(_TRIES):
            reply = await self._ask_once(method, path, headers, query, body)
            if reply.status_code not in _BUSY:
                break
            await asyncio.sleep(0.1)
        return reply

    async def _ask_once(self, method: str, path: str, headers: Mapping[str, str], query: bytes, body: bytes) -> Reply:
        sent: list[Any] = []
        fields = {"Host": "127.0.0.1", **headers}
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return messages.pop() if messages else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
            "state": {},
        }
        await self._app(scope, receive, send)
        return Reply(sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:]).decode())


def _written(value: Any) -> bytes:
    return json.dumps(value).encode()
