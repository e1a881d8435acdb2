"""What surrounds the server: names, parameters, errors, retries, TLS, several processes at a time, and settings."""

from __future__ import annotations

import asyncio
import inspect
import logging
import shutil
import socket
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from qdrant_client import grpc as grpc_models
from qdrant_client.common import client_exceptions
from qdrant_client.http import exceptions as http_exceptions

from tests.conftest import Service
from tests.fakes import MODELS
from tests.stubs import qdrant_server
from tests.stubs import server as http_stub
from tests.stubs.qdrant_server import MemoryServer
from winnow.core.errors import (
    IdentityMismatch,
    IndexLost,
    InvalidFilter,
    InvalidSettings,
    StorageFailure,
    StorageFull,
    UpstreamRejected,
    UpstreamTooLong,
    UpstreamUnavailable,
    WinnowError,
)
from winnow.core.settings import load_settings
from winnow.core.settings.vectors import QdrantVectors
from winnow.core.types import Chunk, Comparison
from winnow.ports import IndexRef, IndexSchema, Point
from winnow.search.limits import SearchDeadline
from winnow.vectors.build import build_store
from winnow.vectors.keywords import FIRST
from winnow.vectors.qdrant import errors as qdrant_errors
from winnow.vectors.qdrant.batches import BATCH_BYTES, BATCH_POINTS, batches
from winnow.vectors.qdrant.errors import Errand, translate
from winnow.vectors.qdrant.schema import collection_for, indexes_in, name_of, read_note, search_params
from winnow.vectors.qdrant.server import server_client
from winnow.vectors.qdrant.store import QdrantVectorStore

INDEX = IndexRef("c")
SCHEMA = IndexSchema(4)
ERRAND = Errand("http://q:6333", "searching", INDEX)
BOTH_WAYS = pytest.mark.parametrize("prefer_grpc", [True, False], ids=["grpc", "http"])


def make_points(count: int, dimensions: int = 4, **metadata: Any) -> list[Point]:
    return [
        Point(
            str(uuid.UUID(int=n)),
            f"d{n}",
            1,
            Chunk(0, 0, 5, "amber"),
            dense=np.ones(dimensions, np.float32),
            metadata=metadata,
        )
        for n in range(1, count + 1)
    ]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def opened(url: str, **changes: Any) -> AsyncIterator[QdrantVectorStore]:
    settings = QdrantVectors.model_validate({"url": url, **changes})
    store = QdrantVectorStore(server_client(settings), settings)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def server() -> AsyncIterator[MemoryServer]:
    async with qdrant_server.serve() as running:
        yield running


@pytest.fixture
async def store(server: MemoryServer) -> AsyncIterator[QdrantVectorStore]:
    async with opened(server.url, grpc_port=server.grpc_port) as store:
        await store.create(INDEX, SCHEMA)
        yield store


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [IndexRef("docs.1a2b"), IndexRef("a__1", 2), IndexRef("_a", 30), IndexRef("a_", 4)])
def test_an_index_is_found_again_by_its_name_and_only_under_its_prefix(index: IndexRef) -> None:
    name = name_of(index, "winnow")
    assert indexes_in([name], "winnow") == [index]
    assert indexes_in([name], "winno") == indexes_in([name], "w") == []


def test_the_collections_of_others_are_left_alone() -> None:
    names = ["winnow", "winnow__docs", "winnow__docs__0", "winnow__docs__x", "winnow-2__docs__1", "docs__1", "é__1"]
    assert indexes_in(names, "winnow") == []


@pytest.mark.parametrize("index", [IndexRef("a/b"), IndexRef(""), IndexRef("a b"), IndexRef("a", 0)])
async def test_a_name_that_the_server_cannot_have_is_refused(store: QdrantVectorStore, index: IndexRef) -> None:
    with pytest.raises(ValueError, match=r"invalid collection name|count from 1"):
        await store.create(index, SCHEMA)


