"""The two systems, each behind its own HTTP server on loopback, started and asked in the same way."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp

from winnow.core.types import Document

TOP_N = 10
_START_SECONDS = 180


class System(Protocol):
    """Something that indexes documents and answers queries over HTTP."""

    name: str

    async def index(self, client: aiohttp.ClientSession, documents: Sequence[Document]) -> float:
        """Index ``documents`` in place of what was there; seconds until the last one is searchable."""
        ...

    async def search(self, client: aiohttp.ClientSession, query: str) -> int:
        """Ask for the ten best results; how many came."""
        ...


class Server:
    """A child process that serves HTTP on a free port of loopback while the ``async with`` block runs."""

    def __init__(self, command: Sequence[str], port: int, ready: str, env: Mapping[str, str], log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command, self._ready, self._env, self._log = command, ready, env, log
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env={**os.environ, **self._env}, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            await self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    async def _wait(self) -> None:
        end = time.monotonic() + _START_SECONDS
        async with aiohttp.ClientSession() as client:
            while self._process is not None and self._process.poll() is None and time.monotonic() < end:
                try:
                    async with client.get(self.url + self._ready) as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.2)
        tail = self._log.read_text(errors="replace")[-2000:]
        raise SystemExit(f"{' '.join(self._command)} did not come up; its log ends:\n{tail}")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)


class Winnow:
    """Winnow with default settings on an empty data directory: hybrid retrieval, then the second stage."""

    name = "winnow"

    def __init__(self, url: str) -> None:
        self._collections = f"{url}/v1/collections"
        self._jobs = f"{url}/v1/jobs"
        self._round = 0

    @staticmethod
    def server(folder: Path) -> Server:
        """Run ``winnow serve`` with its data in ``folder``."""
        port = free_port()
        start = f"from winnow.cli.main import main; main(['serve', '--port', '{port}', '--data-dir', {str(folder)!r}])"
        return Server([sys.executable, "-c", start], port, "/readyz", {}, folder.with_suffix(".log"))

    async def index(self, client: aiohttp.ClientSession, documents: Sequence[Document]) -> float:
        if self._round:
            await _call(client, "DELETE", self._collection)
        self._round += 1
        await _call(client, "PUT", self._collection, {})
        batch = [{"id": item.id, "title": item.title, "text": item.text} for item in documents]
        started = time.perf_counter()
        answer = await _call(client, "POST", f"{self._collection}/documents", {"documents": batch})
        job: dict[str, Any] = {"status": "pending"}
        while job["status"] != "done":
            await asyncio.sleep(0.05)
            job = await _call(client, "GET", f"{self._jobs}/{answer['job_id']}")
        seconds = time.perf_counter() - started
        if answer["rejected"] or job["failed"]:
            raise SystemExit(f"winnow did not index every document: {answer['rejected'] or job}")
        return seconds

    async def search(self, client: aiohttp.ClientSession, query: str) -> int:
        answer = await _call(client, "POST", f"{self._collection}/search", {"query": query, "top_n": TOP_N})
        if answer["degraded"] or answer["score_kind"] != "relevance":
            raise SystemExit(f"winnow answered without its second stage: {answer['stages']}")
        return len(answer["results"])

    @property
    def _collection(self) -> str:
        return f"{self._collections}/peers-{self._round}"


class Txtai:
    """txtai with the settings of its own documentation: one stage, dense vectors, content stored."""

    name = "txtai"

    def __init__(self, url: str) -> None:
        self._url = url

    @staticmethod
    def server(python: Path, folder: Path, model: Path) -> Server:
        """Serve txtai's own API with uvicorn, in the virtual environment of ``python``."""
        port = free_port()
        config = folder / "txtai.yml"
        config.write_text(f"writable: true\nembeddings:\n  path: {model}\n  content: true\n", encoding="utf-8")
        command = [str(python), "-m", "uvicorn", "txtai.api:app", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--no-access-log"]
        env = {"CONFIG": str(config), "HF_HUB_OFFLINE": "1"}
        return Server(command, port, "/count", env, folder / "txtai.log")

    async def index(self, client: aiohttp.ClientSession, documents: Sequence[Document]) -> float:
        batch = [{"id": item.id, "text": txtai_text(item)} for item in documents]
        started = time.perf_counter()
        await _call(client, "POST", f"{self._url}/add", batch)
        await _call(client, "GET", f"{self._url}/index")
        seconds = time.perf_counter() - started
        if (count := await _call(client, "GET", f"{self._url}/count")) != len(documents):
            raise SystemExit(f"txtai holds {count} of {len(documents)} documents")
        return seconds

    async def search(self, client: aiohttp.ClientSession, query: str) -> int:
        return len(await _call(client, "GET", f"{self._url}/search", params={"query": query, "limit": str(TOP_N)}))


def txtai_text(document: Document) -> str:
    """A document for txtai, which knows no titles: the title is the first line."""
    return f"{document.title}\n{document.text}" if document.title else document.text


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def _call(
    client: aiohttp.ClientSession, method: str, url: str, body: Any = None, params: Mapping[str, str] | None = None
) -> Any:
    async with client.request(method, url, json=body, params=params) as response:
        if response.status >= 300:
            raise SystemExit(f"{method} {url} answered {response.status}: {(await response.text())[:500]}")
        return await response.json() if response.status != 204 else None
