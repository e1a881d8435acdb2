"""How hybrid search of the embedded engine grows with the index: ``python benchmarks/scale.py``.

Synthetic chunks go through ``EdgeVectorStore`` and its engine's process, as in service: dense vectors of 384 dimensions
around some topics, texts of words that are distributed as in language (Zipf). The embedder takes no part.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from winnow.core.settings.vectors import EdgeVectors
from winnow.core.types import Chunk, FloatArray
from winnow.ports import IndexRef, IndexSchema, Point
from winnow.vectors.edge.store import EdgeVectorStore

DIMENSIONS: Final = 384
TOPICS: Final = 1_000
SPREAD: Final = 0.7  # distance of a vector from its topic, as a share of the topic's length
VOCABULARY: Final = 60_000
STOP_WORDS: Final = 100  # commonest words of a language, which the keyword arm leaves out
WORDS: Final = 90  # of a chunk
QUERY_WORDS: Final = 6
TOKENS: Final = 90  # token vectors of a chunk, with --tokens
BATCH: Final = 256
LIMIT: Final = 100  # candidates of each arm
INDEX: Final = IndexRef("scale")
MAX_RATIO: Final = 4.0
MAX_P50_MS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured at one size. Latencies in milliseconds, sizes in MiB."""

    chunks: int
    points_per_second: float
    optimize_seconds: float
    p50_ms: float
    p99_ms: float
    disk_mib: float
    memory_mib: float


class Material:
    """Synthetic chunks and queries, the same for the same seed."""

    def __init__(self, seed: int, *, tokens: bool) -> None:
        self._random = np.random.default_rng(seed)
        self._topics = self._random.standard_normal((TOPICS, DIMENSIONS), dtype=np.float32)
        weights = 1 / np.arange(STOP_WORDS + 1, STOP_WORDS + VOCABULARY + 1)
        self._weights: npt.NDArray[np.float64] = np.cumsum(weights / weights.sum())
        self._tokens = tokens

    def points(self, count: int) -> Iterator[list[Point]]:
        """Batches of points, ``count`` in all."""
        for begin in range(0, count, BATCH):
            size = min(BATCH, count - begin)
            vectors = self._vectors(size)
            yield [self._point(begin + row, vectors[row]) for row in range(size)]

    def queries(self, count: int) -> list[tuple[FloatArray, str]]:
        """Dense vectors with texts."""
        vectors = self._vectors(count)
        return [(vectors[row], self._text(QUERY_WORDS)) for row in range(count)]

    def _point(self, number: int, vector: FloatArray) -> Point:
        text = self._text(WORDS)
        tokens = self._random.standard_normal((TOKENS, DIMENSIONS)).astype(np.float16) if self._tokens else None
        id_ = str(uuid.UUID(bytes=self._random.bytes(16)))
        return Point(id_, f"d{number}", 1, Chunk(0, 0, len(text), text), dense=vector, tokens=tokens)

    def _vectors(self, count: int) -> FloatArray:
        noise = self._random.standard_normal((count, DIMENSIONS), dtype=np.float32)
        found = self._topics[self._random.integers(TOPICS, size=count)] + SPREAD * noise
        unit: FloatArray = found / np.linalg.norm(found, axis=1, keepdims=True)
        return unit

    def _text(self, words: int) -> str:
        ranks = np.searchsorted(self._weights, self._random.random(words))
        return " ".join(f"w{rank}" for rank in ranks)


async def measure(root: Path, chunks: int, *, queries: int, tokens: bool) -> Figures:
    """Index so many chunks, optimise, and search one at a time."""
    store = EdgeVectorStore(root, EdgeVectors(optimize_on_start=False))
    try:
        await store.create(INDEX, IndexSchema(DIMENSIONS, DIMENSIONS if tokens else 0))
        seconds, material = 0.0, Material(1, tokens=tokens)
        for batch in material.points(chunks):
            begin = time.perf_counter()
            await store.upsert(INDEX, batch)
            seconds += time.perf_counter() - begin
        begin = time.perf_counter()
        await store.flush(INDEX)
        seconds += time.perf_counter() - begin
        begin = time.perf_counter()
        await store.optimize(INDEX)
        optimizing = time.perf_counter() - begin
        times = await _search(store, material.queries(queries))
        p50, p99 = np.percentile(times, (50, 99))
        memory = _engine_memory()
    finally:
        await store.close()
    return Figures(chunks, chunks / seconds, optimizing, float(p50), float(p99), _disk(root), memory)


def _engine_memory() -> float:
    """Resident MiB of this process's children, of which the engine is the only one."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    pages = sum(int(Path(f"/proc/{child}/statm").read_text(encoding="ascii").split()[1]) for child in children)
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _disk(root: Path) -> float:
    """MiB that are really taken: the engine's files have holes."""
    return sum(path.stat().st_blocks * 512 for path in root.rglob("*")) / 2**20


async def _search(store: EdgeVectorStore, queries: Sequence[tuple[FloatArray, str]]) -> list[float]:
    """Milliseconds of each query, after a tenth as many to warm up."""
    times: list[float] = []
    for vector, text in [*queries[: len(queries) // 10], *queries]:
        begin = time.perf_counter()
        await store.query(INDEX, dense=vector, text=text, limit=LIMIT)
        times.append((time.perf_counter() - begin) * 1000)
    return times[len(queries) // 10 :]


def main() -> int:
    """Measure each size, print the table; returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chunks", type=int, nargs="+", default=[10_000, 200_000], help="sizes, ascending")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--tokens", action="store_true", help="store token vectors too (some 70 KB a chunk)")
    parser.add_argument("--json", action="store_true", help="figures as JSON on stdout")
    options = parser.parse_args()
    rows = []
    for chunks in options.chunks:
        print(f"{chunks:,} chunks …", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="winnow-scale-") as folder:
            measured = measure(Path(folder), chunks, queries=options.queries, tokens=options.tokens)
            rows.append(asyncio.run(measured))
    ratio = rows[-1].p50_ms / rows[0].p50_ms
    met = ratio <= MAX_RATIO and rows[-1].p50_ms <= MAX_P50_MS
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "ratio": round(ratio, 2), "met": met}, indent=2))
    else:
        _print(rows, ratio, met=met)
    return 0 if met else 1


def _print(rows: Sequence[Figures], ratio: float, *, met: bool) -> None:
    print("| chunks | indexed/s | optimise s | hybrid p50 ms | p99 ms | disk MiB | memory MiB |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.chunks:,} | {row.points_per_second:,.0f} | {row.optimize_seconds:.1f} | {row.p50_ms:.2f} "
            f"| {row.p99_ms:.2f} | {row.disk_mib:,.0f} | {row.memory_mib:,.0f} |"
        )
    print(f"\np50 of the largest ÷ the smallest: {ratio:.2f} (target ≤ {MAX_RATIO:.0f}, and p50 ≤ {MAX_P50_MS:.0f} ms)")
    print("met" if met else "missed")


if __name__ == "__main__":
    sys.exit(main())