@pytest.mark.parametrize("prefix", ["a__b", "a_", "", "a/b"])
def test_a_prefix_cannot_be_the_start_of_anothers_names(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        QdrantVectors(url="http://q", prefix=prefix)


async def test_a_collection_that_something_else_made_is_not_touched(
    server: MemoryServer, store: QdrantVectorStore
) -> None:
    await server.memory.create_collection("winnow__theirs__1", vectors_config={})
    with pytest.raises(IdentityMismatch, match="WINNOW_VECTORS__PREFIX"):
        await store.create(IndexRef("theirs"), SCHEMA)


# --- what a collection is made of ----------------------------------------------------------------


async def test_settings_reach_the_server_when_an_index_is_made(server: MemoryServer) -> None:
    async with opened(
        server.url,
        grpc_port=server.grpc_port,
        shards=6,
        replicas=2,
        write_consistency=2,
        quantization="turbo",
        on_disk=True,
        hnsw_m=32,
        hnsw_ef_construct=200,
    ) as store:
        await store.create(INDEX, IndexSchema(4, 4))
    made = server.made[0]
    assert (made.shard_number, made.replication_factor, made.write_consistency_factor) == (6, 2, 2)
    assert (made.hnsw_config.m, made.hnsw_config.ef_construct) == (32, 200)
    vectors = made.vectors_config.params_map.map
    assert (vectors["dense"].size, vectors["dense"].on_disk) == (4, True)
    assert vectors["dense"].quantization_config.turboquant.always_ram
    assert vectors["tokens"].hnsw_config.m == 0
    assert (vectors["tokens"].datatype, vectors["tokens"].size) == (grpc_models.Datatype.Uint8, 6)
    assert not vectors["tokens"].HasField("quantization_config")
    assert made.sparse_vectors_config.map["bm25"].index.on_disk


def test_an_index_that_does_not_tell_the_form_of_its_token_vectors_has_halves() -> None:
    note = {"winnow": 1, "dimensions": 4, "token_dimensions": 4}
    assert read_note(INDEX, note).schema == IndexSchema(4, 4, tokens_as="float16", keywords=FIRST)
    assert read_note(INDEX, {**note, "tokens_as": "uint8"}).schema == IndexSchema(4, 4, keywords=FIRST)


def test_a_plain_index_is_neither_quantised_nor_on_disk() -> None:
    parts = collection_for(IndexSchema(4), QdrantVectors(url="http://q"))
    assert parts["vectors_config"]["dense"].quantization_config is None
    assert set(parts["vectors_config"]) == {"dense"}
    assert search_params(QdrantVectors(url="http://q"), filtered=False).quantization is None


def test_quantised_vectors_are_rescored() -> None:
    params = search_params(QdrantVectors(url="http://q", quantization="turbo"), filtered=True)
    assert params.quantization is not None
    assert (params.quantization.rescore, params.quantization.oversampling) == (True, 2.0)
    assert params.acorn is not None


async def test_payload_indexes_stand_before_the_first_point(server: MemoryServer, store: QdrantVectorStore) -> None:
    server.calls.clear()
    await store.create(IndexRef("d"), IndexSchema(4, fields={"lang": "keyword"}))
    await store.upsert(IndexRef("d"), make_points(1))
    made, indexed, written = (server.calls.index(call) for call in ("Create", "CreateFieldIndex", "Upsert"))
    assert made < indexed < written
    assert server.calls[: server.calls.index("Upsert")].count("CreateFieldIndex") >= 3


# --- requests ------------------------------------------------------------------------------------


def test_points_are_sent_in_batches_that_the_server_takes() -> None:
    points = make_points(600)
    assert [len(batch) for batch in batches(points, as_json=False)] == [BATCH_POINTS, BATCH_POINTS, 88]
    large = make_points(30, 65_536)
    for as_json, size in ((False, 4), (True, 21)):
        cut = list(batches(large, as_json=as_json))
        assert [point for batch in cut for point in batch] == large
        assert max(len(batch) for batch in cut) == BATCH_BYTES // (65_536 * size + 2_100)
    giant = make_points(2, BATCH_BYTES)
    assert [len(batch) for batch in batches(giant, as_json=False)] == [1, 1]
    assert list(batches([], as_json=False)) == []


async def test_a_search_is_one_round_trip_and_scoring_too(server: MemoryServer, store: QdrantVectorStore) -> None:
    await store.upsert(INDEX, make_points(3))
    server.calls.clear()
    await store.query(INDEX, dense=np.ones(4, np.float32), text="amber", limit=3)
    await store.score(INDEX, [point.id for point in make_points(3)], dense=np.ones(4, np.float32), text="amber")
    assert server.calls == ["QueryBatch", "QueryBatch"]


async def test_connections_are_kept(server: MemoryServer) -> None:
    async with opened(server.url, prefer_grpc=False) as store:
        for _ in range(4):
            await store.indexes()
    assert len(server.peers) == 1


# --- errors --------------------------------------------------------------------------------------


def answered(status: int, error: str = "", **headers: str) -> http_exceptions.UnexpectedResponse:
    content = b'{"status": {"error": "%s"}}' % error.encode()
    return http_exceptions.UnexpectedResponse(status, "", content, httpx.Headers(headers))


def coded(code: grpc.StatusCode, details: str = "") -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


def wrapped(source: Exception) -> http_exceptions.ResponseHandlingException:
    return http_exceptions.ResponseHandlingException(source)


@pytest.mark.parametrize(
    ("raised", "expected", "says"),
    [
        (answered(401), UpstreamRejected, "WINNOW_VECTORS__API_KEY"),
        (answered(403, "Global access is required"), UpstreamRejected, "WINNOW_VECTORS__API_KEY"),
        (answered(404, "Not found: Collection `x` doesn't exist!"), IndexLost, "'c', generation 1"),
        (answered(404, "nginx"), UpstreamRejected, "WINNOW_VECTORS__URL"),
        (answered(307), UpstreamRejected, "WINNOW_VECTORS__URL"),
        (answered(400, "Wrong input: Vector dimension error"), UpstreamRejected, "Vector dimension error"),
        (answered(413), UpstreamTooLong, "no request of this size"),
        (answered(408), UpstreamUnavailable, "answered 408"),
        (answered(429), UpstreamUnavailable, "answered 429"),
        (answered(500, "Service internal error: shard"), UpstreamUnavailable, "shard"),
        (answered(502), UpstreamUnavailable, "answered 502"),
        (answered(500, "No space left on device: WAL buffer size exceeds"), StorageFull, "no space left"),
        (client_exceptions.ResourceExhaustedResponse("slow down", 7), UpstreamUnavailable, "slow down"),
        (coded(grpc.StatusCode.UNAUTHENTICATED), UpstreamRejected, "WINNOW_VECTORS__API_KEY"),
        (coded(grpc.StatusCode.PERMISSION_DENIED), UpstreamRejected, "WINNOW_VECTORS__API_KEY"),
        (coded(grpc.StatusCode.NOT_FOUND, "Collection `x` doesn't exist!"), IndexLost, "'c'"),
        (coded(grpc.StatusCode.UNAVAILABLE, "connection refused"), UpstreamUnavailable, "WINNOW_VECTORS__URL"),
        (coded(grpc.StatusCode.DEADLINE_EXCEEDED), UpstreamUnavailable, "answered 504"),
        (coded(grpc.StatusCode.RESOURCE_EXHAUSTED), UpstreamUnavailable, "answered 429"),
        (
            coded(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (9000000 vs. 4194304)"),
            UpstreamTooLong,
            "no request of this size",
        ),
        (coded(grpc.StatusCode.OUT_OF_RANGE, "message length too large"), UpstreamTooLong, "no request of this size"),
        (coded(grpc.StatusCode.INTERNAL, "no space left on device"), StorageFull, "no space left"),
        (coded(grpc.StatusCode.INVALID_ARGUMENT, "bad vector"), UpstreamRejected, "bad vector"),
        (coded(grpc.StatusCode.UNIMPLEMENTED), UpstreamRejected, "WINNOW_VECTORS__GRPC_PORT"),
        (wrapped(httpx.ConnectError("refused")), UpstreamUnavailable, "WINNOW_VECTORS__URL"),
        (wrapped(httpx.ReadTimeout("")), UpstreamUnavailable, "in time"),
        (wrapped(httpx.RemoteProtocolError("cut")), UpstreamUnavailable, "cut"),
        (wrapped(ValueError("not JSON")), UpstreamRejected, "cannot be read"),
        (TimeoutError(), UpstreamUnavailable, "in time"),
    ],
    ids=str,
)
def test_what_the_client_raises_becomes_one_of_our_errors(
    raised: Exception, expected: type[WinnowError], says: str
) -> None:
    error = translate(raised, ERRAND)
    assert type(error) is expected
    assert says in error.message
    assert "\n" not in error.message


def test_every_exception_of_the_client_has_its_translation() -> None:
    bases = {http_exceptions.ApiException, client_exceptions.QdrantException}
    raised = {
        each
        for module in (http_exceptions, client_exceptions)
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, Exception)
    }
    assert {each for each in raised if not issubclass(each, tuple(bases))} == set()
    known = set(translate.registry) - {object}
    assert raised - bases <= known, "the client raises what qdrant_errors does not know"
    assert set(qdrant_errors._STATUS) == set(grpc.StatusCode)


def test_the_wait_that_a_server_asks_for_is_handed_on() -> None:
    assert translate(answered(429, **{"Retry-After": "3"}), ERRAND).retry_after == 3
    assert translate(client_exceptions.ResourceExhaustedResponse("", 7), ERRAND).retry_after == 7


def test_a_defect_is_not_taken_for_a_failure_of_the_server() -> None:
    with pytest.raises(KeyError), qdrant_errors.qdrant_errors(ERRAND):
        raise KeyError("x")


# --- failures of a server that is really called --------------------------------------------------


@BOTH_WAYS
async def test_a_server_that_is_down_is_named(prefer_grpc: bool) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with opened(url, grpc_port=port, prefer_grpc=prefer_grpc, timeout_seconds=0.5) as store:
        for call in (store.check(), store.create(INDEX, SCHEMA)):
            with pytest.raises(UpstreamUnavailable, match="WINNOW_VECTORS__URL") as caught:
                await call
            assert url in caught.value.message


async def test_over_grpc_the_port_that_was_tried_is_named() -> None:
    async with opened("http://127.0.0.1:1", grpc_port=free_port(), timeout_seconds=0.2) as store:
        with pytest.raises(UpstreamUnavailable, match="WINNOW_VECTORS__GRPC_PORT"):
            await store.check()


async def test_a_search_that_runs_out_of_time_while_the_server_is_away_says_so() -> None:
    async with opened("http://127.0.0.1:1", grpc_port=free_port()) as store:
        with pytest.raises(UpstreamUnavailable, match=r"stage retrieve.*Qdrant at http://127\.0\.0\.1:1") as caught:
            await SearchDeadline(400).within(store.query(INDEX, text="amber", limit=3), stage="retrieve")
    assert "budget_ms" not in caught.value.message


async def test_a_server_that_does_not_answer_is_given_up_in_time() -> None:
    async def silent(request: Any) -> Any:
        await asyncio.sleep(60)

    async with (
        http_stub.serve(silent) as stub,
        opened(stub.url, prefer_grpc=False, timeout_seconds=0.2) as store,
    ):
        with pytest.raises(UpstreamUnavailable, match="in time"):
            await store.count(INDEX)


@BOTH_WAYS
async def test_a_failure_that_passes_is_not_noticed(server: MemoryServer, prefer_grpc: bool) -> None:
    failures = {"Upsert": 2, "PUT /collections/{name}/points": 2, "QueryBatch": 1}

    def sabotage(call: str) -> Any:
        failures[call] = failures.get(call, 0) - 1
        return (grpc.StatusCode.UNAVAILABLE if prefer_grpc else 503, "restarting") if failures[call] >= 0 else None

    async with opened(server.url, grpc_port=server.grpc_port, prefer_grpc=prefer_grpc) as store:
        await store.create(INDEX, SCHEMA)
        server.sabotage = sabotage
        await store.upsert(INDEX, make_points(3))
        assert len((await store.query(INDEX, dense=np.ones(4, np.float32), limit=9)).dense) == 3


@BOTH_WAYS
async def test_a_key_that_is_withdrawn_in_mid_batch_stops_the_write_at_once(
    server: MemoryServer, prefer_grpc: bool
) -> None:
    upsert = "Upsert" if prefer_grpc else "PUT /collections/{name}/points"
    refused = (grpc.StatusCode.UNAUTHENTICATED if prefer_grpc else 401, "Must provide an API key")
    async with opened(server.url, grpc_port=server.grpc_port, prefer_grpc=prefer_grpc) as store:
        await store.create(INDEX, SCHEMA)
        server.sabotage = lambda _: refused if server.calls.count(upsert) > 1 else None
        with pytest.raises(UpstreamRejected, match="WINNOW_VECTORS__API_KEY"):
            await store.upsert(INDEX, make_points(3 * BATCH_POINTS))
        assert server.calls.count(upsert) == 2
        server.sabotage = lambda _: None
        await store.upsert(INDEX, make_points(3 * BATCH_POINTS))
        assert await store.count(INDEX) == 3 * BATCH_POINTS


@BOTH_WAYS
async def test_a_batch_that_is_too_large_for_what_lies_between_is_sent_in_parts(
    server: MemoryServer, prefer_grpc: bool
) -> None:
    upsert = "Upsert" if prefer_grpc else "PUT /collections/{name}/points"
    refused = (grpc.StatusCode.RESOURCE_EXHAUSTED, "message larger than max (9 vs. 4)") if prefer_grpc else (413, "")
    async with opened(server.url, grpc_port=server.grpc_port, prefer_grpc=prefer_grpc) as store:
        await store.create(INDEX, SCHEMA)
        server.sabotage = lambda call: refused if call == upsert and server.calls.count(upsert) <= 2 else None
        await store.upsert(INDEX, make_points(9))
        assert await store.count(INDEX) == 9
        assert server.calls.count(upsert) == 5  # 9 and 4 are refused, then 2, 2 and 5 are taken
        server.sabotage = lambda call: refused if call == upsert else None
        with pytest.raises(UpstreamTooLong):  # one point alone cannot be split
            await store.upsert(INDEX, make_points(1))


async def test_a_full_disk_is_reported_as_such(server: MemoryServer, store: QdrantVectorStore) -> None:
    server.sabotage = lambda _: (grpc.StatusCode.INTERNAL, "Service internal error: No space left on device")
    with pytest.raises(StorageFull):
        await store.upsert(INDEX, make_points(1))


async def test_after_closing_nothing_is_sent(store: QdrantVectorStore) -> None:
    await store.close()
    with pytest.raises(StorageFailure, match="closed"):
        await store.count(INDEX)


# --- health --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "fits"), [("1.17.9", False), ("1.18.0", True), ("1.21.0-dev", True), ("2.0", True)]
)
@BOTH_WAYS
async def test_an_old_server_is_refused(server: MemoryServer, prefer_grpc: bool, version: str, fits: bool) -> None:
    server.version = version
    async with opened(server.url, grpc_port=server.grpc_port, prefer_grpc=prefer_grpc) as store:
        if fits:
            await store.check()
        else:
            with pytest.raises(UpstreamRejected, match=r"1\.17\.9; 1\.18"):
                await store.check()


