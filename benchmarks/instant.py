"""Searches while one types, over HTTP, beside the two stages on the same collection: ``python benchmarks/instant.py``.

Documents are made up: titles and headings of words of the standard library's docstrings, short texts of the same. Their
vectors come from no model but by chance, so that 100,000 chunks are indexed in minutes; queries go through the real
models. What is typed: beginnings of titles, and titles with a typo.

The server's processor time is measured as well as the clock: on a machine with other work it is the steadier figure.
``instant_names.py`` measures which names are found.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import numpy as np
from docstring_collection import standard_library
from instant_names import with_typo
from systems import Server, Winnow

from indexer.worker.loop import Worker
from indexer.worker.pipeline import Pipeline
from winnow.core.principal import LOCAL
from winnow.core.settings import load_settings
from winnow.core.types import Document
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.ports import Embedder, EmbedderInfo, Embeddings, EmbedKind, Tokenizer
from winnow.runtime import open_resources
from winnow.search.embedders import Embedders

COLLECTION: Final = "instant"
SECTIONS: Final = 5
TOKENS: Final = 10
CLIENTS: Final = 8
WARM_UP: Final = 50
TARGET: Final = {"p50_ms": 10.0, "p95_ms": 30.0, "ratio": 5.0}


class ByChance:
    """An embedder that has the name and sizes of another one, and vectors by chance."""

    def __init__(self, model: Embedder) -> None:
        self._model = model
        self._random = np.random.default_rng(3)

    @property
    def info(self) -> EmbedderInfo:
        """That of the model."""
        return self._model.info

    @property
    def tokenizer(self) -> Tokenizer:
        """That of the model."""
        return self._model.tokenizer

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:  # noqa: ARG002
        """Vectors of length one."""
        vectors = self._random.standard_normal((len(texts), self.info.dimensions), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        tokens = None
        if self.info.token_dimensions:
            some = self._random.standard_normal((len(texts), TOKENS, self.info.token_dimensions), dtype=np.float32)
            some /= np.linalg.norm(some, axis=2, keepdims=True)
            tokens = tuple(each.astype(np.float16) for each in some)
        return Embeddings(vectors, np.ones(len(texts), np.float32), tokens)

    async def close(self) -> None:
        """Nothing to close."""


async def made_up(chunks: int) -> list[Document]:
    """Documents of five sections, each of which is a chunk."""
    chance = random.Random(5)  # noqa: S311 - the same documents each time
    words = sorted({word for item in await standard_library() for word in item.text.lower().split() if word.isalpha()})
    words = [word for word in words if 3 <= len(word) <= 14]

    def some(least: int, most: int) -> str:
        return " ".join(chance.choices(words, k=chance.randint(least, most)))

    documents = []
    for at in range(chunks // SECTIONS):
        parts = "\n\n".join(f"## {some(1, 3).capitalize()}\n\n{some(60, 80)}." for _ in range(SECTIONS))
        documents.append(Document(f"page/{at}", parts, "markdown", title=some(1, 3).capitalize(), canonical=True))
    return documents


async def fill(folder: Path, documents: Sequence[Document]) -> int:
    """Index the documents; how many chunks there are."""
    settings = load_settings(data_dir=folder)
    async with open_resources(settings) as resources:
        await ensure_collection(resources, LOCAL, COLLECTION, CollectionSpec())
        embedders = Embedders(ByChance(resources.embedder), keyword_tokenizer=resources.store.keyword_tokenizer)
        pipeline = Pipeline(embedders, resources.store, resources.catalog, settings.indexing)
        worker = Worker(pipeline, resources.catalog, settings.indexing)
        for begin in range(0, len(documents), 1000):
            await resources.catalog.documents.submit(COLLECTION, documents[begin : begin + 1000])
            while await worker.work_once():
                pass
        return (await resources.catalog.documents.counts(COLLECTION)).chunks


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one kind of search. Milliseconds; searches a second by the clock and by the server's processor time."""

    p50_ms: float
    p95_ms: float
    per_second: float
    per_cpu_second: float


