"""Facets and pages over an embedded index: are counts exact, what do they cost, does paging lose or repeat anything?

    python benchmarks/facets.py                 # 5,000 documents of one to three chunks on Qdrant Edge

Counts are compared with a count by hand under random filters, words, tenants and access lists. Pages go a thousand
results deep while documents are added, changed and deleted; the fake embedder keeps the models out of the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.house import House
from tests.unit.test_facets import expected, random_points
from tests.unit.test_paging import Pages, ids
from winnow.core.access import joined
from winnow.core.acl import ACCESS_FIELDS, AccessRules, AccessView, reader_names
from winnow.core.facets import Facets
from winnow.core.filters import parse_datetime
from winnow.core.settings.vectors import EdgeVectors
from winnow.core.types import Document
from winnow.ports import IndexSchema
from winnow.search.facets import FacetCounter
from winnow.testing.contracts.points import DIMENSIONS, WORDS
from winnow.testing.contracts.random_filters import FIELDS, random_filter
from winnow.vectors.edge.store import EdgeVectorStore


def percentiles(values: Sequence[float]) -> str:
    """Median and 95th percentile of milliseconds."""
    cuts = statistics.quantiles(values, n=20)
    return f"p50 {statistics.median(values):.1f} ms, p95 {cuts[-1]:.1f} ms"


async def count_facets(documents: int, searches: int) -> None:
    """Compare counts with those by hand, and print the share that is equal, and the time."""
    rng = random.Random(3)  # noqa: S311 - the same every time
    with tempfile.TemporaryDirectory() as folder:
        store = EdgeVectorStore(Path(folder) / "vectors", EdgeVectors())
        house = House(Path(folder), store=store)
        collection = replace(house.collection, fields=FIELDS, access=AccessRules(in_use=True))
        index = collection.serving.ref
        await store.create(index, IndexSchema(DIMENSIONS, DIMENSIONS, {**FIELDS, **ACCESS_FIELDS}))
        points = random_points(rng, documents)
        await store.upsert(index, points)
        counter, every, equal, asked, times = FacetCounter(store), Facets(tuple(FIELDS), limit=10**6), 0, 0, []
        for number in range(searches):
            readers = rng.choice([None, reader_names(["ann"], []), reader_names([], ["staff"]), frozenset()])
            view, condition = AccessView(rng.choice(["", "t"]), readers), random_filter(rng)
            words = rng.choice([None, set(rng.sample(WORDS, 2))])
            text = None if words is None else " ".join(sorted(words))
            began = time.perf_counter()
            found = await counter.count(collection, view, every, text=text, filter=condition)
            times.append((time.perf_counter() - began) * 1000)
            if number == 0:
                print(f"first count, {len(points):,} points of which none is known: {times.pop():.0f} ms")
            for key, counts in found.items():
                wanted = expected(points, key, joined(view, collection, condition), words)
                got = {_same(key, each.value): each.documents for each in counts.values or ()}
                equal += counts.exact and got == wanted
                asked += 1
        print(f"facets of {documents:,} documents: {equal} of {asked} counts exact and equal; {percentiles(times)}")
        await store.close()


def _same(key: str, value: Any) -> Any:
    return parse_datetime(value) if FIELDS[key] == "datetime" else value


async def page_through(documents: int, writes: int) -> None:
    """Page a thousand deep while documents change, and print what was twice or missed."""
    rng = random.Random(7)  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        house = await House(Path(folder), store=EdgeVectorStore(Path(folder) / "vectors", EdgeVectors())).open()
        pages = Pages(house)
        stable = {f"d{number}" for number in range(documents)}
        await house.submit(*(_document(rng, number) for number in range(documents)))
        await house.work()
        found: list[Any] = []
        times: list[float] = []
        cursor, number, written = None, documents, 0
        while not found or cursor is not None:
            began = time.perf_counter()
            found.append(await pages.ask(top_n=20, cursor=cursor))
            times.append((time.perf_counter() - began) * 1000)
            cursor = found[-1].next
            new = [_document(rng, number + each) for each in range(writes // 50)]
            number += len(new)
            await house.submit(*new)
            gone = [f"d{rng.randrange(documents, number)}" for _ in range(writes // 100)]
            await house.catalog.documents.tombstone("c", gone)
            await house.work()
            written += len(new) + len(gone)
        seen = ids(found)
        print(
            f"{len(found)} pages, {len(seen)} results, {written} writes: {len(seen) - len(set(seen))} twice, "
            f"{len(stable - set(seen))} of {len(stable)} missed; first page {times[0]:.1f} ms, "
            f"second {times[1]:.1f} ms, later {percentiles(times[2:])}"
        )
        await house.close()


def _document(rng: random.Random, number: int) -> Document:
    return Document(f"d{number}", " ".join(["amber", *rng.choices(WORDS, k=5), str(rng.randrange(100))]))


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--searches", type=int, default=200)
    arguments = parser.parse_args()
    asyncio.run(count_facets(arguments.documents, arguments.searches))
    asyncio.run(page_through(900, 1000))


if __name__ == "__main__":
    main()
