"""A stand-in for a Qdrant server, for machines without one: ``PYTHONPATH=. python benchmarks/stack_qdrant.py FILE``.

It speaks the part of Qdrant's gRPC that the store uses, answers with the points that were upserted, and costs about as
much as the server does: two arms over some thousand points take it one to two milliseconds. Like the server it
compresses answers for clients that offer it.
"""
# ruff: noqa: N802 - methods of a gRPC service are named by its protocol

from __future__ import annotations

import asyncio
import json
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import grpc.aio  # type: ignore[import-untyped]
import numpy as np
from qdrant_client import grpc as wire
from stack_points import DENSE, NAMES, SPARSE, TOKENS, Points, best

from tests.stubs.qdrant_recorded import server_config

VERSION: Final = "1.18.3"
_OPTIONS: Final = [
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.default_compression_level", 2),  # for clients that offer it, as the server does
]
_SCORE: Final = struct.Struct("<Bf")  # field 3 of ScoredPoint, fixed32
_FIRST: Final = b"\x0a"  # field 1, length-delimited: a result of a batch, a batch of an answer


class Root(wire.qdrant_pb2_grpc.QdrantServicer):
    """Says that it is there."""

    async def HealthCheck(self, _request: Any, _context: Any) -> Any:
        return wire.HealthCheckReply(title="qdrant", version=VERSION)


class Collections(wire.collections_service_pb2_grpc.CollectionsServicer):
    """The collections, with the points of each."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}
        self._points: dict[str, Points] = {}

    def points(self, name: str) -> Points | None:
        """The points of a collection; ``None`` where there is no such collection."""
        return self._points.get(name)

    async def List(self, _request: Any, _context: Any) -> Any:
        return wire.ListCollectionsResponse(collections=[wire.CollectionDescription(name=name) for name in self._made])

    async def Create(self, request: Any, _context: Any) -> Any:
        self._made[request.collection_name] = request
        self._points[request.collection_name] = Points()
        return wire.CollectionOperationResponse(result=True)

    async def Update(self, request: Any, _context: Any) -> Any:
        for key, value in request.metadata.items():
            self._made[request.collection_name].metadata[key].CopyFrom(value)
        return wire.CollectionOperationResponse(result=True)

    async def Delete(self, request: Any, _context: Any) -> Any:
        self._points.pop(request.collection_name, None)
        return wire.CollectionOperationResponse(result=self._made.pop(request.collection_name, None) is not None)

    async def Get(self, request: Any, context: Any) -> Any:
        name = request.collection_name
        made = self._made.get(name)
        if made is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: Collection `{name}` doesn't exist!")
            return None
        optimizer = wire.OptimizerStatus(ok=True)
        info = wire.CollectionInfo(
            status=wire.Green, optimizer_status=optimizer, segments_count=1, config=server_config(made)
        )
        return wire.GetCollectionInfoResponse(result=info)


class PointCalls(wire.points_service_pb2_grpc.PointsServicer):
    """Writes and searches."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections

    async def CreateFieldIndex(self, _request: Any, _context: Any) -> Any:
        return _updated()

    async def Upsert(self, request: Any, context: Any) -> Any:
        (await self._points(request, context)).upsert(request.points)
        return _updated()

    async def UpdateBatch(self, request: Any, context: Any) -> Any:
        points = await self._points(request, context)
        for operation in request.operations:
            points.remove(_matching(points, operation.delete_points.points.filter))
        return wire.UpdateBatchResponse(result=[_updated().result for _ in request.operations])

    async def Delete(self, request: Any, context: Any) -> Any:
        points = await self._points(request, context)
        points.remove(_matching(points, request.points.filter))
        return _updated()

    async def Count(self, request: Any, context: Any) -> Any:
        return wire.CountResponse(result=wire.CountResult(count=len((await self._points(request, context)).rows)))

    async def Get(self, request: Any, context: Any) -> Any:
        points = await self._points(request, context)
        payloads = points.fragments(_keys(request.with_payload))
        rows = [points.rows[each.uuid] for each in request.ids if each.uuid in points.rows]
        return wire.GetResponse(result=[wire.RetrievedPoint.FromString(payloads[row]) for row in rows])

    async def Scroll(self, request: Any, context: Any) -> Any:
        points = await self._points(request, context)
        payloads = points.fragments(_keys(request.with_payload))
        return wire.ScrollResponse(
            result=[wire.RetrievedPoint.FromString(payloads[row]) for row in points.rows.values()]
        )

    async def query_batch(self, body: bytes, context: Any) -> bytes:
        """``QueryBatch``, without the messages of an answer: they would cost more than the search."""
        request = wire.QueryBatchPoints.FromString(body)
        points = await self._points(request, context)
        results = [_answer(points, each) for each in request.query_points]
        return b"".join([_FIRST + _size(len(result)) + result for result in results])

    async def _points(self, request: Any, context: Any) -> Points:
        points = self._collections.points(request.collection_name)
        if points is None:
            text = f"Not found: Collection `{request.collection_name}` doesn't exist!"
            await context.abort(grpc.StatusCode.NOT_FOUND, text)
            raise AssertionError("unreachable")
        return points


