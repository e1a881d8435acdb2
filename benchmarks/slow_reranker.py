"""A reranker in Jina's shape that does a set number of searches a second and drops calls whose caller left.

``python benchmarks/slow_reranker.py PORT RATE``
"""

from __future__ import annotations

import asyncio
import sys

import orjson
from aiohttp import web


def application(rate: float) -> web.Application:
    """The server; a call takes ``1 / rate`` seconds once it is its turn."""
    turn = asyncio.Lock()

    async def rerank(request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        async with turn:
            await asyncio.sleep(1 / rate)
        results = [{"index": index, "relevance_score": 1 / (2 + index)} for index in range(len(body["documents"]))]
        return web.Response(
            body=orjson.dumps({"results": results, "usage": {"total_tokens": 1}}), content_type="application/json"
        )

    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/{path:.*}", rerank)
    return app


if __name__ == "__main__":
    web.run_app(
        application(float(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]), handler_cancellation=True, print=None
    )
