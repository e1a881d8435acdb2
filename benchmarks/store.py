"""A vector store by itself: what a search, exact scores and a write take: ``python benchmarks/store.py``.

A Qdrant server is the recorded one of the tests, in a process of its own: it waits 2 ms a query and searches nothing,
so that what differs is the client. Its CPU is not counted. Of the embedded engine the CPU of both processes is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import psutil  # type: ignore[import-untyped]

from winnow.core.settings.vectors import EdgeVectors, QdrantVectors
from winnow.core.types import Chunk
from winnow.ports import IndexRef, IndexSchema, Point, VectorStore
from winnow.vectors.edge.store import EdgeVectorStore
from winnow.vectors.qdrant.server import server_client
from winnow.vectors.qdrant.store import QdrantVectorStore

INDEX: Final = IndexRef("bench")
DIMENSIONS: Final = 384
TOKENS: Final = 110  # token vectors of a chunk
HITS: Final = 100  # of each arm
SCORED: Final = 50  # points whose exact scores are asked for
TEXT: Final = 900  # characters of a chunk
WARM_UP: Final = 20
ROOT: Final = Path(__file__).resolve().parents[1]
SERVE_HTTP: Final = """
import asyncio
from tests.stubs.qdrant_recorded import serve
from tests.stubs.qdrant_recorded_http import serve_http
async def main():
    with serve() as points:
        async with serve_http(points) as server:
            print(server.url, flush=True)
            await asyncio.Event().wait()
asyncio.run(main())
"""


def make_points(count: int, tokens: int) -> list[Point]:
    """Points of about 1 KB of payload, with token vectors of length 1."""
    rng = np.random.default_rng(1)
    points = []
    for number in range(1, count + 1):
        rows = rng.standard_normal((tokens, DIMENSIONS)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        words = " ".join(f"word{each}" for each in rng.integers(0, 5000, TEXT // 8))
        points.append(
            Point(
                str(uuid.UUID(int=number)),
                f"document-{number}",
                1,
                Chunk(0, 0, len(words), words, ("Guide",)),
                title=f"Title {number}",
                metadata={"lang": "en", "year": number},
                dense=rng.standard_normal(DIMENSIONS).astype(np.float32),
                tokens=rows.astype(np.float16) if tokens else None,
            )
        )
    return points


@contextmanager
def served(*command: str) -> Iterator[str]:
    """The first line that a program of the tests prints; it runs until the block ends."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


@asynccontextmanager
async def opened(kind: str) -> AsyncIterator[VectorStore]:
    """An empty store: ``grpc``, ``http`` or ``edge``."""
    if kind == "edge":
        with tempfile.TemporaryDirectory() as folder:
            edge = EdgeVectorStore(Path(folder), EdgeVectors())
            yield edge
            await edge.close()
        return
    command = ("-m", "tests.stubs.qdrant_recorded") if kind == "grpc" else ("-c", SERVE_HTTP)
    with served(*command) as line:
        where: dict[str, Any] = {"url": line, "prefer_grpc": False}
        if kind == "grpc":
            where = {"url": "http://127.0.0.1:6333", "grpc_port": int(line)}
        settings = QdrantVectors(**where)
        store = QdrantVectorStore(server_client(settings), settings)
        yield store
        await store.close()


def cpu_seconds(kind: str) -> float:
    """CPU time of this process, and with the embedded engine of its child."""
    own = time.process_time()
    if kind != "edge":
        return own
    return own + sum(sum(each.cpu_times()[:2]) for each in psutil.Process().children())


async def timed(kind: str, calls: int, call: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """Milliseconds of a call: the median by the clock, and the mean of its CPU time."""
    for _ in range(WARM_UP):
        await call()
    took, began = [], cpu_seconds(kind)
    for _ in range(calls):
        start = time.perf_counter()
        await call()
        took.append(time.perf_counter() - start)
    cpu = (cpu_seconds(kind) - began) / calls
    return {"p50_ms": round(median(took) * 1000, 2), "cpu_ms": round(cpu * 1000, 3)}


async def measure(kind: str, calls: int) -> dict[str, Any]:
    """The figures of one store."""
    rng = np.random.default_rng(2)
    query = rng.standard_normal(DIMENSIONS).astype(np.float32)
    async with opened(kind) as store:
        plain = make_points(2 * HITS, 0)
        await store.create(INDEX, IndexSchema(DIMENSIONS, DIMENSIONS))
        began = cpu_seconds(kind)
        await store.upsert(INDEX, plain)
        written = cpu_seconds(kind) - began
        ids = [point.id for point in plain[:SCORED]]
        two_arms = await timed(kind, calls, lambda: store.query(INDEX, dense=query, text="word7 word8", limit=HITS))
        scores = await timed(kind, calls, lambda: store.score(INDEX, ids, dense=query, text="word7 word8"))
        rich = make_points(64, TOKENS)
        began = cpu_seconds(kind)
        await store.upsert(INDEX, rich)
        with_tokens = cpu_seconds(kind) - began
    return {
        "two_arms": two_arms,
        "exact_scores": scores,
        "write_cpu_ms_a_point": round(written / len(plain) * 1000, 3),
        "write_cpu_ms_a_point_with_tokens": round(with_tokens / len(rich) * 1000, 2),
    }


async def main() -> None:
    """Measure each store in turn and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", nargs="+", choices=("grpc", "http", "edge"), default=["grpc", "http", "edge"])
    parser.add_argument("--calls", type=int, default=500)
    options = parser.parse_args()
    print(json.dumps({kind: await measure(kind, options.calls) for kind in options.stores}, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
