"""A gRPC server in place of Qdrant that answers from what was upserted, without searching: for benchmarks and counts.

It costs little CPU: messages come and go as bytes, arms of hits are serialised once and sent again, and every query
waits the 2 ms that a real server takes. Each search finds points in the order in which they came, whatever it asks
for, with scores that fall from hit to hit; vectors are thrown away. Collections, fields, deletions, counts and pages
are kept as a server keeps them, so that ``winnow serve``, ``winnow index`` and ``winnow verify`` work with it. It
compresses its answers where the client offers that, as a real server does.

``python -m tests.stubs.qdrant_recorded --port 6334 [--wait-ms 2]`` serves until it is terminated and prints
its port; set ``WINNOW_VECTORS__GRPC_PORT`` to it, and ``WINNOW_VECTORS__URL`` to any address of this machine. ``serve``
does the same within a process.
"""

from __future__ import annotations

import argparse
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
from qdrant_client import grpc as wire

from winnow.vectors.payloads import NAMES

WAIT_SECONDS: Final = 0.002  # of a query on a real server: two arms of 100 hits, 10,000 points
MAX_REQUEST: Final = 32 << 20  # bytes, as a real server has it
_VERSION: Final = "1.20.0"
_QUERY: Final = "Points/QueryBatch"
_TOP_SCORE: Final = 0.9


@dataclass
class _Collection:
    """Points by id: what is stored of each is its message without vectors, as bytes."""

    config: Any
    points: dict[str, bytes] = field(default_factory=dict)
    documents: dict[str, dict[str, int]] = field(default_factory=dict)  # by document: revisions by point id
    arms: dict[tuple[Any, ...], bytes] = field(default_factory=dict)  # serialised hits, until the next write

    def upsert(self, points: Sequence[Any]) -> None:
        for point in points:
            document = point.payload["document_id"].string_value
            self.documents.setdefault(document, {})[point.id.uuid] = point.payload["revision"].integer_value
            point.ClearField("vectors")
            self.points[point.id.uuid] = point.SerializeToString()
        self.arms.clear()

    def delete(self, only: Any) -> None:
        """The deletion of the store: points of some documents, perhaps only those before a revision."""
        documents: Sequence[str] = ()
        before = float("inf")
        for condition in only.must:
            if condition.field.key == "document_id":
                documents = condition.field.match.keywords.strings
            elif condition.field.key == "revision":
                before = condition.field.range.lt
        for document in documents:
            revisions = self.documents.get(document, {})
            for each in [each for each, revision in revisions.items() if revision < before]:
                del self.points[each], revisions[each]
        self.arms.clear()

    def record(self, point_id: str, kind: Any, keys: Sequence[str]) -> Any:
        """A stored point as a message of ``kind``, with these keys of its payload."""
        stored = wire.PointStruct.FromString(self.points[point_id])
        return kind(id=stored.id, payload={key: stored.payload[key] for key in keys if key in stored.payload})


@dataclass
class RecordedServer:
    """A running server.

    Attributes:
        port: where it listens on the loopback.
        calls: names of the calls that came in, such as ``Points/QueryBatch``, in order of arrival.
        wait: seconds that a query takes.
        refused: calls that the key may not make.
    """

    port: int = 0
    wait: float = WAIT_SECONDS
    calls: list[str] = field(default_factory=list)
    collections: dict[str, _Collection] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, call: str, request: bytes) -> bytes:
        """The answer to a call; raises ``KeyError`` for a collection that does not exist."""
        began = time.monotonic()
        self.calls.append(call)
        with self.lock:
            answer = bytes(_CALLS[call](self, request))
        if call == _QUERY:
            time.sleep(max(0.0, self.wait - (time.monotonic() - began)))
        return answer


@contextmanager
def serve(*, port: int = 0, wait: float = WAIT_SECONDS, threads: int = 32) -> Iterator[RecordedServer]:
    """Serve an empty store until the block ends."""
    state = RecordedServer(wait=wait)
    options = [("grpc.default_compression_level", 2), ("grpc.max_receive_message_length", MAX_REQUEST)]
    server = grpc.server(ThreadPoolExecutor(threads), options=options)
    for service in ("Qdrant", "Collections", "Points"):
        calls = [call.removeprefix(f"{service}/") for call in _CALLS if call.startswith(f"{service}/")]
        handlers = {call: grpc.unary_unary_rpc_method_handler(_handler(state, f"{service}/{call}")) for call in calls}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"qdrant.{service}", handlers),))
    state.port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield state
    finally:
        server.stop(None).wait()


