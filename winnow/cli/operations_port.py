"""Serves the port of operations beside the work of a process."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path

import uvicorn

from service.operations_port import OperationsApp
from winnow.core.errors import InvalidSettings
from winnow.core.settings import OperationsSettings


def bind(host: str, port: int, remedy: str) -> socket.socket:
    """Bind a port before models load, so that a port in use is reported at once.

    Raises:
        InvalidSettings: it is in use, which ``remedy`` helps against, or the system refuses it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InvalidSettings(
                f"port {port} on {host} is in use by another process: {remedy} (0 picks a free one)"
            ) from error
        raise InvalidSettings(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


def bind_operations(settings: OperationsSettings) -> AbstractContextManager[socket.socket | None]:
    """Bind the port of operations if one is set; the socket is closed with the block. Raises as ``bind``."""
    if settings.port is None:
        return nullcontext()
    return bind(settings.host, settings.port, "choose one with WINNOW_OPERATIONS__PORT")


def bind_local(path: Path) -> socket.socket:
    """Bind a Unix socket through which a parent reads the reports of this process."""
    path.unlink(missing_ok=True)  # left by a process that was killed
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    return listener


@asynccontextmanager
async def operations_port(listener: socket.socket | None) -> AsyncIterator[OperationsApp]:
    """Answer on the port until the body ends; without a port there is an application that no client reaches."""
    app = OperationsApp()
    if listener is None:
        yield app
        return
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve([listener]), name="operations-port")  # noqa: SLF001 - serve() would take over the signal handlers
    try:
        yield app
    finally:
        server.should_exit = True
        await serving
