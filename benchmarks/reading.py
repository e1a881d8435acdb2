"""How well and how fast documents are read: main content of pages against reference texts, and documents a second.

    python benchmarks/reading.py --pages FOLDER --folder FOLDER

``--pages``: ``ground-truth.json`` (``{id: {"articleBody": …}}``) and ``html/<id>.html.gz``, as in the article
extraction benchmark of Zyte. Scored are shingles of four words, counted as multisets; precision and recall are
averaged over the pages, F1 is that of the two means. ``--folder``: any folder that ``winnow index`` reads.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from indexer.chunking.chunker import chunk_document, chunk_passages
from indexer.sources.build import open_source
from winnow.conversion.html import convert_html
from winnow.core.types import Chunking, Document
from winnow.models.bundled.wordpieces import MAX_TOKENS, WordPieces

SHINGLE = 4


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """The runs of four words of a text."""
    words = re.findall(r"\w+", re.sub(r"[*_`]", "", text))
    return Counter(tuple(words[at : at + SHINGLE]) for at in range(max(1, len(words) - SHINGLE + 1)))


def scores(folder: Path) -> Iterator[tuple[float, float]]:
    """Precision and recall of each page."""
    for name, truth in json.loads((folder / "ground-truth.json").read_text()).items():
        page = gzip.decompress((folder / "html" / f"{name}.html.gz").read_bytes()).decode(errors="replace")
        ours, theirs = shingles(convert_html(page).text), shingles(truth["articleBody"])
        shared = sum((ours & theirs).values())
        yield shared / max(1, ours.total()), shared / max(1, theirs.total())


async def documents_of(source: str) -> list[Document]:
    """The documents of a source."""
    return [item async for item in open_source(source).read() if isinstance(item, Document)]


def measure_pages(folder: Path) -> None:
    """Print the quality of what is read of pages."""
    began = time.process_time()
    found = list(scores(folder))
    seconds = time.process_time() - began
    precision, recall = (sum(part) / len(found) for part in zip(*found, strict=True))
    f1 = 2 * precision * recall / (precision + recall)
    print(f"{len(found)} pages: F1 {f1:.3f}, precision {precision:.3f}, recall {recall:.3f}; {seconds:.1f} s CPU")


def measure_folder(source: str) -> None:
    """Print how fast a source is read and cut, in CPU time of this process; no model is involved."""
    tokenizer = WordPieces()
    began = time.process_time()
    documents = asyncio.run(documents_of(source))
    read = time.process_time() - began
    chunks = 0
    for document in documents:
        parts = chunk_document(document, tokenizer, Chunking(), max_tokens=MAX_TOKENS)
        chunk_passages(document, parts, tokenizer, Chunking(), max_tokens=MAX_TOKENS)
        chunks += len(parts)
    cut = time.process_time() - began - read
    rates = f"{len(documents) / (read + cut):,.0f} documents/s, {chunks / (read + cut):,.0f} chunks/s"
    print(f"{source}: {len(documents):,} documents, {chunks:,} chunks; read {read:.2f} s, cut {cut:.2f} s CPU; {rates}")


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pages", type=Path)
    parser.add_argument("--folder", action="append", default=[])
    arguments = parser.parse_args()
    if arguments.pages:
        measure_pages(arguments.pages)
    for folder in arguments.folder:
        measure_folder(folder)


if __name__ == "__main__":
    main()
