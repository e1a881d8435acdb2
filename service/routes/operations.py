"""Health, readiness and metrics."""

from __future__ import annotations

from typing import Final

from fastapi import Response

from service.deps import StateDep
from service.door import Door
from service.health import check_readiness
from service.schemas.operations import Health, Readiness

router = Door(tag="operations")
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz", responses=router.problems())
async def healthz() -> Health:
    """Whether the process is alive; does not check its dependencies."""
    return Health()


@router.get(
    "/readyz",
    responses={503: {"model": Readiness, "description": "The failing dependency is named."}, **router.problems()},
)
async def readyz(state: StateDep, response: Response) -> Readiness:
    """Whether searches can be answered: checks every dependency."""
    readiness = Readiness(status="draining", checks={})
    if not state.draining:
        readiness = await check_readiness(state.resources, state.health)
    if readiness.status != "ready":
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return readiness


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"example": "winnow_searches_total 42.0\n"}}}, **router.problems()},
)
async def metrics(state: StateDep) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(state.metrics.render(), media_type=METRICS_TYPE)