def _handler(state: RecordedServer, call: str) -> Callable[[bytes, Any], bytes]:
    def answer(request: bytes, context: Any) -> bytes:
        if call in state.refused:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "Global manage access is required")
        try:
            return state.answer(call, request)
        except KeyError as error:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: Collection `{error.args[0]}` doesn't exist!")
            raise

    return answer


# --- calls ---------------------------------------------------------------------------------------


def _health(state: RecordedServer, request: bytes) -> Any:
    return wire.HealthCheckReply(title="qdrant", version=_VERSION).SerializeToString()


def _list(state: RecordedServer, request: bytes) -> Any:
    found = [wire.CollectionDescription(name=name) for name in state.collections]
    return wire.ListCollectionsResponse(collections=found).SerializeToString()


def _info(state: RecordedServer, request: bytes) -> Any:
    found = state.collections[wire.GetCollectionInfoRequest.FromString(request).collection_name]
    info = wire.CollectionInfo(
        status=wire.CollectionStatus.Green,
        optimizer_status=wire.OptimizerStatus(ok=True),
        config=found.config,
        points_count=len(found.points),
    )
    return wire.GetCollectionInfoResponse(result=info).SerializeToString()


def _create(state: RecordedServer, request: bytes) -> Any:
    made = wire.CreateCollection.FromString(request)
    state.collections[made.collection_name] = _Collection(server_config(made))
    return _DONE


def server_config(made: Any) -> Any:
    """The configuration that a server reports of a collection, from the ``CreateCollection`` that made it."""
    params = wire.CollectionParams(
        shard_number=1,
        on_disk_payload=True,
        vectors_config=made.vectors_config,
        sparse_vectors_config=made.sparse_vectors_config,
    )
    return wire.CollectionConfig(
        params=params,
        hnsw_config=wire.HnswConfigDiff(m=16, ef_construct=100, full_scan_threshold=10_000),
        optimizer_config=wire.OptimizersConfigDiff(
            deleted_threshold=0.2, vacuum_min_vector_number=1000, default_segment_number=0, flush_interval_sec=5
        ),
        wal_config=wire.WalConfigDiff(wal_capacity_mb=32, wal_segments_ahead=0),
        metadata=made.metadata,
    )


def _update(state: RecordedServer, request: bytes) -> Any:
    changes = wire.UpdateCollection.FromString(request)
    state.collections[changes.collection_name].config.MergeFrom(wire.CollectionConfig(metadata=changes.metadata))
    return _DONE


def _drop(state: RecordedServer, request: bytes) -> Any:
    state.collections.pop(wire.DeleteCollection.FromString(request).collection_name, None)
    return _DONE


def _index_field(state: RecordedServer, request: bytes) -> Any:
    assert state.collections[wire.CreateFieldIndexCollection.FromString(request).collection_name]
    return _WRITTEN


def _upsert(state: RecordedServer, request: bytes) -> Any:
    asked = wire.UpsertPoints.FromString(request)
    state.collections[asked.collection_name].upsert(asked.points)
    return _WRITTEN


def _update_points(state: RecordedServer, request: bytes) -> Any:
    asked = wire.UpdateBatchPoints.FromString(request)
    found = state.collections[asked.collection_name]
    for operation in asked.operations:
        if operation.HasField("delete_points"):
            found.delete(operation.delete_points.points.filter)
    done = wire.UpdateResult(operation_id=0, status=wire.UpdateStatus.Completed)
    return wire.UpdateBatchResponse(result=[done] * len(asked.operations)).SerializeToString()


def _query(state: RecordedServer, request: bytes) -> bytes:
    asked = wire.QueryBatchPoints.FromString(request)
    found = state.collections[asked.collection_name]
    return b"".join(_arm(found, number, query) for number, query in enumerate(asked.query_points))


