"""What goes over the wire to a server and back, counted: bytes, calls and objects, never time."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.conversions.conversion import GrpcToRest
from qdrant_client.http import api_client

from tests.stubs.qdrant_recorded import RecordedServer, serve
from tests.stubs.qdrant_recorded_http import RecordedHttp, serve_http
from tests.stubs.relay import Relay, relay
from winnow.core.settings.vectors import QdrantVectors
from winnow.core.types import Chunk
from winnow.ports import ArmHits, IndexRef, IndexSchema, Point
from winnow.search.fusion import fuse
from winnow.vectors import payloads
from winnow.vectors.keywords import NEWEST, encoder_of
from winnow.vectors.qdrant import grpc_answers, grpc_calls
from winnow.vectors.qdrant.server import server_client
from winnow.vectors.qdrant.store import QdrantVectorStore

INDEX = IndexRef("c")
DIMENSIONS = 32
HITS = 100
PAYLOAD = 1000  # bytes, roughly


def make_points(count: int = 2 * HITS) -> list[Point]:
    rng = np.random.default_rng(1)
    return [
        Point(
            str(uuid.UUID(int=number)),
            f"document-{number}",
            1,
            Chunk(0, 0, PAYLOAD, (f"amber {number} " * PAYLOAD)[:PAYLOAD], ("Guide",)),
            metadata={"number": number},
            dense=rng.standard_normal(DIMENSIONS).astype(np.float32),
        )
        for number in range(1, count + 1)
    ]


@asynccontextmanager
async def filled(**settings: object) -> AsyncIterator[QdrantVectorStore]:
    """A store of 200 points of about 1 KB."""
    configured = QdrantVectors.model_validate(settings)
    store = QdrantVectorStore(server_client(configured), configured)
    try:
        await store.create(INDEX, IndexSchema(DIMENSIONS))
        await store.upsert(INDEX, make_points())
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def over_grpc(**settings: object) -> AsyncIterator[tuple[QdrantVectorStore, Relay, RecordedServer]]:
    with serve(wait=0) as server:
        async with (
            relay(server.port) as wire,
            filled(url="http://127.0.0.1:1", grpc_port=wire.port, **settings) as store,
        ):
            yield store, wire, server


@asynccontextmanager
async def over_http(**settings: object) -> AsyncIterator[tuple[QdrantVectorStore, RecordedHttp]]:
    with serve(wait=0) as points:
        async with serve_http(points) as server, filled(url=server.url, prefer_grpc=False, **settings) as store:
            yield store, server


@pytest.fixture(params=["grpc", "http"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[QdrantVectorStore]:
    async with AsyncExitStack() as stack:
        opened = over_grpc() if request.param == "grpc" else over_http()
        yield (await stack.enter_async_context(opened))[0]  # type: ignore[arg-type]


async def search(store: QdrantVectorStore) -> ArmHits:
    """A search of both arms."""
    return await store.query(INDEX, dense=np.ones(DIMENSIONS, np.float32), text="amber", limit=HITS)


def size(found: ArmHits) -> int:
    return len(found.dense) + len(found.sparse)


# --- bytes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("compress", "least", "most"), [(False, 200_000, 300_000), (True, 1_000, 100_000)])
async def test_answers_are_compressed_over_grpc_only_where_it_is_set(compress: bool, least: int, most: int) -> None:
    async with over_grpc(compress=compress) as (store, wire, _):
        wire.received = 0
        assert size(await search(store)) == 2 * HITS
        assert least < wire.received < most


@pytest.mark.parametrize("compress", [False, True])
async def test_answers_are_chunked_and_compressed_over_http_only_where_it_is_set(compress: bool) -> None:
    async with over_http(compress=compress) as (store, server):
        server.chunked = 0
        assert size(await search(store)) == 2 * HITS
        assert server.chunked == int(compress)


async def test_scores_come_without_payloads() -> None:
    async with over_grpc() as (store, wire, _):
        wire.received = 0
        ids = [point.id for point in make_points(50)]
        found = await store.score(INDEX, ids, dense=np.ones(DIMENSIONS, np.float32), text="amber")
        assert all(scores.dense and scores.sparse for scores in found.values())
        assert wire.received < 150 * 50


async def test_points_are_sent_as_they_are_in_memory() -> None:
    """Four bytes a number: 200 points take their vectors, their texts and some 350 bytes of words and names."""
    async with over_grpc() as (store, wire, _):
        wire.sent = 0
        await store.upsert(INDEX, make_points())
        assert wire.sent < 2 * HITS * (DIMENSIONS * 4 + PAYLOAD + 350)


# --- calls and objects ---------------------------------------------------------------------------


async def test_a_search_is_one_call() -> None:
    async with over_grpc() as (store, _, server):
        server.calls.clear()
        await search(store)
        assert server.calls == ["Points/QueryBatch"]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the client turns a hit, or a whole answer over HTTP, into models; and the payloads that are decoded."""
    counts: Counter[str] = Counter()

    def counted(name: str, function: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            counts[name] += 1
            return function(*arguments, **named)

        return call

    def parse(content: bytes, type_: Any) -> Any:
        counts["models"] += type_ is not dict
        return parse_response(content, type_)

    parse_response = api_client.parse_response
    monkeypatch.setattr(api_client, "parse_response", parse)
    monkeypatch.setattr(GrpcToRest, "convert_scored_point", counted("models", GrpcToRest.convert_scored_point))
    decoded = counted("decoded", payloads.decode_point)
    for module in (payloads, grpc_answers, grpc_calls):
        monkeypatch.setattr(module, "decode_point", decoded)
    return counts


async def test_a_search_builds_no_models_and_decodes_what_is_used(store: QdrantVectorStore, made: Counter[str]) -> None:
    await search(store)  # the stub for HTTP makes its answer with models, once
    made.clear()
    found = await search(store)
    assert +made == {}
    fused = fuse(found, dense_weight=1.0, limit=HITS, by_document=True, used=50)
    assert +made == {"decoded": 50}
    assert {len(each.chunk.text) for each in fused.candidates} == {PAYLOAD}


@pytest.mark.parametrize("prefer_grpc", [True, False])
async def test_the_models_of_the_client_itself_are_seen(made: Counter[str], prefer_grpc: bool) -> None:
    """Else the count of none would say nothing."""
    with serve(wait=0) as server:
        async with serve_http(server) as http, filled(url="http://127.0.0.1:1", grpc_port=server.port):
            client = AsyncQdrantClient(
                url=http.url, grpc_port=server.port, prefer_grpc=prefer_grpc, check_compatibility=False
            )
            asked = models.QueryRequest(query=[1.0] * DIMENSIONS, using="dense", limit=HITS, with_payload=["source"])
            await client.query_batch_points("winnow__c__1", [asked])
            made.clear()
            await client.query_batch_points("winnow__c__1", [asked])
            await client.close()
    assert made["models"] == (HITS if prefer_grpc else 1)


async def test_a_write_builds_no_models(store: QdrantVectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr(BaseModel, "__init__", lambda self, **_: built.append(type(self).__name__))
    encoded = store._calls.encode(make_points(3), IndexSchema(DIMENSIONS), encoder_of(NEWEST))
    if store._settings.prefer_grpc:  # the stub for HTTP reads requests with models
        await store._calls.upsert("winnow__c__1", encoded)
    assert built == []
