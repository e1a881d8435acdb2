"""A server of models in vLLM's shape for benchmarks: an embedder and a reranker that answer at once, or slowly.

    python benchmarks/model_servers.py [--slots 2 --ms-a-text 10] [--priority]

It prints its address and serves until its input ends. Vectors and scores are made up; every text has its own. With
``--slots`` that many embedding calls are served at a time, in the order of their arrival, or by vLLM's field
``priority`` (lower is earlier) where it knows that; each text of a call takes its time.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import heapq
import itertools
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import orjson
from aiohttp import web

DIMENSIONS = 1024
_DISTINCT = 512


@dataclass
class Slots:
    """Places at a model; those who wait are served by priority, then in the order of their arrival."""

    free: int
    waiting: list[tuple[int, int, asyncio.Future[None]]] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    @asynccontextmanager
    async def one(self, priority: int) -> AsyncIterator[None]:
        """Wait for a place, and have it."""
        if self.free:
            self.free -= 1
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self.waiting, (priority, next(self.numbers), turn))
            await turn
        try:
            yield
        finally:
            while self.waiting and (turn := heapq.heappop(self.waiting)[2]):
                if not turn.done():
                    turn.set_result(None)
                    break
            else:
                self.free += 1


class ModelServer:
    """Answers ``/v1/embeddings`` and ``/v1/rerank``; counts calls and texts.

    Args:
        slots: embedding calls that are served at a time; 0: all.
        seconds: that a text takes; 0: none.
        priority: whether the field ``priority`` is known; else another value than 0 is refused.
    """

    def __init__(self, slots: int = 0, seconds: float = 0.0, *, priority: bool = False) -> None:
        self._slots = Slots(slots or sys.maxsize)
        self._seconds = seconds
        self._priority = priority
        self.calls = self.texts = 0
        rows = np.random.default_rng(1).standard_normal((_DISTINCT, DIMENSIONS), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        self._vectors = [base64.b64encode(row.tobytes()).decode() for row in rows]

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application(client_max_size=1 << 28)
        app.router.add_post("/v1/embeddings", self._embed)
        app.router.add_post("/v1/rerank", self._rerank)
        app.router.add_get("/health", self._health)
        app.router.add_get("/counts", self._counts)
        return app

    async def _embed(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        texts, priority = body["input"], body.get("priority", 0)
        if priority and not self._priority:
            error = {"message": "Got priority but the model does not use priority scheduling.", "code": 400}
            return _json({"error": error}, 400)
        async with self._slots.one(priority):
            if self._seconds:
                await asyncio.sleep(self._seconds * len(texts))
        self.calls += 1
        self.texts += len(texts)
        data = [
            {"index": i, "object": "embedding", "embedding": self._vectors[zlib.crc32(text.encode()) % _DISTINCT]}
            for i, text in enumerate(texts)
        ]
        tokens = sum(map(len, texts)) // 4
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return _json({"id": "embd-1", "object": "list", "model": body["model"], "data": data, "usage": usage})

    async def _rerank(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        scored = [(i, text, zlib.crc32(text.encode()) / 2**32) for i, text in enumerate(body["documents"])]
        scored.sort(key=lambda row: -row[2])
        results = [
            {"index": i, "document": {"text": text, "multi_modal": None}, "relevance_score": score}
            for i, text, score in scored
        ]
        tokens = sum(map(len, body["documents"])) // 4
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return _json({"id": "score-1", "model": body["model"], "usage": usage, "results": results})

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _counts(self, _: web.Request) -> web.Response:
        return _json({"calls": self.calls, "texts": self.texts})


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


async def _serve(server: ModelServer) -> None:
    runner = web.AppRunner(server.app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=0)
    parser.add_argument("--ms-a-text", type=float, default=0.0)
    parser.add_argument("--priority", action="store_true")
    options = parser.parse_args()
    asyncio.run(_serve(ModelServer(options.slots, options.ms_a_text / 1000, priority=options.priority)))


if __name__ == "__main__":
    main()
