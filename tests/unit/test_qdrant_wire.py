"""What goes over the wire to a server and back, counted: bytes, calls and objects, never time."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from tests.stubs.qdrant_recorded import RecordedServer, serve
from tests.stubs.qdrant_recorded_http import RecordedHttp, serve_http
from tests.stubs.relay import Relay, relay
from winnow.core.settings.vectors import QdrantVectors
from winnow.core.types import Chunk
from winnow.ports import IndexRef, IndexSchema, Point
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


async def search(store: QdrantVectorStore) -> int:
    """The number of hits of a search of both arms."""
    found = await store.query(INDEX, dense=np.ones(DIMENSIONS, np.float32), text="amber", limit=HITS)
    return len(found.dense) + len(found.sparse)


@pytest.mark.parametrize(("compress", "least", "most"), [(False, 200_000, 300_000), (True, 1_000, 100_000)])
async def test_answers_are_compressed_over_grpc_only_where_it_is_set(compress: bool, least: int, most: int) -> None:
    async with over_grpc(compress=compress) as (store, wire, _):
        wire.received = 0
        assert await search(store) == 2 * HITS
        assert least < wire.received < most


@pytest.mark.parametrize("compress", [False, True])
async def test_answers_are_chunked_and_compressed_over_http_only_where_it_is_set(compress: bool) -> None:
    async with over_http(compress=compress) as (store, server):
        server.chunked = 0
        assert await search(store) == 2 * HITS
        assert server.chunked == int(compress)
