"""CPU seconds of indexing with the bundled models, on servers and embedded: ``python benchmarks/feed_bundled.py``.

The same documents go to an embedded service, and to a service with one ``winnow worker`` on PostgreSQL and a Qdrant
server that answers at once (``instant_servers.py``). PostgreSQL's part is shown apart; a real Qdrant server's is not
there, while the embedded engine, a child of the service, is part of the embedded figure.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import aiohttp
from feed import Cpu, servers, started
from systems import free_port
from texts import load_texts

from winnow.core.types import Document

MAIN: Final = "import sys; from winnow.cli.main import main; sys.argv[0] = 'winnow'; main(sys.argv[1:])"
POLL_SECONDS: Final = 0.2


async def index(texts: Sequence[Document], env: dict[str, str], folder: Path, stack: ExitStack) -> Sequence[float]:
    """CPU seconds of the service and, on servers, of the worker and PostgreSQL, for indexing ``texts``."""
    port = free_port()
    command = [sys.executable, "-c", MAIN]
    serve = [*command, "serve", "--port", str(port)]
    parts = [Cpu(stack.enter_context(started(serve, env, folder / "service.log")).pid)]
    if "POSTGRES_PID" in env:
        parts.append(Cpu(stack.enter_context(started([*command, "worker"], env, folder / "worker.log")).pid))
        parts.append(Cpu(int(env["POSTGRES_PID"])))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:

        async def call(method: str, path: str, body: Any = None) -> Any:
            async with client.request(method, path, json=body) as response:
                return await response.json()

        async def warm_up() -> None:
            """Index one document, so that every model is loaded and every graph compiled."""
            await finish([{"id": "first", "text": texts[0].text}])

        async def finish(batch: Sequence[dict[str, str]]) -> None:
            answer = await call("POST", "/v1/collections/docs/documents", {"documents": batch})
            job: dict[str, Any] = {"status": "pending"}
            while job["status"] != "done":
                await asyncio.sleep(POLL_SECONDS)
                job = await call("GET", f"/v1/jobs/{answer['job_id']}")
            if job["failed"]:
                raise SystemExit(f"documents failed: {job['failures'][:1]}")

        while True:
            try:
                await call("PUT", "/v1/collections/docs", {})
                break
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(POLL_SECONDS)
        await warm_up()
        before = [part.seconds() for part in parts]
        await finish([{"id": item.id, "title": item.title, "text": item.text} for item in texts])
        return [part.seconds() - was for part, was in zip(parts, before, strict=True)]


async def on_servers(texts: Sequence[Document]) -> Sequence[float]:
    """Service, worker and PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="wf-", ignore_cleanup_errors=True) as name, ExitStack() as stack:
        env, postgres, _ = servers(Path(name), stack)
        env = {key: value for key, value in env.items() if not key.startswith(("WINNOW_EMBEDDING", "WINNOW_RERANK"))}
        return await index(texts, env | {"POSTGRES_PID": str(postgres)}, Path(name), stack)


async def embedded(texts: Sequence[Document]) -> Sequence[float]:
    """One service with its engine."""
    with tempfile.TemporaryDirectory(prefix="wf-", ignore_cleanup_errors=True) as name, ExitStack() as stack:
        return await index(texts, {"WINNOW_DATA_DIR": f"{name}/data"}, Path(name), stack)


def main() -> None:
    """Index on both, print the figures and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="a test collection (default: the standard library's docstrings)")
    parser.add_argument("--documents", type=int, default=800)
    options = parser.parse_args()
    texts = asyncio.run(load_texts(options.data, options.documents)).documents
    os.environ["WINNOW_LOG_LEVEL"] = "warning"
    alone = asyncio.run(embedded(texts))
    service, worker, postgres = asyncio.run(on_servers(texts))
    print(f"{len(texts)} documents, CPU seconds: embedded {alone[0]:.1f}")
    print(f"on servers: service {service:.1f}, worker {worker:.1f}, PostgreSQL {postgres:.1f}")
    print(f"service and worker ÷ embedded: {(service + worker) / alone[0]:.2f}")


if __name__ == "__main__":
    main()
