"""Health, readiness and metrics."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from service.deps import StateDep
from service.openapi import problems
from service.readiness import probe
from service.schemas.operations import Health, Readiness
from service.wire import StrictRoute

router = APIRouter(tags=["operations"], route_class=StrictRoute)
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz", responses=problems())
async def healthz() -> Health:
    """Whether the process is alive; says nothing of its dependencies."""
    return Health()


@router.get(
    "/readyz",
    responses={503: {"model": Readiness, "description": "The failing dependency is named."}, **problems()},
)
async def readyz(state: StateDep, response: Response) -> Readiness:
    """Whether searches can be answered: probes every dependency."""
    readiness = await probe(state)
    if readiness.status != "ready":
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return readiness


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"example": "winnow_searches_total 42.0\n"}}}, **problems()},
)
async def metrics(state: StateDep) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(state.metrics.render(), media_type=METRICS_TYPE)
