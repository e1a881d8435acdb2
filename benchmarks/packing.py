"""The share of answers that the texts of a search contain: packed with neighbours beside the plain five best.

    .venv/bin/python benchmarks/packing.py --data path/to/xquad_en

``queries.jsonl`` has the answer of each question under ``metadata.answer``. Paragraphs are documents, as in the
collection; and once more those of an article are one document (their ids are ``ARTICLE-NUMBER``), which then has
neighbours. At equal tokens: each pack may have the tokens that the texts of the plain search for the same question have
together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from indexer.worker.loop import Worker
from winnow.core.identity import CHUNKER
from winnow.core.packing import Packing
from winnow.core.principal import LOCAL
from winnow.core.search import SearchAnswer, SearchRequest
from winnow.core.settings import load_settings
from winnow.core.types import Document
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.operations.one_search import search_one
from winnow.operations.resources import Resources
from winnow.runtime import open_local

PLAIN = 5
PACK = 4000


def documents_of(folder: Path) -> tuple[list[Document], list[Document]]:
    """The paragraphs, and the articles that they are joined to."""
    paragraphs, articles = [], defaultdict(list)
    for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        paragraphs.append(Document(record["_id"], record["text"], title=record["title"]))
        articles[record["_id"].rpartition("-")[0]].append(record["text"])
    return paragraphs, [Document(key, "\n\n".join(texts)) for key, texts in articles.items()]


def questions_of(folder: Path) -> Iterator[tuple[str, str]]:
    """Each question with its answer."""
    for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        yield record["text"], record["metadata"]["answer"]


def contains(answer: SearchAnswer, wanted: str) -> bool:
    """Whether one of the texts contains the wanted one."""
    return any(wanted.casefold() in result.text.casefold() for result in answer.results)


async def compare(resources: Resources, base: SearchRequest, questions: list[tuple[str, str]]) -> list[str]:
    """A line for each way of packing: share of answers contained, and tokens in the mean."""
    counted = Packing(tokenizer=resources.embedder.tokenizer.name, fold_duplicates=False)
    ways: dict[str, list[tuple[bool, int, int]]] = {
        f"plain, {PLAIN} best": [],
        "packed, equal tokens": [],
        "packed with neighbours, equal tokens": [],
    }
    ways |= {f"packed, {PACK}": [], f"packed with neighbours, {PACK}": []}
    for query, wanted in questions:
        plain = await search_one(resources, LOCAL, replace(base, query=query, top_n=PLAIN, packing=counted))
        tokens = plain.packed.tokens if plain.packed else 0
        packs = [(0, tokens, 100), (1, tokens, 10), (0, PACK, 100), (1, PACK, 10)]
        answers = [plain] + [
            await search_one(resources, LOCAL, replace(base, query=query, top_n=top_n, packing=Packing(expand, limit)))
            for expand, limit, top_n in packs
        ]
        for row, answer in zip(ways.values(), answers, strict=True):
            row.append((contains(answer, wanted), answer.packed.tokens if answer.packed else 0, len(answer.results)))
    lines = []
    first = fmean(each[0] for each in next(iter(ways.values())))
    for way, row in ways.items():
        share, mean, results = (fmean(each[i] for each in row) for i in range(3))
        lines.append(f"| {way} | {share:.4f} | {share / first:.3f} | {mean:.0f} | {results:.1f} |")
    return lines


async def measure(folder: Path, limit: int) -> None:
    """Index both collections into a folder of their own, search them, print a table each."""
    questions = list(questions_of(folder))[:limit]
    paragraphs, articles = documents_of(folder)
    with tempfile.TemporaryDirectory() as data:
        async with open_local(load_settings(data_dir=Path(data))) as local:
            for name, documents in (("paragraphs", paragraphs), ("articles", articles)):
                await ensure_collection(local.resources, LOCAL, name, CollectionSpec())
                await local.resources.catalog.documents.submit(name, documents)
                assert isinstance(local.worker, Worker)
                while await local.worker.work_once():
                    pass
                for group_by in ("document", "chunk"):
                    base = SearchRequest(name, "", group_by=group_by, highlight=False, budget_ms=60_000)
                    print(f"\n{name}, group_by {group_by}, {len(questions)} questions, chunker {CHUNKER}\n", flush=True)
                    for line in await compare(local.resources, base, questions):
                        print(line, flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a test collection with answers, such as xquad_en")
    parser.add_argument("--questions", type=int, default=10_000, help="number of questions, from the first")
    given = parser.parse_args()
    asyncio.run(measure(given.data, given.questions))


if __name__ == "__main__":
    main()
