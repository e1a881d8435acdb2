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


async def test_relevant_spans_are_offsets_of_the_sentences_that_answer(client: httpx2.AsyncClient) -> None:
    text = "The weather 🎉 was fine. Copy a file with copy2. We had lunch."
    documents = [text, "nothing of the kind", {"text": "A file to copy. Rain."}]
    body = {"query": "copy a file", "documents": documents, "relevant_spans": {"mode": "enabled", "threshold": 0.5}}
    answer = (await client.post("/v2/rerank", json=body)).json()
    spans = {each["index"]: each.get("relevant_spans") for each in answer["results"]}
    assert spans[1] is None
    ((start, end, score),) = [tuple(each.values()) for each in spans[0]]
    assert (text[start:end], score) == ("Copy a file with copy2.", 1.0)
    assert [documents[2]["text"][each["start"] : each["end"]] for each in spans[2]] == ["A file to copy."]
    for off in (None, {"mode": "disabled"}):
        plain = (await client.post("/v2/rerank", json=body | {"relevant_spans": off})).json()
        assert all("relevant_spans" not in each for each in plain["results"])
    most = {"mode": "enabled", "threshold": 0, "max_spans": 2}
    limited = (await client.post("/v2/rerank", json=body | {"relevant_spans": most, "top_n": 1})).json()
    (only,) = limited["results"]
    scores = [each["score"] for each in only["relevant_spans"]]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    joined = (await client.post("/v2/rerank", json=body | {"documents": [{"a": "x"}], "rank_fields": ["a"]})).json()
    assert "rank_fields" in joined["meta"]["warnings"][0]


async def test_a_reranker_without_token_scores_says_that_there_are_no_spans(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.operations.relevant_spans.ScoresSpans", int)  # which the fake is not
    body = {"query": "copy a file", "documents": ["a file"], "relevant_spans": {"mode": "enabled"}}
    answer = (await client.post("/v2/rerank", json=body)).json()
    assert "relevant_spans" not in answer["results"][0]
    assert "scores whole texts" in answer["meta"]["warnings"][0]
