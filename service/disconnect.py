"""Ends the work for a caller who has hung up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

_Answer = TypeVar("_Answer")


async def while_connected(receive: Receive, work: Awaitable[_Answer]) -> _Answer:
    """Await ``work``, and cancel it as soon as the caller hangs up. The request's body must have been read.

    Raises:
        ClientDisconnect: the caller hung up.
    """
    this = asyncio.current_task()
    assert this is not None
    left, over = False, False

    def stop(_: asyncio.Task[None]) -> None:
        nonlocal left
        if not over:
            left = True
            this.cancel()

    watch: asyncio.Task[None] | None = None

    def begin() -> None:
        nonlocal watch
        watch = asyncio.create_task(_hung_up(receive))
        watch.add_done_callback(stop)

    beginning = asyncio.get_running_loop().call_soon(begin)  # work that waits for nothing is done before
    try:
        return await work
    except asyncio.CancelledError:
        if not left:
            raise
        this.uncancel()
        raise ClientDisconnect from None
    finally:
        over = True
        beginning.cancel()
        if watch is not None:
            watch.cancel()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
