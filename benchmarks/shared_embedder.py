"""Queries and two indexing processes at one embedder: how long queries wait, and what indexing loses.

    python benchmarks/shared_embedder.py [--seconds 15] [--workers 2] [--priority] [--json]

The embedder serves two calls at a time, 10 ms a text, in the order of their arrival; with ``--priority`` by vLLM's
priority. Workers embed slices of 256 chunks, three at a time, as indexing does. Queries come at random, ten a second,
whether or not earlier ones are answered, so that they take a twentieth of the embedder. Only the embedder's part of a
search is timed: what else a search does makes the ratio smaller.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import numpy as np
from remote_models import model_server, texts

from winnow.core.settings.embedding import VllmEmbedding
from winnow.models.http.embed import HttpEmbedder

SLICE = 256
SLICES_AT_ONCE = 3
QUERIES_A_SECOND = 10.0
CAPACITY = 200.0  # texts a second


async def _index(url: str) -> None:
    embedder = HttpEmbedder(VllmEmbedding(url=url))
    chunks = texts(SLICE)

    async def work() -> None:
        while True:
            await embedder.embed(chunks, "document")

    await asyncio.gather(*(work() for _ in range(SLICES_AT_ONCE)))


def index(url: str) -> None:
    """Embed slices until the process is ended."""
    asyncio.run(_index(url))


@contextmanager
def workers(count: int, url: str, settle: float) -> Iterator[None]:
    """Indexing processes, which have found their pace after ``settle`` seconds."""
    running = [multiprocessing.Process(target=index, args=(url,)) for _ in range(count)]
    for each in running:
        each.start()
    time.sleep(settle)
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.join()


async def ask(url: str, seconds: float) -> list[float]:
    """Send queries at random moments; milliseconds of each."""
    embedder = HttpEmbedder(VllmEmbedding(url=url))
    took: list[float] = []

    async def query(number: int) -> None:
        began = time.perf_counter()
        await embedder.embed([f"how do I copy a file {number}"], "query")
        took.append((time.perf_counter() - began) * 1000)

    await query(-1)
    took.clear()
    chosen = random.Random(3)  # noqa: S311 - no secret
    end = time.perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        number = 0
        while time.perf_counter() < end:
            group.create_task(query(number))
            number += 1
            await asyncio.sleep(chosen.expovariate(QUERIES_A_SECOND))
    await embedder.close()
    return took


def counted(url: str) -> tuple[float, int, int]:
    """The time, and calls and texts that the embedder has served."""
    with urlopen(f"{url}/counts") as answer:  # noqa: S310 - our own server
        counts = json.load(answer)
    return time.perf_counter(), counts["calls"], counts["texts"]


def measure(seconds: float, count: int, settle: float, *options: str) -> dict[str, float]:
    """All figures: milliseconds of queries, texts a second of indexing, and the ratios."""
    with model_server("--slots", "2", "--ms-a-text", "10", *options) as url:
        idle = asyncio.run(ask(url, seconds))
        with workers(count, url, settle):
            began, _, texts_before = counted(url)
            time.sleep(seconds)
            ended, _, texts_after = counted(url)
            alone = (texts_after - texts_before) / (ended - began)
            began, calls_before, texts_before = counted(url)
            loaded = asyncio.run(ask(url, seconds))
            ended, calls_after, texts_after = counted(url)
    indexed = texts_after - texts_before - len(loaded)
    beside = indexed / (ended - began)
    p95 = float(np.percentile(loaded, 95))
    rows = {
        "idle_p50_ms": float(np.median(idle)),
        "idle_p95_ms": float(np.percentile(idle, 95)),
        "p50_ms": float(np.median(loaded)),
        "p95_ms": p95,
        "p95_ratio": p95 / float(np.percentile(idle, 95)),
        "alone_texts_per_s": alone,
        "texts_per_s": beside,
        "indexing_ratio": beside / alone,
        "share_of_the_embedder": beside / CAPACITY,
        "texts_a_call": indexed / (calls_after - calls_before - len(loaded)),
    }
    return {name: round(value, 2) for name, value in rows.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--settle", type=float, default=8.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--priority", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    flags = ["--priority"] if options.priority else []
    rows = measure(options.seconds, options.workers, options.settle, *flags)
    print(json.dumps(rows) if options.json else "\n".join(f"{name:24}{value:9.2f}" for name, value in rows.items()))


if __name__ == "__main__":
    main()
