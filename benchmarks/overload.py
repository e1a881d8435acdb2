"""Goodput under overload: more searches than the service, or its reranker, can do. ``make load`` runs it.

The service runs on embedded storage with the bundled models. Its capacity is what closed-loop callers get from it at
best, right before and after each load, so that other work on the machine changes both; in between an open-loop client
sends 2, 3 and 6 times that. Goodput is answers with status 200 within the budget.

The second part puts a reranker of 8 searches a second behind it (``slow_reranker.py``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Final, NamedTuple

from open_loop import Answer, Answers, OpenLoop
from stack_processes import Process, cpu_seconds
from systems import free_port

BUDGET: Final = 3.0  # seconds, the default
RERANKS: Final = 8.0  # a second
DOCUMENTS: Final = 2000
PATH: Final = "/v1/collections/docs/search"
_HERE: Final = Path(__file__).resolve().parent


def good(answer: Answer) -> bool:
    """Whether a search was answered in time."""
    return answer.status == 200 and answer.seconds <= BUDGET


def shed(answer: Answer) -> bool:
    """Whether a search was turned away."""
    return answer.status in (429, 503)


@contextmanager
def service(folder: Path, env: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """A running service with a collection ``docs``; yields its port and process id."""
    port = free_port()
    command = [sys.executable, "-m", "winnow.cli.main", "serve", "--port", str(port), "--data-dir", str(folder)]
    process = Process(command, folder.with_suffix(".log"), {"WINNOW_LOG_LEVEL": "error", **env})
    try:
        _wait(port, process)
        _fill(port)
        yield port, process.pid
    finally:
        process.stop()


@contextmanager
def reranker(folder: Path) -> Iterator[str]:
    """A reranker of ``RERANKS`` searches a second; yields its address."""
    port = free_port()
    command = [sys.executable, str(_HERE / "slow_reranker.py"), str(port), str(RERANKS)]
    process = Process(command, folder / "reranker.log")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stop()


def _wait(port: int, process: Process) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end:
        process.require_alive()
        try:
            _call(port, "GET", "/readyz")
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit("the service did not become ready")


def _fill(port: int) -> None:
    words = "copy file folder date parse tree walk thread socket string number list sort time zone path read".split()
    texts = [" ".join(words[(each * step) % len(words)] for step in range(1, 60)) for each in range(DOCUMENTS)]
    documents = [{"id": str(each), "text": f"{each} {text}"} for each, text in enumerate(texts)]
    _call(port, "PUT", "/v1/collections/docs", {})
    for begin in range(0, DOCUMENTS, 500):
        batch = {"documents": documents[begin : begin + 500]}
        _call(port, "POST", "/v1/collections/docs/documents?wait=true", batch)


def _call(port: int, method: str, path: str, body: object = None) -> None:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    request.method = method
    urllib.request.urlopen(request, timeout=300).read()  # noqa: S310


class Measured(NamedTuple):
    """A load, and the goodput in a CPU second of the service, which other work on the machine does not change."""

    answers: Answers
    rate: float
    per_cpu_second: float


async def measured(pid: int, load: Awaitable[Answers]) -> Measured:
    """Measure a load on the service with this process id."""
    began = cpu_seconds(pid)
    answers = await load
    used = cpu_seconds(pid) - began
    return Measured(answers, answers.rate(good), sum(map(good, answers.all)) / used)


async def overload(port: int, pid: int, seconds: float) -> list[str]:
    """Rows of the first table."""
    client = OpenLoop(port, PATH)
    await client.closed(4, 2)  # warm
    alone = (await client.closed(1, 2)).percentile(50, good)
    rates = {callers: (await client.closed(callers, seconds)).rate(good) for callers in (4, 8, 16)}
    callers = max(rates, key=rates.__getitem__)
    rows = [f"{rates[callers]:.0f} searches/s with {callers} callers; one caller: p50 {alone:.1f} ms", ""]
    rows += ["| load | capacity before, after | goodput ÷ capacity | p50 / p99 of answers, ms | shed p50 / p99, ms "]
    rows[-1] += "| recovery, s | goodput ÷ capacity, each in a CPU second |"
    rows += ["|---|---:|---:|---:|---:|---:|---:|"]
    for factor in (1, 2, 3, 6):
        before = await measured(pid, client.closed(callers, seconds / 2))
        found = await measured(pid, client.load(factor * before.rate, seconds))
        recovery = await _recovery(client, alone)
        after = await measured(pid, client.closed(callers, seconds / 2))
        times = [f"{found.answers.percentile(p, kind):.0f}" for kind in (good, shed) for p in (50, 99)]
        rows.append(
            f"| {factor} × | {before.rate:.0f}, {after.rate:.0f} | {found.rate / fmean([before.rate, after.rate]):.2f} "
            f"| {times[0]} / {times[1]} | {times[2]} / {times[3]} | {recovery:.1f} "
            f"| {found.per_cpu_second / fmean([before.per_cpu_second, after.per_cpu_second]):.2f} |"
        )
        rows += _others(found.answers)
    return rows


def _others(found: Answers) -> list[str]:
    kinds = {each.status for each in found.all if not good(each) and not shed(each)}
    return [f"  others: {sorted(kinds)}"] if kinds else []


async def _recovery(client: OpenLoop, alone: float) -> float:
    """Seconds until three searches in a row are as fast as twice one without load."""
    began, fast = time.perf_counter(), 0
    while fast < 3:
        answer = await client.ask()
        fast = fast + 1 if good(answer) and answer.seconds * 1000 <= 2 * alone else 0
        last = answer.sent - began
        await asyncio.sleep(0.05)
    return max(0.0, last - 0.1)


async def slow_second_stage(port: int, seconds: float) -> list[str]:
    """Rows of the second table."""
    without = OpenLoop(port, PATH, rerank=False)
    client = OpenLoop(port, PATH, budget_ms=1500)
    await without.closed(2, 2)
    await client.closed(2, 5)
    rows = ["| load ÷ reranker | reranked/s ÷ its rate | p50 without ÷ p50 without reranking | degraded | others |"]
    rows += ["|---|---:|---:|---:|---:|"]
    for factor in (1, 2, 6):
        usual = (await without.load(factor * RERANKS, seconds / 2)).percentile(50, good)
        found = await client.load(factor * RERANKS, seconds)
        plain = found.percentile(50, lambda each: good(each) and not each.reranked)
        rows.append(
            f"| {factor} × | {found.rate(lambda each: each.reranked) / RERANKS:.2f} | {plain:.1f} ÷ {usual:.1f} ms = "
            f"{plain / usual:.2f} | {found.rate(lambda each: good(each) and not each.reranked):.1f}/s "
            f"| {sum(not good(each) for each in found.all)} |"
        )
    return rows


def main() -> None:
    """Run both parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--part", choices=["service", "reranker"], help="one part alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.part != "reranker":
            with service(folder / "bundled", {}) as (port, pid):
                print(*asyncio.run(overload(port, pid, options.seconds)), "", sep="\n", flush=True)
        if options.part != "service":
            with reranker(folder) as url:
                env = {f"WINNOW_RERANK__{key}": value for key, value in _JINA.items()}
                with service(folder / "remote", {**env, "WINNOW_RERANK__URL": url}) as (port, _):
                    print(*asyncio.run(slow_second_stage(port, options.seconds)), sep="\n", flush=True)


_JINA: Final = {"PROVIDER": "jina", "MODEL": "m", "API_KEY": "none", "MAX_DOCUMENTS": "64"}


if __name__ == "__main__":
    main()
