"""The HTTP side of ``qdrant_recorded``: the same points, answered as JSON.

An answer is compressed and chunked where the client offers to read compressed ones, as a real server's is; else it
has a length. Searches are answered from serialised arms, everything else through the messages of gRPC.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from pydantic_core import to_json
from qdrant_client import grpc as wire
from qdrant_client import models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc

from tests.stubs.qdrant_recorded import RecordedServer


@dataclass
class RecordedHttp:
    """A running server. ``chunked`` counts the answers that came compressed and in chunks."""

    points: RecordedServer
    url: str = ""
    chunked: int = 0
    arms: dict[bytes, bytes] = field(default_factory=dict)


@asynccontextmanager
async def serve_http(points: RecordedServer) -> AsyncIterator[RecordedHttp]:
    """Serve the points of a server for gRPC over HTTP too, until the block ends."""
    server = RecordedHttp(points)
    app = web.Application(client_max_size=32 << 20)
    for (method, path), work in _ROUTES.items():
        app.router.add_route(method, path, _handler(server, work))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


def _handler(
    server: RecordedHttp, work: Callable[[RecordedHttp, str, bytes], Any]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            body = work(server, request.match_info["name"], await request.read())
        except KeyError as error:
            text = f"Not found: Collection `{error.args[0]}` doesn't exist!"
            return web.json_response({"status": {"error": text}, "time": 0.0}, status=404)
        if request.path.endswith("/query/batch"):
            await asyncio.sleep(server.points.wait)
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=body, content_type="application/json")
        server.chunked += 1
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(gzip.compress(body, 1))
        await response.write_eof()
        return response

    return answer


def _result(value: Any) -> bytes:
    return to_json({"result": value, "status": "ok", "time": 0.0}, exclude_none=True)


def _info(server: RecordedHttp, name: str, body: bytes) -> bytes:
    asked = wire.GetCollectionInfoRequest(collection_name=name)
    answer = server.points.answer("Collections/Get", asked.SerializeToString())
    return _result(GrpcToRest.convert_collection_info(wire.GetCollectionInfoResponse.FromString(answer).result))


def _create(server: RecordedHttp, name: str, body: bytes) -> bytes:
    made = models.CreateCollection.model_validate_json(body)
    asked = wire.CreateCollection(
        collection_name=name,
        vectors_config=RestToGrpc.convert_vectors_config(made.vectors or {}),
        sparse_vectors_config=RestToGrpc.convert_sparse_vector_config(made.sparse_vectors or {}),
        metadata=RestToGrpc.convert_payload(made.metadata or {}),
    )
    server.points.answer("Collections/Create", asked.SerializeToString())
    return _result(True)


def _written(server: RecordedHttp, name: str, body: bytes) -> bytes:
    return _result(models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED))


def _upsert(server: RecordedHttp, name: str, body: bytes) -> bytes:
    points = [RestToGrpc.convert_point_struct(each) for each in models.PointsList.model_validate_json(body).points]
    asked = wire.UpsertPoints(collection_name=name, points=points)
    server.points.answer("Points/Upsert", asked.SerializeToString())
    server.arms.clear()
    return _written(server, name, body)


def _query(server: RecordedHttp, name: str, body: bytes) -> bytes:
    arms = []
    for number, asked in enumerate(orjson.loads(body)["searches"]):
        shape = orjson.dumps([number, name, asked["limit"], asked.get("with_payload"), asked.get("filter")])
        if shape not in server.arms:
            server.arms[shape] = _arm(server, name, number, asked)
        arms.append(server.arms[shape])
    return b'{"result":[%s],"status":"ok","time":0.001}' % b",".join(arms)


def _arm(server: RecordedHttp, name: str, number: int, asked: Any) -> bytes:
    query = RestToGrpc.convert_query_request(models.QueryRequest.model_validate(asked), name)
    padding = [wire.QueryPoints(limit=1)] * number  # an arm is known by its place
    batch = wire.QueryBatchPoints(collection_name=name, query_points=[*padding, query]).SerializeToString()
    found = wire.QueryBatchResponse.FromString(server.points.answer("Points/QueryBatch", batch)).result[-1]
    return to_json({"points": [GrpcToRest.convert_scored_point(each) for each in found.result]}, exclude_none=True)


_ROUTES = {
    ("GET", "/collections/{name}"): _info,
    ("PUT", "/collections/{name}"): _create,
    ("PUT", "/collections/{name}/index"): _written,
    ("PUT", "/collections/{name}/points"): _upsert,
    ("POST", "/collections/{name}/points/query/batch"): _query,
}
