"""A relay of TCP connections that counts the bytes which pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass


@dataclass
class Relay:
    """A running relay.

    Attributes:
        port: where it listens on the loopback.
        sent: bytes from clients to the server.
        received: bytes from the server to clients.
    """

    port: int = 0
    sent: int = 0
    received: int = 0


@asynccontextmanager
async def relay(port: int) -> AsyncIterator[Relay]:
    """Relay connections to ``port`` on the loopback until the block ends."""
    counts = Relay()
    tasks: set[asyncio.Task[None]] = set()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        for source, drain, name in ((reader, back, "sent"), (there, writer, "received")):
            task = asyncio.create_task(_copy(source, drain, counts, name))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    counts.port = server.sockets[0].getsockname()[1]
    try:
        yield counts
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: Relay, name: str) -> None:
    try:
        with suppress(ConnectionError):
            while chunk := await reader.read(1 << 20):
                setattr(counts, name, getattr(counts, name) + len(chunk))
                writer.write(chunk)
                await writer.drain()
    finally:
        writer.close()
