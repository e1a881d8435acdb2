"""The port of operations: liveness, readiness and metrics of a process, without a key and without the API.

It answers from the moment the process starts: alive, and not ready until ``serve`` names the process's own reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from service.schemas.operations import Readiness

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
RETRY_SECONDS: Final = "5"


class Reports(Protocol):
    """What a process says about itself."""

    async def stalled(self) -> str | None:
        """Why the process has to be started again; ``None`` while it lives. Asks no other server."""

    async def readiness(self) -> Readiness:
        """Whether the process can do its work, dependency by dependency."""

    async def metrics(self) -> bytes:
        """All metrics in Prometheus' text format."""


@dataclass(frozen=True, slots=True)
class Starting:
    """The reports of a process that is still loading."""

    async def stalled(self) -> str | None:
        return None

    async def readiness(self) -> Readiness:
        return Readiness(status="starting", checks={})

    async def metrics(self) -> bytes:
        return b""


class OperationsApp:
    """The ASGI application of the port.

    Attributes:
        reports: of the process; may be exchanged at any time.
    """

    def __init__(self) -> None:
        self.reports: Reports = Starting()
        self._app = Starlette(
            routes=[
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _healthz(self, _: Request) -> Response:
        reason = await self.reports.stalled()
        if reason is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "stalled", "reason": reason}, 503)

    async def _readyz(self, request: Request) -> Response:
        readiness = await self.reports.readiness()
        return JSONResponse(readiness.model_dump(mode="json"), *status_of(readiness, strict=_is_strict(request)))

    async def _metrics(self, _: Request) -> Response:
        return PlainTextResponse(await self.reports.metrics(), media_type=METRICS_TYPE)


def status_of(readiness: Readiness, *, strict: bool) -> tuple[int, dict[str, str]]:
    """The HTTP status and headers of a report; ``strict`` answers 503 where a model is down, too."""
    if readiness.status in ("ready", "ready" if strict else "degraded"):
        return 200, {}
    return 503, {"Retry-After": RETRY_SECONDS}


def _is_strict(request: Request) -> bool:
    return request.query_params.get("strict", "").casefold() in ("1", "true", "yes", "on")
