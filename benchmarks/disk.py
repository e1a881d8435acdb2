"""The disk that an embedded index takes for a chunk, by part, and the time to compare token vectors of 50 chunks.

    python benchmarks/disk.py --data path/to/beir [--chunks 10000] [--json FILE]

The texts of a test collection are joined and cut into chunks of exactly 250 tokens, of which the first thousand are
embedded by the bundled model and written to a new index over and over, each time as another document. Then everything
below the index's directory is added up as the file system counts it (blocks: holes of sparse files are free). It is not
optimised, as after a first indexing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from winnow.core.settings.embedding import BundledEmbedding
from winnow.core.settings.vectors import EdgeVectors
from winnow.core.types import Chunk, IndexRef, IndexSchema, TokenFormat
from winnow.evaluation.dataset import load_dataset
from winnow.models.bundled.embedder import BundledEmbedder, WholeTokens
from winnow.ports import Embedder, Point
from winnow.vectors.edge.store import EdgeVectorStore

INDEX = IndexRef("disk")
TOKENS = 250
BATCH = 64
DISTINCT = 1000
SCORED = 50
ROUNDS = 50


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a test collection in the BEIR layout")
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--earlier", action="store_true", help="with the token vectors of version 0.1.0")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    given = parser.parse_args()
    figures = asyncio.run(measure(given.data, given.chunks, earlier=given.earlier))
    for name, value in figures.items():
        print(f"{name:32} {value:10.2f}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


async def measure(data: Path, count: int, *, earlier: bool) -> dict[str, float]:
    """Kilobytes (1,000 bytes) a chunk by part and in all, and milliseconds of CPU and clock of a rescoring."""
    model = BundledEmbedder(BundledEmbedding())
    embedder: Embedder = WholeTokens(model) if earlier else model
    with tempfile.TemporaryDirectory(prefix="winnow-disk-") as root:
        store = EdgeVectorStore(Path(root), EdgeVectors())
        info = embedder.info
        form: TokenFormat = "float16" if earlier else "uint8"
        await store.create(INDEX, IndexSchema(info.dimensions, info.token_dimensions, tokens_as=form))
        made = await points(embedder, list(islice(chunks(data, model), DISTINCT)))
        written = 0
        while written < count:
            batch = [renamed(made[i % DISTINCT], i) for i in range(written, min(count, written + BATCH))]
            await store.upsert(INDEX, batch)
            written += len(batch)
        await store.flush(INDEX)
        rescoring = await rescore(store, embedder, written)
        await store.close()
        parts = disk(Path(root))
    await model.close()
    sizes = {f"kB a chunk, {name}": size / written / 1000 for name, size in parts.most_common()}
    return {"chunks": written, **sizes, "kB a chunk, in all": sum(parts.values()) / written / 1000, **rescoring}


def chunks(data: Path, model: BundledEmbedder) -> Iterator[str]:
    """Texts of 250 tokens each, over and over if the collection is small."""
    text = "\n".join(f"{document.title}\n{document.text}" for document in load_dataset(data).documents)
    while True:
        spans = model.tokenizer.spans(text)
        for begin in range(0, len(spans) - TOKENS, TOKENS):
            yield text[spans[begin][0] : spans[begin + TOKENS - 1][1]]


async def points(embedder: Embedder, texts: list[str]) -> list[Point]:
    """Points as the worker makes them, each a document."""
    embedded = await embedder.embed(texts, "document")
    tokens = embedded.tokens or ()
    return [
        Point("", "", 1, Chunk(0, 0, len(text), text), dense=embedded.vectors[i], tokens=tokens[i])
        for i, text in enumerate(texts)
    ]


def renamed(point: Point, number: int) -> Point:
    """The point as one of document ``number``."""
    return replace(point, id=identifier(number), document_id=f"document-{number}")


def identifier(number: int) -> str:
    """The id of a point."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


async def rescore(store: EdgeVectorStore, embedder: Embedder, written: int) -> dict[str, float]:
    """The middle of 50 calls that compare the token vectors of a query with those of 50 chunks, in ms."""
    asked = await embedder.embed(["which proteins are known to regulate the growth of cells in tumours"], "query")
    assert asked.tokens is not None
    rng, times = np.random.default_rng(0), []
    for _ in range(ROUNDS):
        ids = [identifier(i) for i in rng.choice(written, SCORED, replace=False)]
        began = time.perf_counter()
        await store.score(INDEX, ids, tokens=asked.tokens[0])
        times.append((time.perf_counter() - began) * 1000)
    return {"rescoring 50 chunks, ms": statistics.median(times)}


def disk(root: Path) -> Counter[str]:
    """Bytes on the disk by part: the engine's folders of a segment, its log, the rest."""
    sizes: Counter[str] = Counter()
    for folder, _, files in os.walk(root):
        for name in files:
            path = Path(folder) / name
            below = path.relative_to(root).parts
            part = "write-ahead log" if "wal" in below else next((p for p in below if p.startswith(_PARTS)), "the rest")
            sizes[part] += path.stat().st_blocks * 512
    return sizes


_PARTS = ("vector_storage", "vector_index", "payload", "quantized")


if __name__ == "__main__":
    main()
