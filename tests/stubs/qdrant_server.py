"""A Qdrant server made of the client's in-memory mode: gRPC and HTTP on free ports of the loopback.

Only what the store uses is there. What the in-memory mode refuses is answered as a server does. It deviates from a
server in what it ignores: graphs, quantisation, payload indexes, shards and replicas.
"""
# ruff: noqa: N802 - methods of a gRPC service are named by its protocol

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio  # type: ignore[import-untyped]
from aiohttp import web
from pydantic_core import to_json
from qdrant_client import AsyncQdrantClient, models
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc

Saboteur = Callable[[str], Any]
Work = Callable[[str, bytes], Awaitable[Any]]


def _let_pass(call: str) -> None:
    """Sabotage nothing."""


def _at_once(call: str) -> float:
    """Be as quick as can be."""
    return 0.0


@dataclass
class MemoryServer:
    """A running server.

    Attributes:
        url: address for HTTP.
        grpc_port: port for gRPC.
        calls: names of the calls that came in, in order of arrival.
        made: parameters of the collections that were made over gRPC.
        peers: the ends of the connections that calls came over by HTTP.
        keys: API keys that came along.
        traces: values of ``traceparent`` that came along.
        sabotage: called with a call's name before it is carried out; what it returns is answered instead: a pair of
            status and text (gRPC: a code and text), or ``None`` to let the call pass.
        slowness: called with a call's name; so many seconds pass before it is carried out.
    """

    url: str = ""
    grpc_port: int = 0
    memory: AsyncQdrantClient = field(default_factory=lambda: AsyncQdrantClient(":memory:"))
    calls: list[str] = field(default_factory=list)
    made: list[Any] = field(default_factory=list)
    peers: set[Any] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    traces: set[str] = field(default_factory=set)
    sabotage: Saboteur = _let_pass
    slowness: Callable[[str], float] = _at_once
    version: str = "1.20.0"


@asynccontextmanager
async def serve(certificate: Path | None = None) -> AsyncIterator[MemoryServer]:
    """Serve an empty store until the block ends; over TLS with a certificate whose file holds the key too."""
    server = MemoryServer()
    channel = grpc.aio.server(interceptors=[_Gate(server)])
    wire.points_service_pb2_grpc.add_PointsServicer_to_server(_Points(server), channel)  # type: ignore[no-untyped-call]
    wire.collections_service_pb2_grpc.add_CollectionsServicer_to_server(_Collections(server), channel)  # type: ignore[no-untyped-call]
    wire.qdrant_pb2_grpc.add_QdrantServicer_to_server(_Root(server), channel)  # type: ignore[no-untyped-call]
    server.grpc_port = _listen(channel, certificate)
    await channel.start()
    runner = web.AppRunner(_http(server), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        tls = None
        if certificate is not None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(certificate)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        server.url = f"{'https' if tls else 'http'}://localhost:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
        await channel.stop(None)
        await server.memory.close()


def _exact(query: models.QueryRequest) -> models.QueryRequest:
    """The query without its parameters: the in-memory mode searches one by one and warns that it ignores them."""
    return query.model_copy(update={"params": None})


def _listen(channel: Any, certificate: Path | None) -> int:
    """Open the port for gRPC."""
    if certificate is None:
        return int(channel.add_insecure_port("127.0.0.1:0"))
    pem = certificate.read_bytes()
    return int(channel.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(pem, pem)])))


# --- gRPC ----------------------------------------------------------------------------------------


