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
from itertools import count, cycle
from pathlib import Path
from typing import Any, Final

import aiohttp
import machine
import numpy as np
from systems import Server, free_port

from retrieval.lookup import SECONDS as LOOKUP_SECONDS
from retrieval.models.fakes import FakeEmbedder

OLD, NEW = 32, 64  # dimensions of the two models
ENVIRONMENT: Final = {
    "WINNOW_EMBEDDING__PROVIDER": "fake",
    "WINNOW_EMBEDDING__DIMENSIONS": str(OLD),
    "WINNOW_NEXT_EMBEDDING__PROVIDER": "fake",
    "WINNOW_NEXT_EMBEDDING__DIMENSIONS": str(NEW),
    "WINNOW_RERANK__PROVIDER": "fake",
}
VOCABULARY: Final = [f"word{number}" for number in range(2_000)]
WORDS: Final = 12  # of a document
QUERY_WORDS: Final = 4
BATCH: Final = 500  # documents handed in at once before the load begins
WARM_UP_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 30.0
TOLERANCE: Final = 1e-3  # between a score and the cosine that it should be

Send = Callable[[float], Coroutine[Any, Any, None]]


class Refused(Exception):
    """The service answered with an error, or with less than it should."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Texts with their dense scores that a search found; times on the event loop's clock."""

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
    """A collection behind its service, and the clients that search it and write to it."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._collection = f"{url}/v1/collections/bench"
        self._chance = random.Random(1)  # noqa: S311 - the same in every run
        self._names = (f"document-{number}" for number in count())
        self._kinds = cycle(("change", "add", "delete"))
        self.documents: list[tuple[str, str]] = []  # id and text of those with no write under way
        self.answers: list[Answer] = []
        self.failed_searches: list[str] = []
        self.writes = 0
        self.failed_writes: list[str] = []

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON, or its text where it is none. Raises ``Refused``, and what aiohttp raises."""
        async with self._client.request(method, self._collection + path, json=body) as response:
            if response.status >= 300:
                raise Refused(f"{method} {path} was answered {response.status}: {(await response.text())[:300]}")
            return await (response.json() if response.content_type == "application/json" else response.text())

    async def fill(self, documents: int) -> None:
        """Hand in so many and wait until they can be found."""
        await self.call("PUT", "", {})
        self.documents = [(next(self._names), self._text()) for _ in range(documents)]
        for begin in range(0, documents, BATCH):
            batch = [{"id": name, "text": text} for name, text in self.documents[begin : begin + BATCH]]
            await self.call("POST", "/documents", {"documents": batch})
        await self.rest()

    async def rest(self) -> None:
        """Wait until nothing is left to be indexed or deleted."""
        while (counts := (await self.call("GET", ""))["counts"])["pending"] or counts["deleting"]:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)

    async def search(self, due: float) -> None:
        """Ask for some words of a document."""
        words = self._chance.choice(self.documents)[1].split()
        query = " ".join(self._chance.sample(words, QUERY_WORDS))
        try:
            found = await self.call("POST", "/search", {"query": query})
            self.answers.append(Answer(due, asyncio.get_running_loop().time(), query, _hits(found)))
        except (Refused, aiohttp.ClientError, TimeoutError) as error:
            self.failed_searches.append(f"search: {error!r}")

    async def write(self, _due: float) -> None:
        """Change a document, hand in another, or delete one, in turns."""
        kind = next(self._kinds)
        name, text = next(self._names) if kind == "add" else self._take(), self._text()
        self.writes += 1
        try:
            if kind == "delete":
                await self.call("DELETE", f"/documents/{name}")
            else:
                await self.call("PUT", f"/documents/{name}", {"text": text})
                self.documents.append((name, text))
        except (Refused, aiohttp.ClientError, TimeoutError) as error:
            self.failed_writes.append(f"{kind}: {error!r}")

    async def damage(self) -> int:
        """Documents that are lost, too many, damaged, or not in both indexes."""
        await self.rest()
        kind, _, data = (await self.call("POST", ":verify")).replace("\r", "").strip().rpartition("event: ")[2].partition("\n")
        if kind != "done":
            raise SystemExit(f"the comparison broke off: {data}")
        report = json.loads(data.removeprefix("data: "))
        lacking = (await self.call("GET", "/reembed"))["lacking"]
        miscounted = abs(report["documents"] - len(self.documents))
        return int(report["damaged"] + report["waiting"] + lacking + miscounted)

    def _text(self) -> str:
        return " ".join(self._chance.sample(VOCABULARY, WORDS))

    def _take(self) -> str:
        """Any document, which no other write touches until it is put back."""
        return self.documents.pop(self._chance.randrange(len(self.documents)))[0]


