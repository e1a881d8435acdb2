"""The doors that keep things (OpenAI's vector stores, files, batches) and Algolia's, against what clients get wrong.

As ``test_door_grid``, which has the doors of one question and one answer, and for all doors keys, content types, bodies
that are not JSON, and collections that do not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from service.door import Door
from service.doors import algolia, algolia_events, vector_stores
from tests.conftest import Service
from winnow.core.errors import UpstreamUnavailable

STORE = "/v1/vector_stores"
OPENAI = {"error"}
ALGOLIA = {"message", "status"}
MEGABYTE = "copy a file " * 90_000


@dataclass(frozen=True)
class Case:
    """One route with a body. ``{file}`` and ``{batch}`` are filled in.

    Attributes:
        body: what is answered with 200.
        nulls: members that may be null.
        long: the member that takes a text, given a megabyte of it.
        refuses: what the long text is answered with.
        needed: members without which the body is refused.
    """

    path: str
    body: Mapping[str, Any]
    error: set[str]
    nulls: tuple[str, ...]
    long: str
    refuses: tuple[int, ...]
    needed: tuple[str, ...] = ()


HIT_OPTIONS = ("filters", "facetFilters", "numericFilters", "facets", "hitsPerPage", "page", "attributesToRetrieve")
CASES: Mapping[str, Case] = {
    "create a store": Case(
        STORE,
        {"name": "new"},
        OPENAI,
        ("name", "description", "file_ids", "metadata", "expires_after", "chunking_strategy"),
        "description",
        (400,),
    ),
    "change a store": Case(
        f"{STORE}/docs",
        {"description": "a"},
        OPENAI,
        ("name", "description", "metadata", "expires_after"),
        "description",
        (400,),
    ),
    "attach": Case(
        f"{STORE}/docs/files",
        {"file_id": "{file}"},
        OPENAI,
        ("attributes", "chunking_strategy"),
        "file_id",
        (400, 404),
        ("file_id",),
    ),
    "attributes": Case(
        f"{STORE}/docs/files/0", {"attributes": {"lang": "en"}}, OPENAI, ("attributes",), "attributes", (400,)
    ),
    "batch": Case(
        f"{STORE}/docs/file_batches",
        {"file_ids": ["{file}"]},
        OPENAI,
        ("files", "attributes", "chunking_strategy"),
        "file_ids",
        (400,),
        ("file_ids",),
    ),
    "cancel": Case(f"{STORE}/docs/file_batches/{{batch}}/cancel", {}, OPENAI, ("reason",), "reason", (200,)),
    "algolia, one": Case(
        "/1/indexes/docs/query", {"query": "copy", "hitsPerPage": 50}, ALGOLIA, ("query", *HIT_OPTIONS), "query", (400,)
    ),
    "algolia, several": Case(
        "/1/indexes/*/queries",
        {"requests": [{"indexName": "docs", "query": "copy", "hitsPerPage": 50, "facets": None, "filters": None}]},
        ALGOLIA,
        ("strategy",),
        "requests",
        (400,),
        ("requests",),
    ),
    "algolia, a facet": Case(
        "/1/indexes/docs/facets/lang/query",
        {"facetQuery": "e"},
        ALGOLIA,
        ("query", "maxFacetHits"),
        "facetQuery",
        (400,),
    ),
}
DOORS: tuple[Door, ...] = (vector_stores.door, algolia.door)


@pytest.fixture
async def kept(service: Service) -> dict[str, str]:
    """A collection, and the ids of an uploaded file and of a batch."""
    documents = [{"id": str(i), "text": f"copy a file {i}", "metadata": {"lang": "en"}} for i in range(3)]
    await service.fill("docs", documents, fields={"lang": "keyword"})
    file = (await service.client.post("/v1/files", files={"file": ("a.txt", b"copy a file")})).json()["id"]
    batch = await service.client.post(f"{STORE}/docs/file_batches", json={"file_ids": [file]})
    return {"{file}": file, "{batch}": batch.json()["id"]}


@pytest.fixture(autouse=True)
def _no_traceback(caplog: pytest.LogCaptureFixture):
    yield
    assert not [record for record in caplog.records if record.exc_info or record.getMessage() == "unhandled"]


async def send(service: Service, kept: Mapping[str, str], case: Case, body: Any) -> httpx2.Response:
    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: fill(each) for name, each in value.items()}
        if isinstance(value, list):
            return [fill(each) for each in value]
        return kept.get(value, value) if isinstance(value, str) else value

    answer = await service.client.post(case.path.replace("{batch}", kept["{batch}"]), json=fill(body))
    assert answer.headers["content-type"].partition(";")[0] == "application/json", answer.text
    assert "about:blank" not in answer.text
    assert answer.status_code < 500 or answer.status_code == 503, answer.text
    if answer.status_code >= 400:
        assert set(answer.json()) == case.error, answer.text
    return answer


def test_no_route_with_a_body_is_left_out():
    known = {each.path.replace("/docs", "/{name}").replace("/files/0", "/files/{id:path}") for each in CASES.values()}
    known |= {f"{STORE}/{{name}}/search", "/v1/files", "/1/indexes/{name}/facets/{facet}/query"}
    for door in (*DOORS, algolia_events.door):
        for route in door.routes:
            if "POST" in route.methods and route.path != "/1/events":  # test_http_analytics
                assert route.path in known, route.path


async def test_a_request_as_it_should_be(service, kept):
    for name, case in CASES.items():
        assert (await send(service, kept, case, dict(case.body))).status_code == 200, name


async def test_empty_input(service, kept):
    for name, case in CASES.items():
        answer = await send(service, kept, case, {})
        assert answer.status_code in ((400,) if case.needed else (200,)), (name, answer.text)
        for member in case.needed:
            for empty in ("", [], {}, None):
                answer = await send(service, kept, case, {**case.body, member: empty})
                fine = member == "requests" and empty == []  # no query has no results
                assert answer.status_code in ((200,) if fine else (400, 404)), (name, empty, answer.text)


async def test_options_that_are_null_and_unknown_ones(service, kept):
    for name, case in CASES.items():
        body = {**dict.fromkeys(case.nulls), "unknown_option": {"a": 1}}
        answer = await send(service, kept, case, {**body, **case.body})
        assert answer.status_code == 200, (name, answer.text)


async def test_members_of_another_type(service, kept):
    for name, case in CASES.items():
        for member in {*case.body, *case.nulls} - {"reason"}:
            for wrong in ({"text": "a"}, [{"text": "a"}], 7, "text", True):
                answer = await send(service, kept, case, {**case.body, member: wrong})
                assert answer.status_code in (200, 400, 404), (name, member, answer.text)


async def test_a_text_of_a_megabyte(service, kept):
    for name, case in CASES.items():
        answer = await send(service, kept, case, {**case.body, case.long: MEGABYTE})
        assert answer.status_code in case.refuses, (name, answer.text[:300])
        assert len(answer.text) < 2_000, name


async def test_more_results_than_there_are(service, kept):
    for path, number in ((STORE, "limit"), (f"{STORE}/docs/files", "limit"), ("/v1/files", "limit")):
        answer = await service.client.get(path, params={number: 100})
        assert answer.status_code == 200
        assert answer.json()["has_more"] is False
        for wrong in (0, -1, 10_001, "a"):
            refused = await service.client.get(path, params={number: wrong})
            assert (refused.status_code, set(refused.json())) == (400, OPENAI), (path, wrong, refused.text)
    hits = await send(service, kept, CASES["algolia, one"], {"query": "copy", "hitsPerPage": 1000})
    assert len(hits.json()["hits"]) == 3


async def test_a_second_stage_that_is_down(service, kept, monkeypatch):
    async def down(*_: Any, **__: Any) -> None:
        raise UpstreamUnavailable("the reranker is away")

    monkeypatch.setattr(service.resources.reranker, "rerank", down)
    for name, case in CASES.items():
        assert (await send(service, kept, case, dict(case.body))).status_code == 200, name
