"""Requests are those that the client's own methods make: in that form the store was proven against a real server."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest
from qdrant_client import AsyncQdrantClient, models
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import RestToGrpc
from qdrant_client.http.api.points_api import jsonable_encoder

from winnow.core.settings.vectors import QdrantVectors
from winnow.core.types import And, Chunk, Comparison, Exists, FieldType, Filter, Not, Or, TokenFormat
from winnow.ports import IndexSchema, Point
from winnow.vectors.keywords import NEWEST, encoder_of
from winnow.vectors.payloads import POINT_FIELDS, encode_payload
from winnow.vectors.qdrant.grpc_answers import plain_payload
from winnow.vectors.qdrant.grpc_calls import GrpcPointCalls
from winnow.vectors.qdrant.grpc_requests import packed_vector, packed_vectors
from winnow.vectors.qdrant.http_calls import HttpPointCalls
from winnow.vectors.qdrant.schema import search_params
from winnow.vectors.tokens import stored_tokens

NAME = "winnow__c__1"
IDS = [str(uuid.UUID(int=number)) for number in (7, 9)]
RNG = np.random.default_rng(3)
DENSE = RNG.standard_normal(40).astype(np.float32)
TOKENS = (RNG.standard_normal((5, 40)) / 8).astype(np.float16)
ENCODER = encoder_of(NEWEST)
FIELDS: Mapping[str, FieldType] = {
    "lang": "keyword",
    "public": "boolean",
    "year": "integer",
    "price": "float",
    "seen": "datetime",
    "a.b c": "keyword",
}
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_900, UTC)


class Sent(SimpleNamespace):
    """A client that keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__(sent=None)

    def __getattr__(self, name: str) -> Any:
        async def call(request: Any = None, **asked: Any) -> Any:
            self.sent = request if request is not None else asked
            return {"result": []} if request is None else SimpleNamespace(result=[])

        if name in ("grpc_points", "http", "client"):
            return self
        return call


def grpc_calls(client: Sent, **settings: Any) -> GrpcPointCalls:
    return GrpcPointCalls(client, QdrantVectors(url="http://q", **settings))  # type: ignore[arg-type]


def http_calls(client: Sent, **settings: Any) -> HttpPointCalls:
    return HttpPointCalls(client, QdrantVectors(url="http://q", prefer_grpc=False, **settings))  # type: ignore[arg-type]


def as_models(vectors: Mapping[str, Any]) -> dict[str, Any]:
    words = vectors["bm25"]
    sparse = models.SparseVector(indices=words.indices, values=words.values)
    return {"dense": DENSE.tolist(), "bm25": sparse, "tokens": TOKENS.tolist()}


ARMS = {"dense": DENSE, "bm25": ENCODER.query("amber birch amber"), "tokens": TOKENS}


def searches(condition: Any, params: models.SearchParams, **changes: Any) -> list[models.QueryRequest]:
    asked = {"limit": 150, "filter": condition, "params": params, "with_payload": POINT_FIELDS} | changes
    return [models.QueryRequest(query=arm, using=name, **asked) for name, arm in as_models(ARMS).items()]


def in_grpc(requests: list[models.QueryRequest]) -> Any:
    queries = [RestToGrpc.convert_query_request(each, NAME) for each in requests]
    return wire.QueryBatchPoints(collection_name=NAME, query_points=queries)


def sent_json(client: Sent) -> Any:
    return orjson.loads(client.sent["content"])


def rounded(value: Any) -> Any:
    """JSON with its numbers as 32-bit floats: a model writes them as the 64-bit ones that Python has."""
    match value:
        case float():
            return float(np.float32(value))
        case list():
            return [rounded(each) for each in value]
        case dict():
            return {key: rounded(each) for key, each in value.items()}
        case _:
            return value


# --- searches ------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantization", ["none", "turbo"])
@pytest.mark.parametrize("filtered", [False, True])
async def test_a_search_is_asked_as_the_client_asks(quantization: Any, filtered: bool) -> None:
    settings = QdrantVectors(url="http://q", quantization=quantization)
    year = models.FieldCondition(key='f."year"', range=models.Range(gte=2020.0))
    condition = models.Filter(must=[models.Filter(must=[models.Filter(should=[year])])]) if filtered else None
    asked: Filter = And((Comparison("gte", "year", 2020),))
    requests = searches(condition, search_params(settings, filtered=filtered))
    client = Sent()
    calls = grpc_calls(client, quantization=quantization)
    await calls.search(NAME, ARMS, 150, calls.condition(asked, FIELDS) if filtered else None)
    assert client.sent == in_grpc(requests)
    http = http_calls(client, quantization=quantization)
    await http.search(NAME, ARMS, 150, http.condition(asked, FIELDS) if filtered else None)
    expected = orjson.loads(jsonable_encoder(models.QueryRequestBatch(searches=requests)))
    assert rounded(sent_json(client)) == rounded(expected)


