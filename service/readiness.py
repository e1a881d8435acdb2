"""Probing what the service depends on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final

from retrieval.errors import IdentityMismatch, UpstreamUnavailable
from retrieval.ports import Embedder
from retrieval.resources import Resources
from retrieval.types import SearchRequest
from service.lifespan import ServiceState
from service.schemas.operations import Check, Readiness

PROBE_SECONDS: Final = 5.0


async def probe(state: ServiceState, *, seconds: float = PROBE_SECONDS) -> Readiness:
    """Ask every dependency at once; one that fails or takes longer than ``seconds`` is named."""
    if state.draining:
        return Readiness(status="draining", checks={})
    resources = state.resources
    probes: dict[str, Awaitable[object]] = {
        "store": resources.store.check(),
        "catalog": resources.catalog.check(),
        "embed": _embed(resources.embedder),
    }
    if resources.reranker is not None:
        probes["rerank"] = _rerank(resources)
    results = await asyncio.gather(*(_timed(work, seconds) for work in probes.values()))
    checks = dict(zip(probes, results, strict=True))
    ready = all(check.status == "ok" for check in checks.values())
    return Readiness(status="ready" if ready else "unavailable", checks=checks)


async def _embed(embedder: Embedder) -> None:
    """As a document: a query's vector could come out of the cache and prove nothing."""
    await embedder.embed(["ready"], "document")


async def _rerank(resources: Resources) -> None:
    """Search the first collection that these models may search: only real candidates put the stage to the test."""
    for collection in await resources.catalog.list_collections():
        with suppress(IdentityMismatch):
            answer = await resources.search.run(SearchRequest(collection.name, "ready", top_k=1, top_n=1))
            if answer.rerank.status in ("failed", "timeout"):
                raise UpstreamUnavailable(answer.rerank.reason or answer.rerank.status)
            return


async def _timed(work: Awaitable[object], seconds: float) -> Check:
    began = time.perf_counter()
    reason: str | None = None
    try:
        await asyncio.wait_for(work, seconds)
    except TimeoutError:
        reason = f"no answer within {seconds:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a dependency fails with is the answer here
        reason = f"{type(error).__name__}: {error}"
    ms = round((time.perf_counter() - began) * 1000, 2)
    return Check(status="failed" if reason else "ok", ms=ms, reason=reason)