@BOTH_WAYS
async def test_a_wrong_key_makes_the_check_fail(server: MemoryServer, prefer_grpc: bool) -> None:
    refused = (grpc.StatusCode.UNAUTHENTICATED if prefer_grpc else 401, "Must provide an API key")
    server.sabotage = lambda call: None if call in ("HealthCheck", "GET /") else refused
    async with opened(server.url, grpc_port=server.grpc_port, prefer_grpc=prefer_grpc) as store:
        with pytest.raises(UpstreamRejected, match="WINNOW_VECTORS__API_KEY"):
            await store.check()


@BOTH_WAYS
async def test_the_key_is_sent_and_never_shown(
    server: MemoryServer, prefer_grpc: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.sabotage = lambda _: (grpc.StatusCode.PERMISSION_DENIED if prefer_grpc else 403, "no")
    async with opened(server.url, grpc_port=server.grpc_port, prefer_grpc=prefer_grpc, api_key="s3cret") as store:
        with pytest.raises(UpstreamRejected) as caught:
            await store.indexes()
    assert server.keys == {"s3cret"}
    assert "s3cret" not in caught.value.message + caplog.text
    assert "unencrypted" in caplog.text


# --- TLS -----------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost, signed by itself, and its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, pem = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = "-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    command = [openssl, "req", *options.split(), "-keyout", str(key), "-out", str(pem)]
    subprocess.run(command, check=True, capture_output=True)
    pem.write_bytes(pem.read_bytes() + key.read_bytes())
    return pem


@BOTH_WAYS
async def test_an_https_address_means_tls_with_the_given_certificates(certificate: Path, prefer_grpc: bool) -> None:
    async with qdrant_server.serve(certificate) as server:
        settings = {"grpc_port": server.grpc_port, "prefer_grpc": prefer_grpc, "api_key": "s3cret"}
        async with opened(server.url, ca_file=certificate, **settings) as store:
            await store.check()
        async with opened(server.url, timeout_seconds=0.5, **settings) as stranger:
            with pytest.raises(UpstreamUnavailable, match="WINNOW_VECTORS__URL"):
                await stranger.check()


@BOTH_WAYS
async def test_a_plain_address_of_a_port_for_tls_is_told(certificate: Path, prefer_grpc: bool) -> None:
    async with qdrant_server.serve(certificate) as server:
        plain = server.url.replace("https://", "http://")
        async with opened(plain, grpc_port=server.grpc_port, prefer_grpc=prefer_grpc, timeout_seconds=20) as store:
            with pytest.raises(UpstreamUnavailable, match=r"https:// if the server expects TLS"):
                await store.check()


def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(InvalidSettings, match=f"WINNOW_VECTORS__CA_FILE.*{name}"):
            server_client(QdrantVectors(url="https://q", ca_file=tmp_path / name))


# --- several processes ---------------------------------------------------------------------------


@pytest.fixture
async def other(server: MemoryServer) -> AsyncIterator[QdrantVectorStore]:
    """The store as another process has it."""
    async with opened(server.url, grpc_port=server.grpc_port) as store:
        yield store


FIELD = replace(SCHEMA, fields={"lang": "keyword"})
GERMAN = Comparison("eq", "lang", "de")


async def test_a_field_that_another_process_declared_can_be_filtered_on(
    store: QdrantVectorStore, other: QdrantVectorStore
) -> None:
    await store.upsert(INDEX, make_points(2, lang="de"))
    with pytest.raises(InvalidFilter):
        await store.query(INDEX, dense=np.ones(4, np.float32), limit=9, filter=GERMAN)
    await other.create(INDEX, FIELD)
    found = await store.query(INDEX, dense=np.ones(4, np.float32), limit=9, filter=GERMAN)
    assert len(found.dense) == 2


async def test_points_written_while_a_field_is_added_have_it(
    server: MemoryServer, store: QdrantVectorStore, other: QdrantVectorStore
) -> None:
    await store.count(INDEX)
    await other.create(INDEX, FIELD)  # the store has read the schema before
    await store.upsert(INDEX, make_points(2, lang="de"))
    assert len((await store.query(INDEX, dense=np.ones(4, np.float32), limit=9, filter=GERMAN)).dense) == 2


async def test_two_processes_add_fields_at_a_time(store: QdrantVectorStore, other: QdrantVectorStore) -> None:
    await store.upsert(INDEX, make_points(2, lang="de", year=1))
    year = Comparison("eq", "year", 1)
    await asyncio.gather(store.create(INDEX, FIELD), other.create(INDEX, replace(SCHEMA, fields={"year": "integer"})))
    for condition in (GERMAN, year):
        assert len((await other.query(INDEX, text="amber", limit=9, filter=condition)).sparse) == 2


async def test_two_processes_make_an_index_at_a_time(store: QdrantVectorStore, other: QdrantVectorStore) -> None:
    await asyncio.gather(store.create(IndexRef("d"), SCHEMA), other.create(IndexRef("d"), SCHEMA))
    assert await store.count(IndexRef("d")) == 0


async def test_adding_a_field_that_was_interrupted_is_completed_by_the_next_try(
    server: MemoryServer, store: QdrantVectorStore, other: QdrantVectorStore
) -> None:
    await store.upsert(INDEX, make_points(2, lang="de"))
    server.sabotage = lambda call: (grpc.StatusCode.INVALID_ARGUMENT, "killed") if call == "UpdateBatch" else None
    with pytest.raises(UpstreamRejected):
        await store.create(INDEX, FIELD)
    server.sabotage = lambda _: None
    await other.create(INDEX, FIELD)
    assert len((await other.query(INDEX, text="amber", limit=9, filter=GERMAN)).sparse) == 2


async def test_an_index_that_another_process_dropped_is_gone(
    store: QdrantVectorStore, other: QdrantVectorStore
) -> None:
    await other.drop(INDEX)
    with pytest.raises(IndexLost):
        await store.query(INDEX, text="amber", limit=9)
    with pytest.raises(IndexLost):
        await store.upsert(INDEX, make_points(1))


# --- the whole service ---------------------------------------------------------------------------


def test_more_copies_to_wait_for_than_there_are_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="WINNOW_VECTORS"):
        load_settings(vectors={"provider": "qdrant", "url": "http://q", "replicas": 1, "write_consistency": 2})