async def test_scores_are_asked_for_as_the_client_asks() -> None:
    exact = models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))
    among = models.Filter(must=[models.HasIdCondition(has_id=list(IDS))])
    requests = searches(among, exact, limit=2, with_payload=None)
    client = Sent()
    await grpc_calls(client).score(NAME, ARMS, IDS)
    assert client.sent == in_grpc(requests)
    await http_calls(client).score(NAME, ARMS, IDS)
    expected = orjson.loads(jsonable_encoder(models.QueryRequestBatch(searches=requests)))
    assert rounded(sent_json(client)) == rounded(expected)


FILTERS: list[tuple[Filter, models.Filter]] = [
    (
        Comparison("eq", "lang", "en"),
        models.Filter(must=[models.FieldCondition(key='f."lang"', match=models.MatchAny(any=["en"]))]),
    ),
    (
        Comparison("in", "year", [1, 2]),
        models.Filter(must=[models.FieldCondition(key='f."year"', match=models.MatchAny(any=[1, 2]))]),
    ),
    (
        Comparison("in", "year", []),
        models.Filter(must=[models.FieldCondition(key='f."year"', match=models.MatchAny(any=[]))]),
    ),
    (
        Comparison("ne", "public", True),
        models.Filter(
            must_not=[
                models.Filter(must=[models.FieldCondition(key='f."public"', match=models.MatchAny(any=["true"]))])
            ]
        ),
    ),
    (
        Comparison("eq", "price", 1.5),
        models.Filter(
            should=[models.Filter(must=[models.FieldCondition(key='f."price"', range=models.Range(gte=1.5, lte=1.5))])]
        ),
    ),
    (
        Comparison("lt", "seen", MOMENT),
        models.Filter(must=[models.FieldCondition(key='f."seen"', range=models.DatetimeRange(lt=MOMENT))]),
    ),
    (
        Not(Or((Exists("a.b c"),))),
        models.Filter(
            must_not=[
                models.Filter(
                    should=[
                        models.Filter(
                            must_not=[
                                models.IsEmptyCondition(is_empty=models.PayloadField(key='f."a.b%20c"')),
                            ]
                        )
                    ]
                )
            ]
        ),
    ),
    (Or(()), models.Filter(must=[models.HasIdCondition(has_id=[])])),
]


@pytest.mark.parametrize(("asked", "expected"), FILTERS, ids=[repr(asked) for asked, _ in FILTERS])
def test_a_filter_is_the_one_that_the_client_makes(asked: Filter, expected: models.Filter) -> None:
    assert grpc_calls(Sent()).condition(asked, FIELDS) == RestToGrpc.convert_filter(expected)
    written = orjson.dumps(http_calls(Sent()).condition(asked, FIELDS), option=orjson.OPT_UTC_Z)
    assert orjson.loads(written) == orjson.loads(jsonable_encoder(expected))


# --- points --------------------------------------------------------------------------------------

METADATA = {"lang": "en", "year": 2020, "price": 1.0, "public": False, "a.b c": ["x", "y"], "seen": MOMENT.isoformat()}
POINT = Point(
    IDS[0],
    "d1",
    3,
    Chunk(2, 10, 40, "Ünïcode amber 😀", ("Guide",), "set-up"),
    "A title",
    "https://e.org",
    METADATA,
    DENSE,
    TOKENS,
)
WORDLESS = replace(POINT, id=IDS[1], chunk=Chunk(0, 0, 1, "?"), title="", dense=None, tokens=None, metadata={})


def as_struct(point: Point, form: TokenFormat) -> models.PointStruct:
    sparse = ENCODER.document(point.document_id, point.title, point.chunk)
    vectors: dict[str, Any] = {
        name: models.SparseVector(indices=words.indices, values=words.values) for name, words in sparse.items()
    }
    if point.dense is not None and point.tokens is not None:
        vectors |= {"dense": point.dense.tolist(), "tokens": stored_tokens(point.tokens, form).tolist()}
    return models.PointStruct(id=point.id, vector=vectors, payload=encode_payload(point, FIELDS))