class _Gate(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Counts calls, sabotages them, and turns refusals of the in-memory mode into codes."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = await continuation(details)
        call = details.method.rsplit("/", 1)[1]

        async def answer(request: Any, context: Any) -> Any:
            self._server.calls.append(call)
            self._server.keys |= {value for key, value in context.invocation_metadata() if key == "api-key"}
            self._server.traces |= {value for key, value in context.invocation_metadata() if key == "traceparent"}
            if refused := self._server.sabotage(call):
                await context.abort(*refused)
            await asyncio.sleep(self._server.slowness(call))
            try:
                return await handler.unary_unary(request, context)
            except ValueError as error:
                await context.abort(*_as_code(str(error)))

        return grpc.unary_unary_rpc_method_handler(answer, handler.request_deserializer, handler.response_serializer)


def _as_code(text: str) -> tuple[grpc.StatusCode, str]:
    if text.startswith("Collection") and "not found" in text:
        return grpc.StatusCode.NOT_FOUND, f"Not found: {text.replace('not found', '')}doesn't exist!"
    return grpc.StatusCode.INVALID_ARGUMENT, f"Wrong input: {text}"


class _Root(wire.qdrant_pb2_grpc.QdrantServicer):
    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def HealthCheck(self, request: Any, context: Any) -> Any:
        return wire.HealthCheckReply(title="qdrant", version=self._server.version)


class _Collections(wire.collections_service_pb2_grpc.CollectionsServicer):
    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._memory = server.memory

    async def List(self, request: Any, context: Any) -> Any:
        found = (await self._memory.get_collections()).collections
        return wire.ListCollectionsResponse(collections=[wire.CollectionDescription(name=each.name) for each in found])

    async def Get(self, request: Any, context: Any) -> Any:
        info = await self._memory.get_collection(request.collection_name)
        return wire.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))

    async def Create(self, request: Any, context: Any) -> Any:
        self._server.made.append(request)
        await self._memory.create_collection(
            request.collection_name,
            vectors_config=GrpcToRest.convert_vectors_config(request.vectors_config),
            sparse_vectors_config=GrpcToRest.convert_sparse_vector_config(request.sparse_vectors_config),
            metadata=GrpcToRest.convert_payload(request.metadata),
        )
        return wire.CollectionOperationResponse(result=True)

    async def Update(self, request: Any, context: Any) -> Any:
        await self._memory.update_collection(
            request.collection_name, metadata=GrpcToRest.convert_payload(request.metadata)
        )
        return wire.CollectionOperationResponse(result=True)

    async def Delete(self, request: Any, context: Any) -> Any:
        return wire.CollectionOperationResponse(result=await self._memory.delete_collection(request.collection_name))


class _Points(wire.points_service_pb2_grpc.PointsServicer):
    def __init__(self, server: MemoryServer) -> None:
        self._memory = server.memory

    async def CreateFieldIndex(self, request: Any, context: Any) -> Any:
        await self._memory.get_collection(request.collection_name)
        GrpcToRest.convert_payload_schema_params(request.field_index_params)
        return _updated()

    async def Upsert(self, request: Any, context: Any) -> Any:
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        await self._memory.upsert(request.collection_name, points)
        return _updated()

    async def UpdateBatch(self, request: Any, context: Any) -> Any:
        operations = [GrpcToRest.convert_points_update_operation(each) for each in request.operations]
        await self._memory.batch_update_points(request.collection_name, operations)
        return wire.UpdateBatchResponse(result=[_updated().result for _ in operations])

    async def QueryBatch(self, request: Any, context: Any) -> Any:
        queries = [_exact(GrpcToRest.convert_query_points(each)) for each in request.query_points]
        answers = await self._memory.query_batch_points(request.collection_name, queries)
        results = [[RestToGrpc.convert_scored_point(point) for point in answer.points] for answer in answers]
        return wire.QueryBatchResponse(result=[wire.BatchResult(result=each) for each in results])

    async def Get(self, request: Any, context: Any) -> Any:
        records = await self._memory.retrieve(
            request.collection_name,
            [GrpcToRest.convert_point_id(each) for each in request.ids],
            with_payload=GrpcToRest.convert_with_payload_interface(request.with_payload),
            with_vectors=GrpcToRest.convert_with_vectors_selector(request.with_vectors),
        )
        return wire.GetResponse(result=[RestToGrpc.convert_record(each) for each in records])

    async def Scroll(self, request: Any, context: Any) -> Any:
        records, following = await self._memory.scroll(
            request.collection_name,
            limit=request.limit,
            offset=GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None,
            with_payload=GrpcToRest.convert_with_payload_interface(request.with_payload),
            scroll_filter=GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None,
        )
        return wire.ScrollResponse(
            result=[
                RestToGrpc.convert_record(each.model_copy(update={"payload": each.payload or {}})) for each in records
            ],
            next_page_offset=None if following is None else RestToGrpc.convert_extended_point_id(following),
        )

    async def Count(self, request: Any, context: Any) -> Any:
        found = await self._memory.count(request.collection_name, exact=request.exact)
        return wire.CountResponse(result=wire.CountResult(count=found.count))


def _updated() -> Any:
    return wire.PointsOperationResponse(result=wire.UpdateResult(operation_id=0, status=wire.UpdateStatus.Completed))


# --- HTTP ----------------------------------------------------------------------------------------

_DONE = models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)


