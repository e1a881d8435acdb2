"""Probing what the service depends on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Final

from service.health import ModelHealth
from service.lifespan import ServiceState
from service.schemas.operations import Check, Readiness

PROBE_SECONDS: Final = 5.0
MODEL_SECONDS: Final = 1.0  # longest wait for a look at a model that is under way


async def probe(state: ServiceState, *, seconds: float = PROBE_SECONDS) -> Readiness:
    """Ask every dependency at once; one that fails or takes longer than ``seconds`` is named.

    What is known of the models may be some seconds old: see ``service/health.py``.
    """
    if state.draining:
        return Readiness(status="draining", checks={})
    resources = state.resources
    looks = {"store": _timed(resources.store.check(), seconds), "catalog": _timed(resources.catalog.check(), seconds)}
    looks |= {name: _known(health) for name, health in state.health.items()}
    results = await asyncio.gather(*looks.values())
    checks = dict(zip(looks, results, strict=True))
    ready = all(check.status == "ok" for check in checks.values())
    return Readiness(status="ready" if ready else "unavailable", checks=checks)


async def _known(health: ModelHealth) -> Check:
    began = time.perf_counter()
    reason = await health.reason(patience=MODEL_SECONDS)
    return _check(began, reason, age_s=round(health.age, 1))


async def _timed(work: Awaitable[object], seconds: float) -> Check:
    began = time.perf_counter()
    reason: str | None = None
    try:
        await asyncio.wait_for(work, seconds)
    except TimeoutError:
        reason = f"no answer within {seconds:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a dependency fails with is the answer here
        reason = f"{type(error).__name__}: {error}"
    return _check(began, reason)


def _check(began: float, reason: str | None, *, age_s: float = 0.0) -> Check:
    ms = round((time.perf_counter() - began) * 1000, 2)
    return Check(status="failed" if reason else "ok", ms=ms, age_s=age_s, reason=reason)