@pytest.mark.parametrize("form", ["uint8", "float16"])
async def test_points_are_written_as_the_client_writes_them(form: TokenFormat) -> None:
    schema = IndexSchema(40, 40, FIELDS, form)
    structs = [as_struct(point, form) for point in (POINT, WORDLESS)]
    client = Sent()
    calls = grpc_calls(client)
    await calls.upsert(NAME, calls.encode([POINT, WORDLESS], schema, ENCODER))
    points = [RestToGrpc.convert_point_struct(each) for each in structs]
    assert client.sent == wire.UpsertPoints(collection_name=NAME, wait=True, points=points)
    http = http_calls(client)
    await http.upsert(NAME, http.encode([POINT, WORDLESS], schema, ENCODER))
    assert (client.sent["method"], client.sent["params"]) == ("PUT", {"wait": "true"})
    assert rounded(sent_json(client)) == rounded(orjson.loads(jsonable_encoder(models.PointsList(points=structs))))


async def test_points_are_deleted_as_the_client_deletes_them() -> None:
    old = models.FieldCondition(key="revision", range=models.Range(lt=4.0))
    conditions: list[list[Any]] = [
        [models.FieldCondition(key="document_id", match=models.MatchAny(any=["a", "b"])), old],
        [models.FieldCondition(key="document_id", match=models.MatchAny(any=["c"]))],
    ]
    deletes = [
        models.DeleteOperation(delete=models.FilterSelector(filter=models.Filter(must=each))) for each in conditions
    ]
    stale = [(4, ["a", "b"]), (None, ["c"])]
    client = Sent()
    await grpc_calls(client).delete(NAME, stale)
    operations = [RestToGrpc.convert_update_operation(each) for each in deletes]
    assert client.sent == wire.UpdateBatchPoints(collection_name=NAME, wait=True, operations=operations)
    await http_calls(client).delete(NAME, stale)
    assert sent_json(client) == orjson.loads(jsonable_encoder(models.UpdateOperations(operations=deletes)))


@pytest.mark.parametrize("shape", [(1,), (31,), (32,), (384,), (4096,)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_a_vector_out_of_an_array_is_the_vector_of_its_numbers(shape: tuple[int, ...], dtype: Any) -> None:
    vector = RNG.standard_normal(shape).astype(np.float16).astype(dtype)
    assert wire.DenseVector.FromString(packed_vector(vector)) == wire.DenseVector(data=vector.tolist())
    backwards = np.stack([vector[::-1], vector])[:, ::-1]
    rows = [wire.DenseVector(data=row.tolist()) for row in backwards]
    assert wire.MultiDenseVector.FromString(packed_vectors(backwards)) == wire.MultiDenseVector(vectors=rows)


def test_a_payload_comes_back_as_it_was_written() -> None:
    payload = encode_payload(POINT, FIELDS) | {"nothing": None, "deep": {"list": [1, 2.5, None, True, {"x": "y"}]}}
    assert plain_payload(wire.PointStruct(payload=RestToGrpc.convert_payload(payload)).payload) == payload


# --- other calls ---------------------------------------------------------------------------------


async def test_the_other_calls_are_the_ones_that_the_client_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways end in the same stub; the client's own method is called with the same arguments."""
    client = AsyncQdrantClient(url="http://127.0.0.1:1", prefer_grpc=True, check_compatibility=False)
    seen: list[Any] = []

    class Stub:
        def __getattr__(self, name: str) -> Any:
            async def call(request: Any, **_: Any) -> Any:
                seen.append(request)
                answers = {"Get": wire.GetResponse(), "Scroll": wire.ScrollResponse(), "Count": wire.CountResponse()}
                return answers[name]

            return call

    monkeypatch.setattr(type(client._client), "grpc_points", property(lambda _: Stub()))
    calls = GrpcPointCalls(client, QdrantVectors(url="http://q"))
    await calls.fetch(NAME, IDS, ["dense", "tokens"], "uint8")
    await client.retrieve(NAME, IDS, with_payload=POINT_FIELDS, with_vectors=["dense", "tokens"])
    await calls.page(NAME, ["source"], 1000, wire.PointId(uuid=IDS[0]))
    await client.scroll(NAME, limit=1000, offset=IDS[0], with_payload=["source"])
    await calls.page(NAME, ["source"], 1000, None)
    await client.scroll(NAME, limit=1000, with_payload=["source"])
    await calls.count(NAME)
    await client.count(NAME, exact=True)
    await client.close()
    assert len(seen) == 8
    assert seen[0::2] == seen[1::2]