def _http(server: MemoryServer) -> web.Application:
    calls = _HttpCalls(server.memory)
    app = web.Application(client_max_size=32 << 20)
    for (method, path), work in calls.routes().items():
        app.router.add_route(method, path, _handler(server, f"{method} {path}", work))

    async def version(request: web.Request) -> web.Response:
        server.calls.append("GET /")
        return web.json_response({"title": "qdrant", "version": server.version})

    app.router.add_get("/", version)
    return app


class _HttpCalls:
    """Each takes the collection's name and the body, and returns the result."""

    def __init__(self, memory: AsyncQdrantClient) -> None:
        self._memory = memory

    def routes(self) -> dict[tuple[str, str], Work]:
        return {
            ("GET", "/collections"): self.collections,
            ("GET", "/collections/{name}"): self.collection,
            ("PUT", "/collections/{name}"): self.create,
            ("PATCH", "/collections/{name}"): self.update,
            ("DELETE", "/collections/{name}"): self.delete,
            ("PUT", "/collections/{name}/index"): self.index,
            ("PUT", "/collections/{name}/points"): self.upsert,
            ("POST", "/collections/{name}/points"): self.retrieve,
            ("POST", "/collections/{name}/points/batch"): self.update_points,
            ("POST", "/collections/{name}/points/query/batch"): self.query,
            ("POST", "/collections/{name}/points/scroll"): self.scroll,
            ("POST", "/collections/{name}/points/count"): self.count,
        }

    async def collections(self, name: str, body: bytes) -> Any:
        return await self._memory.get_collections()

    async def collection(self, name: str, body: bytes) -> Any:
        return await self._memory.get_collection(name)

    async def create(self, name: str, body: bytes) -> Any:
        made = models.CreateCollection.model_validate_json(body)
        return await self._memory.create_collection(
            name, vectors_config=made.vectors, sparse_vectors_config=made.sparse_vectors, metadata=made.metadata
        )

    async def update(self, name: str, body: bytes) -> Any:
        changes = models.UpdateCollection.model_validate_json(body)
        return await self._memory.update_collection(name, metadata=changes.metadata)

    async def delete(self, name: str, body: bytes) -> Any:
        return await self._memory.delete_collection(name)

    async def index(self, name: str, body: bytes) -> Any:
        await self._memory.get_collection(name)
        models.CreateFieldIndex.model_validate_json(body)
        return models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)

    async def upsert(self, name: str, body: bytes) -> Any:
        return await self._memory.upsert(name, models.PointsList.model_validate_json(body).points)

    async def retrieve(self, name: str, body: bytes) -> Any:
        asked = models.PointRequest.model_validate_json(body)
        return await self._memory.retrieve(name, asked.ids, asked.with_payload, asked.with_vector)  # type: ignore[arg-type]

    async def update_points(self, name: str, body: bytes) -> Any:
        changes = models.UpdateOperations.model_validate_json(body)
        return await self._memory.batch_update_points(name, changes.operations)

    async def query(self, name: str, body: bytes) -> Any:
        queries = models.QueryRequestBatch.model_validate_json(body)
        return await self._memory.query_batch_points(name, [_exact(each) for each in queries.searches])

    async def scroll(self, name: str, body: bytes) -> Any:
        asked = models.ScrollRequest.model_validate_json(body)
        points, following = await self._memory.scroll(
            name,
            limit=asked.limit or 10,
            offset=asked.offset,
            with_payload=asked.with_payload,  # type: ignore[arg-type]
            scroll_filter=asked.filter,
        )
        return models.ScrollResult(points=points, next_page_offset=following)

    async def count(self, name: str, body: bytes) -> Any:
        return await self._memory.count(name, exact=bool(models.CountRequest.model_validate_json(body).exact))


def _handler(server: MemoryServer, call: str, work: Work) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        server.calls.append(call)
        server.keys |= set(request.headers.getall("api-key", []))
        server.traces |= set(request.headers.getall("traceparent", []))
        server.peers.add(request.transport and request.transport.get_extra_info("peername"))
        if refused := server.sabotage(call):
            return _refusal(*refused)
        await asyncio.sleep(server.slowness(call))
        try:
            result = await work(request.match_info.get("name", ""), await request.read())
        except ValueError as error:
            code, text = _as_code(str(error))
            missing = code == grpc.StatusCode.NOT_FOUND
            return _refusal(404 if missing else 409 if "already exists" in text else 400, text)
        body = to_json({"result": result, "status": "ok", "time": 0.0}, exclude_none=True)
        return web.Response(body=body, content_type="application/json")

    return answer


def _refusal(status: int, text: str) -> web.Response:
    return web.json_response({"status": {"error": text}, "time": 0.0}, status=status)
