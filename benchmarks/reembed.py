"""What searches and writes notice of a change of the embedding model: ``python benchmarks/reembed.py``.

A real ``winnow serve`` over SQLite and the embedded engine holds documents of one chunk. Its models are fakes of 32 and
of 64 dimensions, so that what is left is Winnow's own work. Searches and writes (changes, new documents and deletions,
in turns) come at fixed rates, answered or not; a search takes from when it was due. They go on while the second index
is built, searches are switched to it, back, and to it again. At the end documents are compared with their points.

A search fails without an answer, results, or one of its stages. It is mixed unless one model made the vectors of its
query and of its results, and served at that time: scores are compared with the cosines that each model gives the texts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import count, cycle, pairwise, product
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any, Final

import aiohttp
import machine
import numpy as np
from systems import Server, free_port

from winnow.search.lookup import SECONDS as LOOKUP_SECONDS
from winnow.testing.models import FakeEmbedder

OLD, NEW = 32, 64  # dimensions of the two models
ENVIRONMENT: Final = {
    "WINNOW_EMBEDDING__PROVIDER": "custom",
    "WINNOW_EMBEDDING__FACTORY": "winnow.testing.models:FakeEmbedder",
    "WINNOW_EMBEDDING__DIMENSIONS": str(OLD),
    "WINNOW_NEXT_EMBEDDING__PROVIDER": "custom",
    "WINNOW_NEXT_EMBEDDING__FACTORY": "winnow.testing.models:FakeEmbedder",
    "WINNOW_NEXT_EMBEDDING__DIMENSIONS": str(NEW),
    "WINNOW_RERANK__PROVIDER": "custom",
    "WINNOW_RERANK__FACTORY": "winnow.testing.models:FakeReranker",
}
VOCABULARY: Final = ["".join(letters) for letters in product("bdfgklmnprst", "aiou", "bdfgklmnprst", "aiou")]
WORDS, QUERY_WORDS = 12, 4  # of a document, and those of them that are asked for
QUERIES: Final = 200  # asked again and again, so that caches would show an old model's vectors
WARM_UP_SECONDS, POLL_SECONDS, ANSWER_SECONDS = 5.0, 0.5, 30.0
TOLERANCE: Final = 1e-3  # between a score and the cosine that it should be
MAX_RATIO: Final = 2.0


class Refused(Exception):
    """The service answered with an error, or with less than it should."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Texts with their dense scores that a search found; seconds on the monotonic clock."""

    due: float
    ended: float
    query: str
    hits: tuple[tuple[str, float], ...]

    async def models(self) -> set[int]:
        """Dimensions of the models whose cosines the scores are."""
        texts, scores = zip(*self.hits, strict=True)
        made = {each: await FakeEmbedder(each).embed([self.query, *texts], "document") for each in (OLD, NEW)}
        cosines = {each: embedded.vectors[1:] @ embedded.vectors[0] for each, embedded in made.items()}
        return {each for each, values in cosines.items() if np.allclose(values, scores, atol=TOLERANCE)}


