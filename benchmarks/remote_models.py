"""The CPU time that the client for remote models takes: embedding a query, reranking 50 candidates.

    python benchmarks/remote_models.py [--calls 2000] [--json]

The models run in another process and answer at once, in vLLM's shape: 1,024 dimensions, passages of 250 tokens. Calls
follow each other, so milliseconds on the clock hold the server's share too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from winnow.core.settings.embedding import VllmEmbedding
from winnow.core.settings.rerank import VllmRerank
from winnow.core.types import Chunk
from winnow.models.http.embed import HttpEmbedder
from winnow.models.http.rerank import HttpReranker
from winnow.ports import EmbeddedQuery, Passage

CANDIDATES = 50
WORDS = Path(__file__).read_text("utf-8").split()


@contextmanager
def model_server(*options: str) -> Iterator[str]:
    """A server of models in another process; its address."""
    command = [sys.executable, str(Path(__file__).with_name("model_servers.py")), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()


def texts(count: int, words: int = 190) -> list[str]:
    """Texts of some 250 tokens."""
    chosen = random.Random(7)  # noqa: S311 - no secret
    return [" ".join(chosen.choices(WORDS, k=words)) for _ in range(count)]


async def measured(call: Callable[[int], Awaitable[object]], calls: int) -> dict[str, float]:
    """Milliseconds of CPU and of the clock that a call takes, after some that do not count."""
    for number in range(100):
        await call(number)
    cpu, clock = time.process_time(), time.perf_counter()
    for number in range(calls):
        await call(number)
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    return {"cpu_ms": round(cpu / calls * 1000, 3), "ms": round(clock / calls * 1000, 3)}


async def run(url: str, calls: int) -> dict[str, dict[str, float]]:
    """All rows."""
    embedder, reranker = HttpEmbedder(VllmEmbedding(url=url)), HttpReranker(VllmRerank(url=url))
    passages = [Passage(Chunk(0, 0, len(text), text), "A title") for text in texts(CANDIDATES)]
    documents = texts(32)
    try:
        return {
            "embed a query": await measured(lambda n: embedder.embed([f"how do I copy a file {n}"], "query"), calls),
            "embed 32 chunks": await measured(lambda _: embedder.embed(documents, "document"), calls // 4),
            "rerank 50": await measured(
                lambda n: reranker.rerank(EmbeddedQuery(f"how do I copy a file {n}"), passages), calls
            ),
        }
    finally:
        await embedder.close()
        await reranker.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with model_server() as url:
        rows = asyncio.run(run(url, options.calls))
    if options.json:
        print(json.dumps(rows))
    else:
        for name, row in rows.items():
            print(f"{name:18}{row['cpu_ms']:8.3f} ms of CPU{row['ms']:8.3f} ms")


if __name__ == "__main__":
    main()
