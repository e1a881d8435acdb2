"""The application as the server sees it: probes are answered from the start, others once the service is open."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from service.connections import Refused
from service.errors import problem_from, problem_response
from service.lifespan import begin_drain, not_open
from service.middleware import HEALTH_PATHS
from service.operations_port import OperationsApp
from service.repeated_refusals import Fields

HOLD_SECONDS: Final = 30.0


class StartGate:
    """Lets requests wait for a service that is still opening its parts and warming up.

    Probes are answered at once: alive, and not ready before all is warm. Other requests wait, each for up to
    ``hold_seconds``; then they are answered by a service that is cold, or with 503 if it is not open yet.

    Attributes:
        is_ready: whether it lets every request pass.
    """

    def __init__(self, *, hold_seconds: float = HOLD_SECONDS) -> None:
        self._hold_seconds = hold_seconds
        self._probes = OperationsApp()
        self._app: FastAPI | None = None
        self._refused: Refused | None = None
        self._passable = asyncio.Event()
        self.is_ready = False
        self._ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._passable.is_set():
            if not scope["path"].endswith(HEALTH_PATHS):
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._passable.wait(), self._hold_seconds)
            elif self._app is None:
                await self._probes(scope, receive, send)
                return
        if self._app is None:
            await problem_response(scope, problem_from(not_open()))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def refused(self, method: bytes, target: bytes, fields: Fields) -> bytes | None:
        """As ``RepeatedRefusals.again``; nothing is refused before the application is there."""
        return None if self._refused is None else self._refused(method, target, fields)

    def open(self, app: FastAPI) -> None:
        """Let ``app`` answer, at first probes and what has waited too long."""
        self._app, self._refused = app, app.state.refusals.again

    def let_pass(self) -> None:
        """Let every request pass: all is warm."""
        self.is_ready = True
        self._passable.set()

    def drain(self) -> None:
        """Fail readiness, and answer what still waits."""
        self._passable.set()
        if self._app is not None:
            begin_drain(self._app)

    def end(self) -> None:
        """Let ``ended`` return: no request comes any more."""
        self._ended.set()

    async def ended(self) -> None:
        """Wait until the server has answered its last request."""
        await self._ended.wait()