def typed(documents: Sequence[Document], count: int) -> list[str]:
    """What is typed, each once: beginnings of titles of two letters and more, whole titles, titles with a typo."""
    chance = random.Random(9)  # noqa: S311 - the same each time
    found: dict[str, None] = {}
    while len(found) < count:
        title = chance.choice(documents).title
        beginning = title[: chance.randint(2, len(title))]
        found[with_typo(title, chance) if len(found) % 4 == 0 else beginning] = None
    return list(found)


async def measure(url: str, pids: Sequence[int], queries: Sequence[str], mode: str) -> Figures:
    """Send queries to warm up, half of the others one at a time, and the rest with several clients.

    None is sent twice, so that no cache has the vector of a query, as of what visitors type.
    """
    address = f"{url}/v1/collections/{COLLECTION}/search"

    async def ask(client: aiohttp.ClientSession, query: str) -> float:
        began = time.perf_counter()
        async with client.post(address, json={"query": query, "mode": mode}) as response:
            body: dict[str, Any] = await response.json()
            if response.status != 200 or body["degraded"]:
                raise SystemExit(f"{query!r}: {body}")
        return (time.perf_counter() - began) * 1000

    warming, single, several = queries[:WARM_UP], queries[WARM_UP::2], queries[WARM_UP + 1 :: 2]
    async with aiohttp.ClientSession() as client:
        for query in warming:
            await ask(client, query)
        times = [await ask(client, query) for query in single]
        waiting, began, spent = iter(several), time.perf_counter(), cpu_seconds(pids)

        async def work() -> None:
            for query in waiting:
                await ask(client, query)

        await asyncio.gather(*(work() for _ in range(CLIENTS)))
        took, spent = time.perf_counter() - began, cpu_seconds(pids) - spent
    p50, p95 = np.percentile(times, (50, 95))
    return Figures(float(p50), float(p95), len(several) / took, len(several) / spent)


def cpu_seconds(pids: Sequence[int]) -> float:
    """Processor time of processes, in seconds."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def processes_of(server: Server) -> list[int]:
    """The server and its children: the engine has a process of its own."""
    pid = server.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *map(int, children)]


async def ready(url: str) -> float:
    """Ask until the names are read; seconds."""
    began = time.perf_counter()
    async with aiohttp.ClientSession() as client:
        while True:
            async with client.get(f"{url}/v1/collections/{COLLECTION}/suggest", params={"q": "ab"}) as response:
                if (await response.json())["ready"]:
                    return time.perf_counter() - began
            await asyncio.sleep(0.2)


async def run(folder: Path, chunks: int, count: int) -> None:
    """Fill the folder unless it is filled, serve it and measure."""
    documents = await made_up(chunks)
    data = folder / f"data-{chunks}"
    if not (folder / f"filled-{chunks}").exists():
        began = time.perf_counter()
        print(f"{await fill(data, documents):,} chunks in {time.perf_counter() - began:.0f} s", flush=True)
        (folder / f"filled-{chunks}").touch()
    async with Winnow.server(data) as server:
        before = resident(processes_of(server)[:1])
        print(f"names read in {await ready(server.url):.1f} s, {resident(processes_of(server)[:1]) - before:.0f} MiB")
        found = {}
        queries = typed(documents, WARM_UP + 2 * count)
        for mode, some in (("instant", queries), ("hybrid", queries[: WARM_UP + count // 2])):
            found[mode] = await measure(server.url, processes_of(server), some, mode)
            print(mode, found[mode], flush=True)
    instant, full = found["instant"], found["hybrid"]
    print(f"instant ÷ two stages: {instant.per_second / full.per_second:.1f} by the clock, ", end="")
    print(f"{instant.per_cpu_second / full.per_cpu_second:.1f} by processor time; wanted {TARGET}")


def resident(pids: Sequence[int]) -> float:
    """Resident MiB."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="for the data, which is kept for the next run")
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--searches", type=int, default=1000)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(given.folder, given.chunks, given.searches))


if __name__ == "__main__":
    main()