async def test_documents_are_indexed_and_found_over_the_wire(
    server: MemoryServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WINNOW_VECTORS__PROVIDER", "qdrant")
    monkeypatch.setenv("WINNOW_VECTORS__URL", server.url)
    monkeypatch.setenv("WINNOW_VECTORS__GRPC_PORT", str(server.grpc_port))
    monkeypatch.setenv("WINNOW_CATALOG__URL", f"sqlite:///{tmp_path / 'winnow.db'}")
    service = Service(load_settings(data_dir=tmp_path, **MODELS))
    try:
        texts = {"a": "the amber heron", "b": "a birch lagoon"}
        await service.fill("docs", [{"id": key, "text": text} for key, text in texts.items()])
        await service.fill("docs", [{"id": "a", "text": "an amber island"}])
        answer = await service.client.post("/v1/collections/docs/search", json={"query": "amber"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"][0]["document_id"] == "a"
        assert "island" in answer.text
        assert "heron" not in answer.text
    finally:
        await service.close()


def test_the_page_on_servers_names_every_setting() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations" / "qdrant.md").read_text("utf-8")
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `WINNOW_VECTORS__")}
    fields = {f"WINNOW_VECTORS__{name.upper()}": field for name, field in QdrantVectors.model_fields.items()}
    del fields["WINNOW_VECTORS__PROVIDER"]
    assert set(rows) == set(fields)
    for variable, field in fields.items():
        assert (field.description or "") in rows[variable]


def test_the_store_is_built_without_a_call(tmp_path: Path) -> None:
    vectors = {"provider": "qdrant", "url": "http://127.0.0.1:1"}
    settings = load_settings(data_dir=tmp_path, vectors=vectors, catalog={"url": "sqlite:///winnow.db"})
    assert isinstance(build_store(settings), QdrantVectorStore)
