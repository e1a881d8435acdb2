"""What searches cost while a model is away: a reranker that is dead, an embedder that hangs.

``python -m tests.faults.outages``

A real service, with both models behind HTTP. Each search of the outage is followed by one of those that it is compared
with, so that whatever else the machine does meets both. Behind the outage of the reranker stands a search without
reranking, behind that of the embedder one by keywords alone.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.faults.editors import Client
from tests.faults.houses import Embedded
from tests.faults.processes import polls
from tests.stubs import instant_models

DOCUMENTS: Final = 200
SEARCH: Final = "/v1/collections/docs/search"
NO_RERANK: Final = {"rerank": {"enabled": False}}
FIRST: Final = 10  # searches of an outage that may meet it before the model is left alone


@dataclass
class Outage:
    """Searches while a model was away, and those beside them that do not need it.

    Attributes:
        answered: those with status 200 that had results.
        flagged: those of them that say that a stage is missing.
        seconds, beside: of each search, in order.
    """

    name: str
    asked: int = 0
    answered: int = 0
    flagged: int = 0
    seconds: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Median once the model was left alone, by the median of those beside."""
        return statistics.median(self.seconds[FIRST:]) / statistics.median(self.beside[FIRST:])

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.answered} of {self.asked} answered, {self.flagged} flagged; slowest "
            f"{max(self.seconds):.3f} s; p50 {statistics.median(self.seconds[FIRST:]) * 1000:.1f} ms, "
            f"{self.ratio:.2f} of the {statistics.median(self.beside[FIRST:]) * 1000:.1f} ms without it"
        )


def measure(searches: int) -> list[Outage]:
    """Both outages, one after the other."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="winnow-", ignore_cleanup_errors=True))
        embedder = stack.enter_context(instant_models.serve())
        dying = stack.enter_context(ExitStack())
        reranker = dying.enter_context(instant_models.serve())
        house = Embedded(
            Path(folder),
            (),
            embedding={"provider": "vllm", "url": embedder.url},
            rerank={"provider": "vllm", "url": reranker.url},
        )
        stack.callback(house.close)
        house.start()
        client = Client(house.port, keep=True)
        stack.callback(client.close)
        _fill(client)
        dying.close()
        dead = _compare(client, "dead reranker", searches, {}, NO_RERANK)
        embedder.hanging.set()
        hung = _compare(client, "hanging embedder", searches, NO_RERANK, {**NO_RERANK, "mode": "sparse"})
        embedder.hanging.clear()
        return [dead, hung]


def _fill(client: Client) -> None:
    documents = [{"id": f"d{number}", "text": f"amber waves and number {number}"} for number in range(DOCUMENTS)]
    client.call("PUT", "/v1/collections/docs", {})
    client.call("POST", "/v1/collections/docs/documents", {"documents": documents})
    for _ in polls("the documents are indexed, and both stages answer"):
        status, answer = client.call("POST", SEARCH, {"query": "amber waves"})
        if status == 200 and answer["results"] and not answer["degraded"]:
            return


def _compare(client: Client, name: str, searches: int, asked: dict[str, Any], beside: dict[str, Any]) -> Outage:
    found = Outage(name)
    for number in range(searches):
        query = {"query": f"amber waves number {number} {name}"}
        other = {"query": f"amber waves beside {number} {name}"}  # whose vector no cache has either
        (status, answer), seconds = _timed(lambda: client.call("POST", SEARCH, {**query, **asked}))  # noqa: B023 - called at once
        found.asked += 1
        found.answered += status == 200 and bool(answer["results"])
        found.flagged += status == 200 and answer["degraded"] is True
        found.seconds.append(seconds)
        _, seconds = _timed(lambda: client.call("POST", SEARCH, {**other, **beside}))  # noqa: B023
        found.beside.append(seconds)
    return found


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    answer = work()
    return answer, time.perf_counter() - began


def main() -> None:
    """Measure, print, and end with 1 if a search was not answered or not flagged."""
    outages = measure(300)
    for each in outages:
        print(each)
    sys.exit(any(not each.asked == each.answered == each.flagged for each in outages))


if __name__ == "__main__":
    main()
