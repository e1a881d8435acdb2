"""Calls of tools over the Model Context Protocol, without a session for each.

The SDK answers clients before 2026-07-28 with a session of tasks and streams for every request, also where nothing is
kept of it, and holds those of today to schemas that no tool here needs. A call of a tool runs through its driver of
single exchanges. All else, and every call that anything is wrong with, goes to the SDK's application.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from mcp.server.connection import Connection
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_one
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.inbound import (
    MCP_PARAM_HEADER_PREFIX,
    MCP_PROTOCOL_VERSION_HEADER,
    InboundModernRoute,
    classify_inbound_request,
    find_duplicated_routing_header,
)
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp.types import DEFAULT_NEGOTIATED_VERSION
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.wire import JSON_TYPE, json_response, replayed

_ACCEPTED: Final = frozenset({JSON_TYPE, "text/event-stream"})
_MOST_BYTES: Final = 4 * 2**20  # the SDK's own limit, whose error is its own
_PARAMETER: Final = MCP_PARAM_HEADER_PREFIX.lower()


@dataclass
class _Exchange:
    """One request as the SDK's ``DispatchContext``: nothing can be asked of the client meanwhile."""

    request_id: str | int
    message_metadata: ServerMessageMetadata
    transport: TransportContext
    can_send_request: bool = False
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)

    async def send_raw_request(
        self,
        method: str,
        params: Mapping[str, Any] | None,  # noqa: ARG002
        opts: CallOptions | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None) -> None:
        """Drop it: an answer in JSON has no room for it."""

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Drop it, as ``notify`` does."""


class ToolCalls:
    """Answers calls of tools, and passes all other requests to ``app``.

    Args:
        app: the SDK's application.
        server: whose tools are called.
    """

    def __init__(self, app: ASGIApp, server: Server[Any]) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method != "POST" or not _is_common(request):
            await self._app(scope, receive, send)
            return
        body = await request.body()
        call = _call_in(body)
        connection = None if call is None else _connection(request, call)
        result = None if call is None or connection is None else await self._result(request, call, connection)
        if call is None or result is None:
            await self._app(scope, replayed(body, receive), send)
            return
        await json_response({"jsonrpc": "2.0", "id": call["id"], "result": result})(scope, receive, send)

    async def _result(self, request: Request, call: dict[str, Any], connection: Connection) -> dict[str, Any] | None:
        """The result of a call; ``None`` where it is an error of the protocol, which the SDK words."""
        transport = TransportContext(kind="streamable-http", can_send_request=False, headers=request.headers)
        exchange = _Exchange(call["id"], ServerMessageMetadata(request_context=request), transport)
        try:
            return await serve_one(
                self._server, exchange, call["method"], call["params"], connection=connection, lifespan_state={}
            )
        except (MCPError, ValidationError):
            return None


def _connection(request: Request, call: dict[str, Any]) -> Connection | None:
    """Who calls: by the headers of an earlier client, or by what one of today says of itself.

    ``None`` where something is wrong with either.
    """
    headers = request.headers
    version = headers.get(MCP_PROTOCOL_VERSION_HEADER, DEFAULT_NEGOTIATED_VERSION)
    if version in HANDSHAKE_PROTOCOL_VERSIONS:
        return Connection.from_envelope(version, None, None)
    if find_duplicated_routing_header(headers.items()) is not None:
        return None
    route = classify_inbound_request(call, headers=dict(headers))
    if not isinstance(route, InboundModernRoute) or any(each.startswith(_PARAMETER) for each in headers):
        return None
    return Connection.from_envelope(route.protocol_version, route.client_info, route.client_capabilities)


def _is_common(request: Request) -> bool:
    """Whether the headers are those that every client sends, so that nothing of them has to be refused."""
    headers = request.headers
    kinds = {each.partition(";")[0].strip() for each in headers.get("accept", "").split(",")}
    kind = headers.get("content-type", "").partition(";")[0].strip()
    return kinds >= _ACCEPTED and kind == JSON_TYPE and "mcp-session-id" not in headers


def _call_in(body: bytes) -> dict[str, Any] | None:
    """The call of a tool that a body holds; ``None`` where it holds anything else."""
    if len(body) > _MOST_BYTES:
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("method") != "tools/call" or value.get("jsonrpc") != "2.0":
        return None
    has_id = isinstance(value.get("id"), str | int) and not isinstance(value["id"], bool)
    return value if has_id and isinstance(value.get("params"), dict) else None
