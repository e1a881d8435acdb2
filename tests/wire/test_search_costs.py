"""What one search costs where vectors and models are servers, in counts that a loaded machine does not change.

The service is asked without a socket in front of it; Qdrant and the models are stubs on threads of their own, of which
nothing is counted. A bound is about a tenth above what was counted on Python 3.11 when it was set.

A bound that no longer holds: look at what has become more (``python benchmarks/stack.py`` shows the parts of the
service). If the work is wanted, count again with ``-s``, set the bound to a tenth above that, and say in the commit
what it buys.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import sys
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.conftest import Service
from tests.stubs import instant_models, qdrant_recorded
from tests.stubs.instant_models import InstantModels
from tests.stubs.qdrant_recorded import RecordedServer
from tests.stubs.relay import Relay, relay
from winnow.core.settings import load_settings
from winnow.core.settings.rerank import VllmRerank

DOCUMENTS = 300  # so that both arms are full and share nothing
CHARACTERS = 1000  # of a document
SEARCHES = 20
SCORED = 50  # candidates, by default

PYTHON_CALLS = 5_350
C_CALLS = 11_800
INSTANT_PYTHON_CALLS = 1_440
INSTANT_C_CALLS = 1_210
PYDANTIC = 1
STORE_SENT = 4_900
STORE_RECEIVED = 380_000
PEAK_KIB = 1_080

_PYDANTIC = ("model_construct", "validate_python", "validate_json")


class Stack:
    """The service on its stubs."""

    def __init__(self, service: Service, models: InstantModels, store: RecordedServer, wire: Relay) -> None:
        self.models, self.store, self.wire = models, store, wire
        self._app = service.app
        self._asked = 0

    async def search(self, *, mode: str = "hybrid") -> dict[str, Any]:
        """One search that no cache answers; in mode ``instant`` for the beginning of ten ids."""
        self._asked += 1
        query = f"d{1 + self._asked % 9}" if mode == "instant" else f"a guide to amber number {self._asked}"
        body = json.dumps({"query": query, "mode": mode, "top_n": 10}).encode()
        messages: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[Any] = []

        async def receive() -> Any:
            return messages.pop() if messages else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
        path = "/v1/collections/docs/search"
        scope = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": path}
        await self._app({**scope, "query_string": b"", "root_path": "", "headers": headers}, receive, send)
        assert sent[0]["status"] == 200, sent
        return dict(json.loads(b"".join(message.get("body", b"") for message in sent[1:])))

    async def searches(self) -> None:
        for _ in range(SEARCHES):
            await self.search()


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    with instant_models.serve() as models, qdrant_recorded.serve(wait=0) as store:
        async with relay(store.port) as wire:
            model = {"provider": "vllm", "url": models.url}
            vectors = {"provider": "qdrant", "url": "http://127.0.0.1:1", "grpc_port": wire.port}
            catalog = {"url": f"sqlite:///{tmp_path / 'winnow.db'}"}
            models_at = {"embedding": model, "rerank": model}
            service = Service(load_settings(data_dir=tmp_path, **models_at, vectors=vectors, catalog=catalog))
            try:
                text = "amber waves of words about guides and numbers " * CHARACTERS
                documents = [{"id": f"d{each}", "text": f"{each} {text}"[:CHARACTERS]} for each in range(DOCUMENTS)]
                await service.fill("docs", documents)
                found = Stack(service, models, store, wire)
                await found.searches()  # what is done once is done
                yield found
            finally:
                await service.close()
                assert service.resources.reranker is not None
                await service.resources.reranker.close()


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the calls of this thread by kind."""
    counts: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        counts[event] += 1
        name = frame.f_code.co_name if event == "call" else argument.__name__ if event == "c_call" else ""
        counts["pydantic"] += name in _PYDANTIC

    sys.setprofile(count)
    try:
        yield counts
    finally:
        sys.setprofile(None)


def within(name: str, value: float, bound: float) -> None:
    print(f"{name}: {value:,.0f} (bound {bound:,})")
    assert value <= bound, f"{name}: {value:,.0f} a search, the bound is {bound:,}; the module says what to do"


async def test_a_search_asks_each_server_as_often_as_it_must(stack: Stack) -> None:
    stack.models.calls.clear()
    stack.store.calls.clear()
    answer = await stack.search()
    reranks = math.ceil(SCORED / VllmRerank().max_documents)
    assert [path.rpartition("/")[2] for path, _ in stack.models.calls] == ["embeddings", *["rerank"] * reranks]
    assert stack.store.calls == ["Points/QueryBatch"]
    assert (answer["degraded"], len(answer["results"]), answer["stages"]["rerank"]["scored"]) == (False, 10, SCORED)


async def test_a_search_makes_few_calls(stack: Stack) -> None:
    """The least of some searches, because a loaded machine wakes the loop more often for the same bytes."""
    each = []
    for _ in range(SEARCHES):
        with counted() as counts:
            await stack.search()
        each.append(counts)
    within("calls of Python functions", min(counts["call"] for counts in each), PYTHON_CALLS)
    within("calls of C functions", min(counts["c_call"] for counts in each), C_CALLS)
    within("validations and models of pydantic", min(counts["pydantic"] for counts in each), PYDANTIC)


async def test_an_instant_search_makes_few_calls(stack: Stack) -> None:
    answer = await stack.search(mode="instant")  # the names are read
    assert (answer["speed"], answer["degraded"], len(answer["results"])) == ("instant", False, 10)
    each = []
    for _ in range(SEARCHES):
        with counted() as counts:
            await stack.search(mode="instant")
        each.append(counts)
    within("calls of Python functions", min(counts["call"] for counts in each), INSTANT_PYTHON_CALLS)
    within("calls of C functions", min(counts["c_call"] for counts in each), INSTANT_C_CALLS)
    within("validations and models of pydantic", min(counts["pydantic"] for counts in each), PYDANTIC)


async def test_a_search_moves_few_bytes(stack: Stack) -> None:
    sent, received = stack.wire.sent, stack.wire.received
    await stack.searches()
    within("bytes to the store", (stack.wire.sent - sent) / SEARCHES, STORE_SENT)
    within("bytes from the store", (stack.wire.received - received) / SEARCHES, STORE_RECEIVED)


async def test_a_search_holds_little_memory(stack: Stack) -> None:
    """The least of some peaks, because what the stubs' threads hold at a moment is counted too."""
    peaks = []
    tracemalloc.start()
    try:
        for _ in range(SEARCHES):
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            await stack.search()
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    within("KiB at the most", min(peaks) / 1024, PEAK_KIB)
