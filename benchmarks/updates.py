"""Memory and disk of the embedded engine while the same documents are updated over and over.

    python benchmarks/updates.py [--upserts 50000] [--documents 100] [--same-ids] [--dimensions 384]

Each upsert writes a new revision of a document of one chunk, as the worker does: the point of the new revision, then
the deletion of the old one; with ``--same-ids`` a revision replaces the point of the one before. It is flushed every
2,000. The memory is that of the engine's process: its own (anonymous), and the pages of the files that it maps. Linux
only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np

from winnow.core.settings.vectors import EdgeVectors
from winnow.core.types import Chunk, IndexRef, IndexSchema
from winnow.ports import Point
from winnow.vectors.edge.store import EdgeVectorStore

INDEX = IndexRef("updates")
BATCH = 10
FLUSH_EVERY = 2000
REPORTS = (1000, 10_000, 50_000)
TEXT = "The ferry crosses the sound at seven and again at nine, unless the wind is above eight. " * 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--upserts", type=int, default=50_000)
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--same-ids", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="winnow-updates-") as root:
        asyncio.run(
            measure(Path(root), given.upserts, given.documents, dimensions=given.dimensions, same_ids=given.same_ids)
        )


async def measure(root: Path, upserts: int, documents: int, *, dimensions: int, same_ids: bool) -> None:
    """Write ``upserts`` points, and print MB of memory and disk at each number of ``REPORTS``."""
    store = EdgeVectorStore(root, EdgeVectors())
    await store.create(INDEX, IndexSchema(dimensions))
    engine = json.loads((root / "~lock").read_text(encoding="utf-8"))["heir"]
    rng = np.random.default_rng(0)
    slowest = 0.0
    for begin in range(0, upserts, BATCH):
        points = [point(n, documents, rng.standard_normal(dimensions), same_ids) for n in range(begin, begin + BATCH)]
        await store.upsert(INDEX, points)
        if not same_ids:
            await store.delete_documents(INDEX, {each.document_id: each.revision for each in points})
        if begin % FLUSH_EVERY == FLUSH_EVERY - BATCH:
            await store.flush(INDEX)
        if begin % 100 == 0:
            began = time.perf_counter()
            found = await store.query(INDEX, dense=points[0].dense, text="ferry", limit=10)
            slowest = max(slowest, time.perf_counter() - began)
            assert found.dense[0].point.document_id == points[0].document_id
        if begin + BATCH in REPORTS:
            print(f"{begin + BATCH:6} upserts: {memory(engine)}, disk {disk(root):.0f} MB", flush=True)
    print(f"slowest search {slowest * 1000:.0f} ms; {await store.count(INDEX)} points")
    await store.close()


def point(number: int, documents: int, vector: np.ndarray, same_ids: bool) -> Point:
    """The point of the next revision of a document."""
    document, revision = number % documents, number // documents + 1
    name = f"{document}" if same_ids else f"{document}/{revision}"
    chunk = Chunk(0, 0, len(TEXT), f"{TEXT} {document}")
    dense = vector.astype(np.float32)
    return Point(str(uuid.uuid5(uuid.NAMESPACE_OID, name)), f"d{document}", revision, chunk, dense=dense)


def memory(process: int) -> str:
    """Resident memory in MB: all, of its own, of files."""
    fields = {}
    for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name in {"VmRSS", "RssAnon", "RssFile"}:
            fields[name] = int(value.split()[0]) / 1024
    return f"{fields['VmRSS']:.0f} MB (anonymous {fields['RssAnon']:.0f}, files {fields['RssFile']:.0f})"


def disk(root: Path) -> float:
    """MB that the files below take."""
    return sum(path.stat().st_blocks * 512 for path in root.rglob("*") if path.exists()) / 2**20


if __name__ == "__main__":
    main()
