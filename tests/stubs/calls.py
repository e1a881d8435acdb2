"""What tests of the client for models share: a client of a stub, and stubs that answer in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import stamina
from aiohttp import web

from tests.stubs.server import Handler, Stub, reply, serve
from winnow.core.errors import WinnowError
from winnow.core.settings.base import Endpoint
from winnow.models.http.client import ModelClient


@pytest.fixture
def no_waits() -> Iterator[None]:
    """Retries follow at once; their number stays what it is."""
    with stamina.set_testing(True, attempts=99, cap=True):
        yield


@asynccontextmanager
async def calling(handler: Handler, **settings: Any) -> AsyncIterator[tuple[ModelClient, Stub]]:
    """A client of a stub that answers with ``handler``."""
    async with serve(handler) as stub:
        client = client_of(stub.url, **settings)
        yield client, stub
        await client.close()


def client_of(url: str, **settings: Any) -> ModelClient:
    return ModelClient(Endpoint(provider="acme", url=url, **settings), variable="WINNOW_EMBEDDING")


def answering(*answers: Callable[[], web.Response]) -> Handler:
    """Give the answers in turn, the last one for ever."""
    waiting = list(answers)

    async def handler(request: web.Request) -> web.Response:
        return (waiting.pop(0) if len(waiting) > 1 else waiting[0])()

    return handler


def good() -> web.Response:
    return reply({"fine": True})


def busy() -> web.Response:
    return reply({"error": {"message": "queue is full"}}, 503)


async def echo(request: web.Request) -> web.Response:
    return reply(await request.json())


async def error_of(call: Awaitable[Any]) -> WinnowError:
    with pytest.raises(WinnowError) as caught:
        await call
    return caught.value
