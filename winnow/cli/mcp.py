"""``winnow mcp``: the Model Context Protocol over standard input and output, for clients that start a program.

Each line of the input is a message for the service's ``/mcp``, and each answer is a line of the output (MCP
specification, "Transports").
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from winnow.cli.command import configure, reach, run_loop
from winnow.cli.options import DataDir, Url

if TYPE_CHECKING:
    from winnow.cli.remote import Client
    from winnow.core.settings import Settings

_PATH: Final = "/mcp"
_VERSION: Final = "io.modelcontextprotocol/protocolVersion"  # in the _meta of requests without a session
_ACCEPT: Final = {"Accept": "application/json, text/event-stream"}
_INTERNAL: Final = -32603  # error codes of JSON-RPC 2.0
_NOT_JSON: Final = -32700


def mcp(data_dir: DataDir = None, url: Url = None) -> None:
    """Answer a client of the Model Context Protocol (Claude, Cursor, …) that started this command."""
    run_loop(_serve(configure(data_dir), url))


async def _serve(settings: Settings, url: str | None) -> None:
    import asyncio

    async with reach(settings, url) as client:
        bridge = _Bridge(client)
        async with asyncio.TaskGroup() as group:
            while line := await asyncio.to_thread(sys.stdin.buffer.readline):
                if line.strip():
                    group.create_task(bridge.answer(line))


class _Bridge:
    """Passes messages on to ``/mcp``, with the headers that its transport has and standard input has not."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._negotiated: str | None = None  # by initialize, which clients before 2026-07-28 send

    async def answer(self, line: bytes) -> None:
        """Pass one message on, and write what comes back; a notification has no answer."""
        import orjson

        from winnow.core.errors import WinnowError

        try:
            message = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            _write(_failure(None, _NOT_JSON, f"the line is not JSON: {error}"))
            return
        try:
            answer = await self._client.pass_on(_PATH, message, _ACCEPT | self._headers(message))
        except WinnowError as error:
            answer = _failure(message["id"], _INTERNAL, error.message) if "id" in message else None
        if answer is None:
            return
        result = answer.get("result")
        if message.get("method") == "initialize" and isinstance(result, dict):
            self._negotiated = result.get("protocolVersion")
        _write(answer)

    def _headers(self, message: Mapping[str, Any]) -> dict[str, str]:
        parameters = message.get("params") or {}
        version = (parameters.get("_meta") or {}).get(_VERSION)
        if version is None:
            return {} if self._negotiated is None else {"MCP-Protocol-Version": self._negotiated}
        name = parameters.get("name") or parameters.get("uri")
        named = {} if name is None else {"Mcp-Name": name}
        return {"MCP-Protocol-Version": version, "Mcp-Method": message["method"], **named}


def _write(answer: Any) -> None:
    import orjson

    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


def _failure(message_id: Any, code: int, text: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message_id, "error": {"code": code, "message": text}}
