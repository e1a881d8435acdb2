"""What a door adds to the native call: the service in process, over models that cost nothing.

    python benchmarks/doors.py [--rounds 400]

Calls of a door and native ones alternate, so that what else the machine does meets both; each is measured in CPU time
of the process, which holds the models, the engine and the client as well. Doors that search are compared with the
native search. Doors of models have no native route; they are compared with their use case and an empty exchange.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import httpx2
import structlog

sys.path.insert(0, str(Path(__file__).parents[1]))

from indexer.worker.loop import Worker
from service.app import create_app
from tests.fakes import FAKES
from winnow.core.principal import LOCAL
from winnow.core.settings import load_settings
from winnow.operations.model_calls import TextToEmbed, embed_texts, rank_texts
from winnow.runtime import open_local

QUERY: Final = "how do I copy a file"
DOCUMENTS: Final = [f"document {number} says how to copy a file" for number in range(20)]
SEARCHES: Final[dict[str, tuple[str, Any]]] = {
    "OpenAI vector stores": ("/v1/vector_stores/docs/search", {"query": QUERY}),
    "Dify": ("/retrieval", {"knowledge_id": "docs", "query": QUERY, "retrieval_setting": {"top_k": 10}}),
    "Open WebUI": ("/v1/collections/docs/web-search", {"query": QUERY, "count": 10}),
}
RERANKS: Final = {
    "Cohere": ("/v2/rerank", {"query": QUERY, "documents": DOCUMENTS}),
    "TEI": ("/rerank", {"query": QUERY, "texts": DOCUMENTS}),
    "DashScope": (
        "/api/v1/services/rerank/text-rerank/text-rerank",
        {"input": {"query": QUERY, "documents": DOCUMENTS}},
    ),
}
EMBEDDINGS: Final = {"OpenAI": ("/v1/embeddings", {"input": DOCUMENTS}), "TEI": ("/embed", {"inputs": DOCUMENTS})}
MCP: Final[dict[str, Any]] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "search", "arguments": {"query": QUERY, "collection": "docs"}},
}
NEWER: Final = "2026-07-28"
NEWER_MCP: Final[dict[str, Any]] = {
    **MCP,
    "params": {
        **MCP["params"],
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": NEWER,
            "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    },
}
NEWER_HEADERS: Final = {"MCP-Protocol-Version": NEWER, "Mcp-Method": "tools/call", "Mcp-Name": "search"}
HEADERS: Final = {"Accept": "application/json, text/event-stream"}
Call: TypeAlias = Callable[[], Awaitable[Any]]


async def added(door: Call, native: Call, rounds: int) -> float:
    """Milliseconds of CPU time that the door takes more, p50, over alternating calls."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + rounds // 10):
        for call, times in zip((door, native), taken, strict=True):
            began = time.process_time()
            await call()
            if number >= rounds // 10:  # the first ones warm up
                times.append(time.process_time() - began)
    return 1000 * (statistics.median(taken[0]) - statistics.median(taken[1]))


async def measure(client: httpx2.AsyncClient, state: Any, rounds: int) -> None:
    """Print the added time of each door."""

    def sends(path: str, body: Any, more: dict[str, str] | None = None) -> Call:
        content = json.dumps(body).encode()
        headers = HEADERS | {"Content-Type": "application/json"} | (more or {})

        async def send() -> None:
            (await client.post(path, content=content, headers=headers)).raise_for_status()

        return send

    async def rank() -> None:
        await client.get("/healthz")
        await state.work.call_model(LOCAL, lambda: rank_texts(state.resources, LOCAL, QUERY, DOCUMENTS))

    async def embed() -> None:
        await client.get("/healthz")
        texts = [TextToEmbed(each) for each in DOCUMENTS]
        await state.work.call_model(LOCAL, lambda: embed_texts(state.resources, LOCAL, texts))

    native = sends("/v1/collections/docs/search", {"query": QUERY, "highlight": False})
    every = [("search", name, sends(*each), native) for name, each in SEARCHES.items()]
    every.append(("search", "MCP, 2025 and before", sends("/mcp", MCP), native))
    every.append(("search", f"MCP, {NEWER}", sends("/mcp", NEWER_MCP, NEWER_HEADERS), native))
    every += [("rerank", name, sends(*each), rank) for name, each in RERANKS.items()]
    every += [("embeddings", name, sends(*each), embed) for name, each in EMBEDDINGS.items()]
    for kind, name, door, other in every:
        print(f"{kind:12} {name:22} {await added(door, other, rounds):+.2f} ms")


async def main() -> None:
    """Fill a collection of 200 documents, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400)
    rounds = parser.parse_args().rounds
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        async with open_local(load_settings(data_dir=Path(folder), **FAKES)) as local:
            app = create_app(local.resources.settings, local.resources)
            async with (
                app.router.lifespan_context(app),
                httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1") as client,
            ):
                await client.put("/v1/collections/docs")
                documents = [
                    {"id": str(n), "text": f"{text} {n}", "url": f"https://site.example/{n}"}
                    for n in range(10)
                    for text in DOCUMENTS
                ]
                documents = [each | {"id": f"{number}"} for number, each in enumerate(documents)]
                path = "/v1/collections/docs/documents"
                filled = await client.post(path, json={"documents": documents})
                filled.raise_for_status()
                while await cast("Worker", local.worker).work_once():
                    pass
                await measure(client, app.state.service, rounds)


if __name__ == "__main__":
    asyncio.run(main())