def _answer(points: Points, query: Any) -> bytes:
    """One ``BatchResult``."""
    begins = points.fragments(_keys(query.with_payload))
    hits: list[bytes] = []
    for row, score in _search(points, query):
        hit = begins[row] + _SCORE.pack(0x1D, score)
        hits.append(_FIRST + _size(len(hit)) + hit)
    return b"".join(hits)


def _search(points: Points, query: Any) -> Sequence[tuple[int, float]]:
    vector, limit = query.query.nearest, query.limit or 10
    only = _only(points, query.filter)
    match query.using:
        case str(name) if name == TOKENS:
            matrix = np.array([row.data for row in vector.multi_dense.vectors], np.float32)
            rows = list(points.rows.values()) if only is None else only
            return sorted(points.maxima(rows, matrix), key=lambda pair: -pair[1])[:limit]
        case str(name) if name in (SPARSE, NAMES):
            scores = points.sparse_scores(name, vector.sparse.indices, vector.sparse.values)
        case str(name) if name == DENSE:
            scores = points.dense_scores(np.array(vector.dense.data, np.float32))
        case other:
            raise ValueError(f"no vector {other!r}")
    if only is not None:
        kept = np.zeros_like(scores)
        kept[only] = scores[only]
        scores = kept
    return best(scores, limit)


def _only(points: Points, condition: Any) -> list[int] | None:
    """The rows that a search is limited to; by ids alone, as the second stage asks."""
    if not condition.must:
        return None
    ids = [each.uuid for part in condition.must for each in part.has_id.has_id]
    return [points.rows[each] for each in ids if each in points.rows]


def _matching(points: Points, condition: Any) -> list[str]:
    """Ids of the points of given documents, of revisions below a bound where one is given."""
    documents: set[str] = set()
    below = float("inf")
    for part in condition.must:
        documents |= set(part.field.match.keywords.strings)
        if part.field.HasField("range"):
            below = part.field.range.lt
    found = []
    for id_, row in points.rows.items():
        payload = points.payloads[row]
        document = wire.Value.FromString(payload["document_id"]).string_value
        if document in documents and wire.Value.FromString(payload["revision"]).integer_value < below:
            found.append(id_)
    return found


def _keys(selector: Any) -> Sequence[str] | None:
    """The keys of the payload that are asked for; ``None`` for all."""
    match selector.WhichOneof("selector_options"):
        case "include":
            return list(selector.include.fields)
        case "enable" if selector.enable:
            return None
        case _:
            return ()


def _size(number: int) -> bytes:
    """A length as protobuf writes it."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _updated() -> Any:
    return wire.PointsOperationResponse(result=wire.UpdateResult(operation_id=0, status=wire.UpdateStatus.Completed))


class _Raw(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers one method with bytes; it is asked before the handlers with messages."""

    def __init__(self, method: str, answer: Callable[[bytes, Any], Any]) -> None:
        self._method = method
        self._handler = grpc.unary_unary_rpc_method_handler(answer)

    def service(self, details: Any) -> Any:
        return self._handler if details.method == self._method else None


async def serve(address: Path) -> None:
    """Serve until the process is stopped; write where to ``address``."""
    server = grpc.aio.server(options=_OPTIONS)
    collections = Collections()
    calls = PointCalls(collections)
    handlers: Iterable[Any] = (_Raw("/qdrant.Points/QueryBatch", calls.query_batch),)
    server.add_generic_rpc_handlers(handlers)
    wire.points_service_pb2_grpc.add_PointsServicer_to_server(calls, server)  # type: ignore[no-untyped-call]
    wire.collections_service_pb2_grpc.add_CollectionsServicer_to_server(collections, server)  # type: ignore[no-untyped-call]
    wire.qdrant_pb2_grpc.add_QdrantServicer_to_server(Root(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    part = address.with_suffix(".part")
    part.write_text(json.dumps({"url": f"http://127.0.0.1:{port}", "grpc_port": port}), encoding="utf-8")
    part.replace(address)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