def _hits(found: dict[str, Any]) -> tuple[tuple[str, float], ...]:
    """Texts and dense scores. Raises ``Refused`` where the answer is less than it should be."""
    embedded = found["stages"]["embed"]["status"] in ("ok", "cached")
    if found["degraded"] or not embedded or found["score_kind"] != "relevance":
        raise Refused(f"a stage is missing: {found['stages']}")
    dense = [(each["text"], each["stages"]["dense"]) for each in found["results"]]
    if not any(score for _, score in dense):
        raise Refused(f"{len(dense)} results, none by its vector")
    return tuple((text, score["score"]) for text, score in dense if score)


async def steadily(rate: float, send: Send, ending: asyncio.Event) -> None:
    """Send so many a second, whether or not the ones before have been answered; returns when all have been."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in count():
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            if ending.is_set():
                return
            group.create_task(send(due))


class Change:
    """The change of the model: begin and end of its phases, and from when to when each model may have served."""

    def __init__(self, house: House, seconds: float) -> None:
        self._house = house
        self._seconds = seconds
        self._now = asyncio.get_running_loop().time
        self.phases: dict[str, tuple[float, float]] = {}
        self._served = [(self._now(), float("inf"), OLD)]

    async def run(self) -> None:
        """Wait, build, switch, roll back, and switch again."""
        await asyncio.sleep(WARM_UP_SECONDS)
        began = self._now()
        await asyncio.sleep(self._seconds)
        started = self._now()
        await self._build()
        built = self._now()
        for action in ("switch", "rollback", "switch"):
            await self._turn(action)
            await asyncio.sleep(self._seconds / 3)
        self.phases = {"before": (began, started), "building": (started, built), "switching": (built, self._now())}

    async def _build(self) -> None:
        say("building the second index")
        view = await self._house.call("POST", "/reembed")
        while view["state"] == "building":
            if view["failed"]:
                raise SystemExit(f"documents cannot be brought over: {view['failures'][:3]}")
            await asyncio.sleep(POLL_SECONDS)
            view = await self._house.call("GET", "/reembed")

    async def _turn(self, action: str) -> None:
        say(action)
        asked = self._now()
        view = await self._house.call("POST", f"/reembed:{action}")
        since, _, before = self._served.pop()
        end = self._now() + LOOKUP_SECONDS  # a search may have looked the collection up just before
        self._served += [(since, end, before), (asked, float("inf"), view["serving"]["dimensions"])]

    async def is_mixed(self, answer: Answer) -> bool:
        """Whether an answer is not of one model that served while it was under way."""
        served = {model for since, end, model in self._served if since <= answer.ended and answer.due <= end}
        return not served & await answer.models()

    def percentiles(self, phase: str) -> tuple[float, float]:
        """p50 and p99 of the searches that were due in a phase, milliseconds."""
        began, ended = self.phases[phase]
        times = [(each.ended - each.due) * 1000 for each in self._house.answers if began <= each.due < ended]
        p50, p99 = np.percentile(times, (50, 99))
        return float(p50), float(p99)


async def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Fill a collection, change its model under load, and look at what is left."""
    port = free_port()
    start = f"from cli.main import main; main(['serve', '--port', '{port}', '--data-dir', {str(folder / 'data')!r}])"
    server = Server([sys.executable, "-c", start], port, "/readyz", ENVIRONMENT, folder / "serve.log")
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with server, aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
        house, ending = House(client, server.url), asyncio.Event()
        say(f"indexing {options.chunks:,} documents")
        await house.fill(options.chunks)
        change = Change(house, options.seconds)
        async with asyncio.TaskGroup() as group:
            group.create_task(steadily(options.searches, house.search, ending))
            group.create_task(steadily(options.writes, house.write, ending))
            await change.run()
            ending.set()
        say("comparing catalog and points")
        damaged = await house.damage()
    return await figures(options.chunks, house, change, damaged)
