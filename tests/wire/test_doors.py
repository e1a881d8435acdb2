"""A door: routes of another protocol, with an error shape and a body reader of their own."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import Request, Response
from pydantic import BaseModel

from service.access import needs
from service.app import create_app
from service.deps import CatalogDep
from service.door import Door
from service.errors import ErrorShape
from winnow.core.errors import CollectionNotFound, InvalidQuery, Overloaded

PATH = "/foreign/collections/docs"


class Fault(BaseModel):
    """The other protocol's error."""

    fault: str


class Question(BaseModel):
    """The other protocol's request."""

    ask: str


async def read_pairs(request: Request) -> dict[str, str]:
    """``name=value`` lines, whatever the content type says."""
    lines = (await request.body()).decode().splitlines()
    if not all("=" in line for line in lines):
        raise InvalidQuery("a line without =")
    return dict(line.split("=", 1) for line in lines)


SHAPE = ErrorShape(
    "application/vnd.fault+json", Fault, lambda problem, _: {"fault": f"{problem.kind.code}: {problem.detail}"}
)


@pytest.fixture
def door() -> Door:
    door = Door(
        "/foreign", tag="foreign", invalid=InvalidQuery, problems=(Overloaded,), shape=SHAPE, read_body=read_pairs
    )

    @door.post("/collections/{name}", responses=door.problems(CollectionNotFound), openapi_extra=needs("search"))
    async def ask(name: str, body: Question, catalog: CatalogDep) -> Response:
        if body.ask == "bug":
            raise RuntimeError("secret")
        await catalog.collections.get(name)
        return Response(body.ask)

    return door


@pytest.fixture
async def foreign(service, door):
    limited = service.resources.settings
    limited = limited.model_copy(update={"server": limited.server.model_copy(update={"max_body_mb": 1})})
    app = create_app(limited, service.resources, doors=[door])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client:
        yield client


async def post(client: httpx2.AsyncClient, body: bytes, path: str = PATH) -> httpx2.Response:
    return await client.post(path, content=body)


async def test_door_reads_bodies_in_its_own_way(service, foreign):
    await service.client.put("/v1/collections/docs")
    assert (await post(foreign, b"ask=hello")).text == "hello"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"ask=hello", 404, "collection_not_found"),
        (b"ask", 422, "invalid_query"),
        (b"tell=hello", 422, "invalid_query"),
        (b"ask=bug", 500, "internal_error"),
        (b"ask=" + b"x" * 2**20, 413, "body_too_large"),
    ],
)
async def test_door_answers_every_error_in_its_own_shape(foreign, body, status, code):
    response = await post(foreign, body)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/vnd.fault+json")
    assert set(response.json()) == {"fault"}
    assert response.json()["fault"].startswith(code)
    assert "secret" not in response.text


async def test_wrong_method_has_the_shape_of_the_door(foreign):
    response = await foreign.patch(PATH)
    assert response.status_code == 405
    assert response.json()["fault"].startswith("method_not_allowed")


async def test_other_routes_keep_the_native_shape(foreign):
    response = await foreign.get("/v1/collections/docs")
    assert response.headers["content-type"] == "application/problem+json"


async def test_door_is_documented_with_its_shape(foreign):
    schema = (await foreign.get("/openapi.json")).json()
    responses = schema["paths"]["/foreign/collections/{name}"]["post"]["responses"]
    for status in ("404", "429", "500"):
        (media_type,) = responses[status]["content"]
        assert media_type == "application/vnd.fault+json"
        assert responses[status]["content"][media_type]["schema"] == {"$ref": "#/components/schemas/Fault"}
    assert schema["components"]["schemas"]["Fault"]["properties"].keys() == {"fault"}
