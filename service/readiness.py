"""Probing what the service depends on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Final

from retrieval.ports import Embedder
from service.lifespan import ServiceState
from service.schemas.operations import Check, Readiness

PROBE_SECONDS: Final = 5.0


async def probe(state: ServiceState, *, timeout: float = PROBE_SECONDS) -> Readiness:
    """Ask every dependency at once; one that fails or takes longer than ``timeout`` seconds is named."""
    if state.draining:
        return Readiness(status="draining", checks={})
    resources = state.resources
    probes: dict[str, Awaitable[object]] = {
        "store": resources.store.check(),
        "catalog": resources.catalog.check(),
        "embed": _embed(resources.embedder),
    }
    results = await asyncio.gather(*(_timed(work, timeout) for work in probes.values()))
    checks = dict(zip(probes, results, strict=True))
    ready = all(check.status == "ok" for check in checks.values())
    return Readiness(status="ready" if ready else "unavailable", checks=checks)


async def _embed(embedder: Embedder) -> None:
    """As a document: a query's vector could come out of the cache and prove nothing."""
    await embedder.embed(["ready"], "document")


async def _timed(work: Awaitable[object], timeout: float) -> Check:
    began = time.perf_counter()
    reason: str | None = None
    try:
        await asyncio.wait_for(work, timeout)
    except TimeoutError:
        reason = f"no answer within {timeout:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a dependency fails with is the answer here
        reason = f"{type(error).__name__}: {error}"
    ms = round((time.perf_counter() - began) * 1000, 2)
    return Check(status="failed" if reason else "ok", ms=ms, reason=reason)