class House:
    """A collection behind its service, and the clients that search it, write to it and change its model."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._collection = f"{url}/v1/collections/bench"
        self._chance = random.Random(1)  # noqa: S311 - the same in every run
        self._names = (f"document-{number}" for number in count())
        self._kinds = cycle(("change", "add", "delete"))
        self._documents: list[tuple[str, str]] = []  # id and text of those with no write under way
        self._queries: list[str] = []
        self._served = [(monotonic(), inf, OLD)]  # from when to when, at the widest, which model did
        self.answers: list[Answer] = []
        self.writes = 0
        self.failures: dict[str, list[str]] = {"search": [], "write": []}

    async def fill(self, documents: int) -> None:
        """Hand in so many and wait until they can be found."""
        await self._call("PUT", "", {})
        self._documents = [(next(self._names), self._text()) for _ in range(documents)]
        self._queries = [" ".join(text.split()[:QUERY_WORDS]) for _, text in self._documents[:QUERIES]]
        batch = [{"id": name, "text": text} for name, text in self._documents]
        await self._call("POST", "/documents", {"documents": batch})
        await self._rest()

    async def search(self, due: float) -> None:
        """Ask for some words that a document has, or had."""
        query = self._chance.choice(self._queries)
        try:
            found = await self._call("POST", "/search", {"query": query})
            self.answers.append(Answer(due, monotonic(), query, _hits(found)))
        except (Refused, aiohttp.ClientError, TimeoutError) as error:
            self.failures["search"].append(repr(error))

    async def write(self, _due: float) -> None:
        """Change a document, hand in another, or delete one, in turns."""
        kind = next(self._kinds)
        name, text = next(self._names), self._text()
        if kind != "add":  # a document that no other write touches until it is put back
            name, _ = self._documents.pop(self._chance.randrange(len(self._documents)))
        self.writes += 1
        try:
            if kind == "delete":
                await self._call("DELETE", f"/documents/{name}")
            else:
                await self._call("PUT", f"/documents/{name}", {"text": text})
                self._documents.append((name, text))
        except (Refused, aiohttp.ClientError, TimeoutError) as error:
            self.failures["write"].append(repr(error))

    async def build(self) -> None:
        """Have the second index built."""
        view = await self._call("POST", "/reembed")
        while view["state"] == "building":
            if view["failed"]:
                raise SystemExit(f"documents cannot be brought over: {view['failures'][:3]}")
            await asyncio.sleep(POLL_SECONDS)
            view = await self._call("GET", "/reembed")

    async def turn(self, action: str) -> None:
        """``switch`` or ``rollback``."""
        asked = monotonic()
        view = await self._call("POST", f"/reembed:{action}")
        since, _, model = self._served.pop()
        # a search that has just looked the collection up still uses the other index, and may: with its own model
        self._served += [(since, monotonic() + LOOKUP_SECONDS, model), (asked, inf, view["serving"]["dimensions"])]

    async def mixed(self) -> int:
        """Answers that are not of one model that served while they were made."""
        found = 0
        for each in self.answers:
            served = {model for since, end, model in self._served if since <= each.ended and each.due <= end}
            found += not served & await each.models()
        return found

    async def damaged(self) -> int:
        """Documents that are lost, too many, damaged, or not in both indexes."""
        await self._rest()
        report = json.loads((await self._call("POST", ":verify")).rpartition("data: ")[2])  # the last event's
        if "sound" not in report:
            raise SystemExit(f"the comparison broke off: {report}")
        lacking = (await self._call("GET", "/reembed"))["lacking"]
        return int(report["damaged"] + report["waiting"] + lacking + abs(report["documents"] - len(self._documents)))

    async def _rest(self) -> None:
        while (counts := (await self._call("GET", ""))["counts"])["pending"] or counts["deleting"]:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        async with self._client.request(method, self._collection + path, json=body) as response:
            if response.status >= 300:
                raise Refused(f"{method} {path} was answered {response.status}: {(await response.text())[:300]}")
            return await (response.json() if response.content_type == "application/json" else response.text())

    def _text(self) -> str:
        return " ".join(self._chance.sample(VOCABULARY, WORDS))


def _hits(found: dict[str, Any]) -> tuple[tuple[str, float], ...]:
    """Texts and dense scores. Raises ``Refused`` where the answer is less than it should be."""
    embedded = found["stages"]["embed"]["status"] in ("ok", "cached")
    if found["degraded"] or not embedded or found["score_kind"] != "relevance":
        raise Refused(f"a stage is missing: {found['stages']}")
    dense = [(each["text"], each["stages"]["dense"]) for each in found["results"]]
    if not any(score for _, score in dense):
        raise Refused(f"{len(dense)} results, none by its vector")
    return tuple((text, score["score"]) for text, score in dense if score)


async def steadily(rate: float, send: Callable[[float], Coroutine[Any, Any, None]], ending: asyncio.Event) -> None:
    """Send so many a second, whether or not the ones before have been answered; returns when all have been."""
    began = monotonic()
    async with asyncio.TaskGroup() as group:
        for number in count():
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - monotonic()))
            if ending.is_set():
                return
            group.create_task(send(due))


async def change(house: House, seconds: float) -> dict[str, tuple[float, float]]:
    """Wait, build the second index, switch, roll back, and switch again; begin and end of these phases."""
    await asyncio.sleep(WARM_UP_SECONDS)
    moments = [monotonic()]
    await asyncio.sleep(seconds)
    moments.append(monotonic())
    await house.build()
    moments.append(monotonic())
    for action in ("switch", "rollback", "switch"):
        await house.turn(action)
        await asyncio.sleep(seconds / 3)
    moments.append(monotonic())
    return dict(zip(("before", "building", "switching"), pairwise(moments), strict=True))


async def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Fill a collection, change its model under load, and look at what is left."""
    port = free_port()
    start = (
        f"from winnow.cli.main import main; main(['serve', '--port', '{port}', '--data-dir', {str(folder / 'data')!r}])"
    )
    server = Server([sys.executable, "-c", start], port, "/readyz", ENVIRONMENT, folder / "serve.log")
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with server, aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
        house, ending = House(client, server.url), asyncio.Event()
        await house.fill(options.chunks)
        async with asyncio.TaskGroup() as group:
            group.create_task(steadily(options.searches, house.search, ending))
            group.create_task(steadily(options.writes, house.write, ending))
            phases = await change(house, options.seconds)
            ending.set()
        return await figures(house, phases)


