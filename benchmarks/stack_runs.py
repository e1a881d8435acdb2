"""The measurements of ``stack.py``: what is sent to the set-ups, in which order, and what is taken down."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
from stack_figures import PairFigures, Searches, SetUp, StackFigures
from stack_processes import Client, Service
from texts import Texts

CLIENTS: Final = (1, 8, 32)
TOP_N: Final = 10
WARM_UP: Final = 60
COLLECTION: Final = "stack"
_BULK: Final = "bulk"
_UPLOAD: Final = 500
_CHUNK_WORDS: Final = 150  # about 200 tokens


class Load:
    """Texts, queries that never repeat, and how much of each is sent."""

    def __init__(self, texts: Texts, *, searches: int, rounds: int, chunks: int) -> None:
        self.texts, self.searches, self.rounds, self.chunks = texts, searches, rounds, chunks
        self._queries = self._endless()

    def bodies(self, count: int) -> list[str]:
        """The bodies of the next ``count`` searches."""
        return [json.dumps({"query": query, "top_n": TOP_N}) for query in islice(self._queries, count)]

    def _endless(self) -> Iterator[str]:
        """The queries of the texts, then the same with another word in front each time, so that no cache answers."""
        yield from self.texts.queries()
        number = 0
        while True:
            number += 1
            yield from (f"about{number} {question}" for question in self.texts.questions)

    def documents(self) -> list[dict[str, str]]:
        """The documents that are searched."""
        return [{"id": item.id, "title": item.title, "text": item.text} for item in self.texts.documents]

    def bulk(self) -> list[dict[str, str]]:
        """Documents of one chunk each, made of the words of the texts."""
        words = " ".join(item.text for item in self.texts.documents[:200]).split()
        begins = (number * 37 % (len(words) - _CHUNK_WORDS) for number in range(self.chunks))
        return [
            {"id": f"bulk-{number}", "text": f"number {number} " + " ".join(words[begin : begin + _CHUNK_WORDS])}
            for number, begin in enumerate(begins)
        ]


def measure_stack(service: Service, client: Client, load: Load) -> StackFigures:
    """The stack with instant models: indexing, then searches by one client, by eight, by 32."""
    say("the stack with instant models: indexing")
    _index(service, COLLECTION, load.documents())
    chunks_per_s, indexing = _bulk(service, load)
    client.search(service.port, COLLECTION, load.bodies(WARM_UP), 4)
    runs: dict[int, list[Searches]] = {clients: [] for clients in CLIENTS}
    for number in range(load.rounds):
        say(f"the stack with instant models: searches, round {number + 1} of {load.rounds}")
        for clients in CLIENTS:
            runs[clients].append(_searches(service, client, load, clients))
    with service.sampled() as samples:
        client.search(service.port, COLLECTION, load.bodies(load.searches), 1)
    return StackFigures(
        {clients: Searches.joined(parts) for clients, parts in runs.items()}, samples, chunks_per_s, indexing
    )


def measure_pair(server: Service, edge: Service, client: Client, load: Load) -> PairFigures:
    """Both set-ups with the bundled models and the same texts, in turns."""
    indexing = {}
    for name, service in (("server", server), ("edge", edge)):
        say(f"bundled models, {name}: indexing")
        before = service.cpu()
        _index(service, COLLECTION, load.documents())
        indexing[name] = _spent(before, service.cpu())
        client.search(service.port, COLLECTION, load.bodies(WARM_UP), 4)
    runs: dict[str, list[tuple[Searches, Searches]]] = {"server": [], "edge": []}
    for number in range(load.rounds):
        say(f"bundled models: searches, round {number + 1} of {load.rounds}")
        both = [("server", server), ("edge", edge)]
        for name, service in reversed(both) if number % 2 else both:
            single = _searches(service, client, load, 1)
            runs[name].append((single, _searches(service, client, load, 8)))
    return PairFigures(SetUp(runs["server"], indexing["server"]), SetUp(runs["edge"], indexing["edge"]))


def _searches(service: Service, client: Client, load: Load, clients: int) -> Searches:
    bodies = load.bodies(load.searches)
    before = service.cpu()
    found = client.search(service.port, COLLECTION, bodies, clients)
    cpu = _spent(before, service.cpu())
    return Searches(
        times=np.array(found["times"]),
        stages=np.array([sum(each.values()) for each in found["stages"]]),
        seconds=found["seconds"],
        cpu={name: seconds * 1000 / len(bodies) for name, seconds in cpu.items()},
    )


def _bulk(service: Service, load: Load) -> tuple[float, dict[str, float]]:
    """Chunks a second from the first upload until the last chunk is searchable; CPU ms a chunk by process."""
    documents = load.bulk()
    before, began = service.cpu(), time.perf_counter()
    chunks = _index(service, _BULK, documents)
    seconds = time.perf_counter() - began
    cpu = _spent(before, service.cpu())
    return chunks / seconds, {name: each * 1000 / chunks for name, each in cpu.items()}


def _index(service: Service, collection: str, documents: Sequence[Any]) -> int:
    """Upload, wait until all are searchable, and return the number of chunks."""
    path = f"/v1/collections/{collection}"
    service.call("PUT", path, {})
    jobs = []
    for begin in range(0, len(documents), _UPLOAD):
        answer = service.call("POST", f"{path}/documents", {"documents": documents[begin : begin + _UPLOAD]})
        if answer["rejected"]:
            raise SystemExit(f"documents were rejected: {answer['rejected'][:3]}")
        jobs.append(answer["job_id"])
    for job in jobs:
        state: dict[str, Any] = {"status": "pending"}
        while state["status"] != "done":
            time.sleep(0.05)
            state = service.call("GET", f"/v1/jobs/{job}")
        if state["failed"]:
            raise SystemExit(f"documents failed: {state}")
    return int(service.call("GET", path)["counts"]["chunks"])


def _spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in before}


def say(message: str) -> None:
    """Tell how far it is, beside the table on standard output."""
    print(message, file=sys.stderr, flush=True)
