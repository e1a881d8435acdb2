"""Queries in other forms of a text's words, by language: ``python benchmarks/word_forms.py``.

``word_forms.jsonl`` has short texts in seven languages, each with a query that inflects its words (for Korean: a noun
without the ending that it has in the text). All texts are one collection; counted is how often the text is first, and
among the first three, on the keyword arm alone, by each tokenizer that indexes may have.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from pathlib import Path
from typing import Any, Final

from winnow.core.types import Chunk
from winnow.ports import IndexRef, IndexSchema, Point
from winnow.testing.vectors import FakeVectorStore
from winnow.vectors.keywords import FIRST, NEWEST

ROWS: Final = Path(__file__).with_suffix(".jsonl")
TOP: Final = 3


async def measure(keywords: str) -> dict[str, dict[str, int]]:
    """By language: the number of queries, and of those whose text is first and among the first three."""
    rows = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    store, index = FakeVectorStore(), IndexRef("forms")
    await store.create(index, IndexSchema(4, keywords=keywords))
    chunks = (Chunk(0, 0, len(row["text"]), row["text"]) for row in rows)
    await store.upsert(index, [Point(str(uuid.UUID(int=at)), str(at), 1, chunk) for at, chunk in enumerate(chunks)])
    found: dict[str, Counter[str]] = {}
    for at, row in enumerate(rows):
        hits = (await store.query(index, text=row["query"], limit=TOP)).sparse
        ids = [uuid.UUID(hit.point.id).int for hit in hits]
        count = found.setdefault(row["lang"], Counter())
        count.update(queries=1, first=ids[:1] == [at], top3=at in ids)
    return {lang: dict(count) for lang, count in found.items()}


async def main() -> None:
    """Measure each tokenizer and print as JSON."""
    report: dict[str, Any] = {keywords: await measure(keywords) for keywords in (FIRST, NEWEST)}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    asyncio.run(main())