async def figures(house: House, phases: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Latencies by phase, and what has a target: with its bound."""
    rows = {}
    for phase, (began, ended) in phases.items():
        times = [(each.ended - each.due) * 1000 for each in house.answers if began <= each.due < ended]
        p50, p99 = np.percentile(times, (50, 99))
        rows[phase] = {"seconds": ended - began, "searches": len(times), "p50_ms": p50, "p99_ms": p99}
    searches, writes = len(house.answers) + len(house.failures["search"]), house.writes
    values = {
        "p99, building ÷ before": (rows["building"]["p99_ms"] / rows["before"]["p99_ms"], MAX_RATIO),
        f"failed searches of {searches:,}": (len(house.failures["search"]), 0),
        f"failed writes of {writes:,}": (len(house.failures["write"]), 0),
        "mixed answers": (await house.mixed(), 0),
        "documents lost or damaged": (await house.damaged(), 0),
    }
    reasons = [reason for each in house.failures.values() for reason in each[:3]]
    return {"phases": rows, "values": values, "reasons": reasons}


def main() -> int:
    """Measure and print the tables; returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--chunks", type=int, default=20_000, help="documents, of one chunk each")
    parser.add_argument("--searches", type=float, default=20, help="a second")
    parser.add_argument("--writes", type=float, default=20, help="a second")
    parser.add_argument("--seconds", type=float, default=30, help="measured before the change, and with the switches")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    options = parser.parse_args()
    about = {**machine.describe(), "chunks": f"{options.chunks:,}"}
    with tempfile.TemporaryDirectory(prefix="winnow-reembed-") as folder:
        measured = asyncio.run(measure(Path(folder), options))
    for key, value in about.items():
        print(f"- {key}: {value}")
    print("\n| phase | seconds | searches | p50 ms | p99 ms |\n|---|---:|---:|---:|---:|")
    for phase, row in measured["phases"].items():
        print(f"| {phase} | {row['seconds']:.1f} | {row['searches']:,} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} |")
    print("\n| figure | value | target |\n|---|---:|---:|")
    for name, (value, bound) in measured["values"].items():
        print(f"| {name} | {value:.4g} | ≤ {bound} |")
    print("", *measured["reasons"], sep="\n")
    if options.json is not None:
        options.json.write_text(json.dumps({"about": about, **measured}, indent=2) + "\n", encoding="utf-8")
    return 0 if all(value <= bound for value, bound in measured["values"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
