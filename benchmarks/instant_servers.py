"""Servers that answer at once, for measuring what stands in front of them; ``feed.py`` starts them with a FILE.

An embedder in vLLM's shape, whose vectors are made beforehand, and a Qdrant server over gRPC that keeps schemas and
acknowledges points unread. Both listen on free ports of the loopback; the addresses go to ``FILE`` as JSON.
"""
# ruff: noqa: N802 - methods of a gRPC service are named by its protocol

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any, Final

import grpc.aio  # type: ignore[import-untyped]
import numpy as np
import orjson
import uvloop
from qdrant_client import grpc as wire

DIMENSIONS: Final = 1024
VECTORS: Final = 64  # different ones
LIMIT: Final = 8192
_OK: Final = wire.UpdateResult(operation_id=0, status=wire.UpdateStatus.Completed)


def _rows() -> list[bytes]:
    vectors = np.random.default_rng(1).standard_normal((VECTORS, DIMENSIONS), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [base64.b64encode(vector.tobytes()) for vector in vectors]


class Embedder(asyncio.Protocol):
    """vLLM's ``/v1/embeddings``, ``/health``, ``/tokenize`` and ``/v1/models``, one connection each."""

    rows: Final = _rows()

    def __init__(self) -> None:
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._received[:end])
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"), 0
            )
            if len(self._received) < end + 4 + length:
                return
            body = bytes(self._received[end + 4 : end + 4 + length])
            del self._received[: end + 4 + length]
            answer = self._answer(head.split(b" ", 2)[1], body)
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(answer), answer)
            )

    def _answer(self, path: bytes, body: bytes) -> bytes:
        if path == b"/tokenize":
            return orjson.dumps({"count": 2, "max_model_len": LIMIT, "tokens": [2307, 151643]})
        if path == b"/v1/models":
            return orjson.dumps({"data": [{"id": "Qwen/Qwen3-Embedding-0.6B", "max_model_len": LIMIT}]})
        if not body:
            return b"{}"
        texts = orjson.loads(body)["input"]
        first = hash(texts[0]) % VECTORS
        rows = b",".join(
            b'{"object":"embedding","index":%d,"embedding":"%b"}' % (at, self.rows[(first + at) % VECTORS])
            for at in range(len(texts))
        )
        return b'{"object":"list","model":"m","usage":{"prompt_tokens":%d},"data":[%b]}' % (250 * len(texts), rows)


class _Collections(wire.collections_service_pb2_grpc.CollectionsServicer):
    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    async def List(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        names = [wire.CollectionDescription(name=name) for name in self._made]
        return wire.ListCollectionsResponse(collections=names)

    async def Get(self, request: Any, context: Any) -> Any:
        made: Any = self._made.get(request.collection_name)
        if made is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Collection {request.collection_name} doesn't exist!")
        config = wire.CollectionConfig(
            params=wire.CollectionParams(vectors_config=made.vectors_config, shard_number=1),
            hnsw_config=wire.HnswConfigDiff(m=16, ef_construct=100, full_scan_threshold=10_000),
            optimizer_config=wire.OptimizersConfigDiff(
                deleted_threshold=0.2, vacuum_min_vector_number=1000, default_segment_number=2, flush_interval_sec=5
            ),
            wal_config=wire.WalConfigDiff(wal_capacity_mb=32, wal_segments_ahead=0),
            metadata=made.metadata,
        )
        return wire.GetCollectionInfoResponse(
            result=wire.CollectionInfo(status=wire.CollectionStatus.Green, config=config)
        )

    async def Create(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        self._made[request.collection_name] = request
        return wire.CollectionOperationResponse(result=True)


class _Root(wire.qdrant_pb2_grpc.QdrantServicer):
    async def HealthCheck(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        return wire.HealthCheckReply(title="qdrant", version="1.18.3")


class _Points(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Acknowledges writes without reading them."""

    def service(self, details: Any) -> Any:
        """The handler of a call, if it is one of the points service."""
        call = details.method.rsplit("/", 1)[1]
        answers: dict[str, Any] = {
            "Upsert": wire.PointsOperationResponse(result=_OK),
            "CreateFieldIndex": wire.PointsOperationResponse(result=_OK),
            "UpdateBatch": wire.UpdateBatchResponse(result=[_OK]),
            "Delete": wire.PointsOperationResponse(result=_OK),
        }
        if not details.method.startswith("/qdrant.Points/") or call not in answers:
            return None
        raw: bytes = answers[call].SerializeToString()

        async def answer(_request: bytes, _context: Any) -> bytes:
            return raw

        return grpc.unary_unary_rpc_method_handler(answer)


async def serve(address: Path) -> None:
    """Serve until the process ends."""
    channel = grpc.aio.server(options=[("grpc.max_receive_message_length", 64 << 20)])
    wire.collections_service_pb2_grpc.add_CollectionsServicer_to_server(_Collections(), channel)  # type: ignore[no-untyped-call]
    wire.qdrant_pb2_grpc.add_QdrantServicer_to_server(_Root(), channel)  # type: ignore[no-untyped-call]
    channel.add_generic_rpc_handlers([_Points()])
    grpc_port = channel.add_insecure_port("127.0.0.1:0")
    await channel.start()
    embedder = await asyncio.get_running_loop().create_server(Embedder, "127.0.0.1", 0)
    port = embedder.sockets[0].getsockname()[1]
    part = address.with_suffix(".part")
    part.write_text(json.dumps({"embedder": f"http://127.0.0.1:{port}", "grpc_port": grpc_port}))
    part.replace(address)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
