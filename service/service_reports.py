"""What a service says about itself on the port of operations."""

from __future__ import annotations

from dataclasses import dataclass

from service.lifespan import ServiceState
from service.schemas.operations import Readiness
from winnow.core.errors import UpstreamUnavailable


@dataclass(frozen=True, slots=True)
class ServiceReports:
    """The reports of one service."""

    state: ServiceState

    async def stalled(self) -> str | None:
        """A service that answers is alive, unless a worker in it makes no progress."""
        return self.state.stalled()

    async def readiness(self) -> Readiness:
        """As ``/readyz`` of the API has it."""
        try:
            return await self.state.readiness()
        except UpstreamUnavailable:  # its resources are not open yet
            return Readiness(status="starting", checks={})

    async def metrics(self) -> bytes:
        """As ``/metrics`` of the API has them."""
        return await self.state.metrics.text()
