"""A test collection in the BEIR layout, made of this Python's own docstrings.

    python benchmarks/docstring_collection.py FOLDER

A query is the summary line of a docstring; the one right document is the rest of that docstring under its object's
name. Docstrings with less than 20 words behind their summary, and those whose summary belongs to several objects, are
documents without a query. The same Python makes the same collection.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from indexer.sources.python import PythonSource
from winnow.core.types import Document

QUERIES = 600
_LEAST_WORDS = 20  # of what remains of a docstring
_LEAST_QUERY_WORDS = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """A docstring in its parts: what is asked, and what is to be found."""

    id: str
    title: str
    summary: str
    rest: str

    @property
    def is_long_enough(self) -> bool:
        return len(self.rest.split()) >= _LEAST_WORDS and len(self.summary.split()) >= _LEAST_QUERY_WORDS


def split(document: Document) -> Entry:
    """The summary line is the first line behind the signature."""
    paragraphs = document.text.strip().split("\n\n")
    at = min(1, len(paragraphs) - 1)
    summary, _, more = paragraphs[at].strip().partition("\n")
    rest = "\n\n".join([*paragraphs[:at], *([more] if more else []), *paragraphs[at + 1 :]])
    return Entry(document.id, document.title, " ".join(summary.split()), rest.strip() or document.title)


def write_collection(folder: Path, documents: Iterable[Document]) -> tuple[int, int]:
    """Write ``corpus.jsonl``, ``queries.jsonl`` and ``qrels.tsv``; how many documents and queries they hold."""
    entries = [split(document) for document in documents]
    owners = Counter(entry.summary.lower() for entry in entries)
    able = [entry for entry in entries if entry.is_long_enough and owners[entry.summary.lower()] == 1]
    asked = able[:: max(1, len(able) // QUERIES)][:QUERIES]
    folder.mkdir(parents=True, exist_ok=True)
    corpus = ({"_id": entry.id, "title": entry.title, "text": entry.rest} for entry in entries)
    _write(folder / "corpus.jsonl", map(json.dumps, corpus))
    _write(folder / "queries.jsonl", (json.dumps({"_id": f"q-{one.id}", "text": one.summary}) for one in asked))
    judged = (f"q-{entry.id}\t{entry.id}\t1" for entry in asked)
    _write(folder / "qrels.tsv", ["query-id\tcorpus-id\tscore", *judged])
    return len(entries), len(asked)


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


async def standard_library() -> list[Document]:
    """The docstrings, one document each."""
    return [item async for item in PythonSource().read() if isinstance(item, Document)]


def main() -> None:
    """Write the collection and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="is made if it does not exist")
    arguments = parser.parse_args()
    documents, queries = write_collection(arguments.folder, asyncio.run(standard_library()))
    print(f"{documents} documents, {queries} queries in {arguments.folder}")


if __name__ == "__main__":
    main()
