"""How often a document is first for its own name: ``python benchmarks/exact_names.py --data-dir DIR``.

The collection ``python`` (``winnow index python -c python``) holds the docstrings of the standard library, whose titles
are the names of modules, classes and functions. Asked are whole titles, last parts that one title alone has (``SMTP``
of ``smtplib.SMTP``), and titles in other spellings, in each mode with and without the second stage.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from winnow.core.principal import LOCAL
from winnow.core.search import RerankOptions, SearchMode, SearchRequest
from winnow.core.settings import load_settings
from winnow.operations.resources import Resources
from winnow.runtime import open_resources

SEED: Final = 7
BUDGET_MS: Final = 60_000.0  # a search that is cut short measures the machine
MODES: Final[Sequence[SearchMode]] = ("hybrid", "dense", "sparse")


async def titles_of(resources: Resources, collection: str) -> list[str]:
    """The titles that one document alone has."""
    index = (await resources.catalog.collections.get(collection)).serving
    ids = [key.id async for key in resources.store.keys(index.ref)]
    titles = {point.document_id: point.title for point in (await resources.store.fetch(index.ref, ids)).values()}
    often = Counter(titles.values())
    return sorted(title for title, count in often.items() if title and count == 1)


def questions(titles: Sequence[str], count: int) -> Mapping[str, list[tuple[str, str]]]:
    """Pairs of a query and the title that is to be first, by kind of query."""
    chosen = random.Random(SEED)  # noqa: S311 - a sample
    last = Counter(title.rpartition(".")[2].casefold() for title in titles)
    alone = [title for title in titles if "." in title and last[title.rpartition(".")[2].casefold()] == 1]
    whole = chosen.sample(titles, min(count, len(titles)))
    parts = chosen.sample(alone, min(count, len(alone)))
    return {
        "title": [(title, title) for title in whole],
        "last part": [(title.rpartition(".")[2], title) for title in parts],
        "other spelling": [(f" {title.upper().replace('.', '  ')} ", title) for title in whole],
    }


async def first_of(resources: Resources, request: SearchRequest) -> str:
    """The title of the first result; empty where there is none."""
    answer = await resources.search.run(request, LOCAL)
    return answer.results[0].candidate.title if answer.results else ""


async def measure(resources: Resources, collection: str, count: int) -> dict[str, Any]:
    """The share of queries that are answered with their document first."""
    asked = questions(await titles_of(resources, collection), count)
    shares: dict[str, Any] = {kind: {} for kind in asked}
    for kind, pairs in asked.items():
        for mode in MODES:
            for rerank in (False, True):
                base = SearchRequest(
                    collection, "", mode=mode, rerank=RerankOptions(enabled=rerank), top_n=1, budget_ms=BUDGET_MS
                )
                found = [await first_of(resources, replace(base, query=query)) for query, _ in pairs]
                missed = [pair for pair, first in zip(pairs, found, strict=True) if first != pair[1]]
                name = f"{mode}{' + second stage' if rerank else ''}"
                shares[kind][name] = {"of": len(pairs), "first": 1 - len(missed) / len(pairs), "missed": missed[:5]}
    return shares


async def main() -> None:
    """Measure and print as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--collection", default="python")
    parser.add_argument("--count", type=int, default=350)
    given = parser.parse_args()
    async with open_resources(load_settings(data_dir=given.data_dir)) as resources:
        print(json.dumps(await measure(resources, given.collection, given.count), indent=1, ensure_ascii=False))


if __name__ == "__main__":
    asyncio.run(main())
