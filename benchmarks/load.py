"""Searches over HTTP: one at a time for latency, several at once for throughput."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import numpy as np
from systems import System


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of searches that were sent one after the other over one kept connection."""

    p50_ms: float
    p99_ms: float


async def latency(system: System, client: aiohttp.ClientSession, queries: Sequence[str]) -> Latency:
    """Send ``queries`` one at a time."""
    times = []
    for query in queries:
        started = time.perf_counter()
        await system.search(client, query)
        times.append((time.perf_counter() - started) * 1000)
    p50, p99 = np.percentile(times, (50, 99))
    return Latency(float(p50), float(p99))


async def throughput(
    system: System, client: aiohttp.ClientSession, queries: Sequence[str], *, concurrency: int
) -> float:
    """Searches a second with ``concurrency`` clients that each send their next query when they have an answer."""
    waiting = iter(queries)

    async def ask() -> None:
        for query in waiting:
            await system.search(client, query)

    started = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(concurrency)))
    return len(queries) / (time.perf_counter() - started)