def _arm(found: _Collection, number: int, query: Any) -> bytes:
    """One ``BatchResult`` as a field of the answer: the first points for the first arm, else the last ones.

    No query is the name of a document.
    """
    if query.using == NAMES:
        return _NOTHING
    keys = tuple(query.with_payload.include.fields)
    if query.filter.must and query.filter.must[0].HasField("has_id"):
        ids = tuple(each.uuid for each in query.filter.must[0].has_id.has_id)
        return _scored(number, tuple(each for each in ids if each in found.points))
    shape = (number, query.limit, keys)
    if shape not in found.arms:
        order = list(found.points) if number == 0 else list(reversed(found.points))
        chosen = order[: query.limit]
        hits = [found.record(each, wire.ScoredPoint, keys) for each in chosen]
        for rank, hit in enumerate(hits):
            hit.score, hit.version = _score(number, rank), 1
        found.arms[shape] = wire.QueryBatchResponse(result=[wire.BatchResult(result=hits)]).SerializeToString()
    return found.arms[shape]


@lru_cache(1000)
def _scored(number: int, ids: tuple[str, ...]) -> bytes:
    """Hits without payload."""
    hits = [
        wire.ScoredPoint(id=wire.PointId(uuid=each), score=_score(number, rank), version=1)
        for rank, each in enumerate(ids)
    ]
    return bytes(wire.QueryBatchResponse(result=[wire.BatchResult(result=hits)]).SerializeToString())


def _score(number: int, rank: int) -> float:
    """Cosines for the first arm, weights of words for the second, sums over tokens for the third."""
    return (_TOP_SCORE, 20.0, 8.0)[number] / (1 + rank / 50)


def _get(state: RecordedServer, request: bytes) -> Any:
    asked = wire.GetPoints.FromString(request)
    found, keys = state.collections[asked.collection_name], list(asked.with_payload.include.fields)
    ids = [each.uuid for each in asked.ids if each.uuid in found.points]
    return wire.GetResponse(result=[found.record(each, wire.RetrievedPoint, keys) for each in ids]).SerializeToString()


def _scroll(state: RecordedServer, request: bytes) -> Any:
    asked = wire.ScrollPoints.FromString(request)
    found, keys = state.collections[asked.collection_name], list(asked.with_payload.include.fields)
    ids = sorted(found.points)
    begin = bisect_left(ids, asked.offset.uuid) if asked.HasField("offset") else 0
    page, following = ids[begin : begin + asked.limit], ids[begin + asked.limit : begin + asked.limit + 1]
    return wire.ScrollResponse(
        result=[found.record(each, wire.RetrievedPoint, keys) for each in page],
        next_page_offset=wire.PointId(uuid=following[0]) if following else None,
    ).SerializeToString()


def _count(state: RecordedServer, request: bytes) -> Any:
    found = state.collections[wire.CountPoints.FromString(request).collection_name]
    return wire.CountResponse(result=wire.CountResult(count=len(found.points))).SerializeToString()


_NOTHING: Final[bytes] = wire.QueryBatchResponse(result=[wire.BatchResult()]).SerializeToString()
_DONE: Final[bytes] = wire.CollectionOperationResponse(result=True).SerializeToString()
_WRITTEN: Final[bytes] = wire.PointsOperationResponse(
    result=wire.UpdateResult(operation_id=0, status=wire.UpdateStatus.Completed)
).SerializeToString()
_CALLS: Final[dict[str, Callable[[RecordedServer, bytes], Any]]] = {
    "Qdrant/HealthCheck": _health,
    "Collections/List": _list,
    "Collections/Get": _info,
    "Collections/Create": _create,
    "Collections/Update": _update,
    "Collections/Delete": _drop,
    "Points/CreateFieldIndex": _index_field,
    "Points/Upsert": _upsert,
    "Points/UpdateBatch": _update_points,
    _QUERY: _query,
    "Points/Get": _get,
    "Points/Scroll": _scroll,
    "Points/Count": _count,
}


def main() -> None:
    """Serve until the process is terminated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--wait-ms", type=float, default=WAIT_SECONDS * 1000, help="time of a query")
    options = parser.parse_args()
    with serve(port=options.port, wait=options.wait_ms / 1000) as server:
        print(server.port, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
