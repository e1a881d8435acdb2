"""Dify's external knowledge base, by requests as its code sends them."""

from __future__ import annotations

import pytest

from tests.conftest import Service

FIELDS = {"lang": "keyword", "year": "integer", "price": "float", "day": "datetime", "open": "boolean"}
DOCUMENTS = [
    {"id": "a", "text": "copy a file", "title": "A", "url": "https://site.example/a", "metadata": {"lang": "en-GB"}},
    {"id": "b", "text": "copy a file now", "metadata": {"lang": "en-US", "year": 2020, "price": 1.5, "open": True}},
    {"id": "c", "text": "copy a file later", "metadata": {"lang": "de", "year": 2024, "day": "2024-05-01"}},
    {"id": "d", "text": "the weather", "metadata": {}},
]


@pytest.fixture
async def filled(service: Service) -> Service:
    await service.fill("docs", DOCUMENTS, fields=FIELDS)
    return service


async def retrieve(service: Service, conditions=None, *, logic="and", **setting):
    body = {
        "retrieval_setting": {"top_k": 10, "score_threshold": 0.0} | setting,
        "query": "copy a file",
        "knowledge_id": "docs",
        "metadata_condition": None,
    }
    if conditions is not None:
        named = [{"name": [name], "comparison_operator": op, "value": value} for name, op, value in conditions]
        body["metadata_condition"] = {"logical_operator": logic, "conditions": named}
    response = await service.client.post("/retrieval", json=body)
    assert response.status_code == 200, response.text
    return [record["metadata"]["document_id"] for record in response.json()["records"]]


async def test_records(filled):
    body = {"knowledge_id": "docs", "query": "copy a file", "retrieval_setting": {"top_k": 1, "score_threshold": None}}
    response = await filled.client.post("/retrieval", json=body)
    (record,) = response.json()["records"]
    assert record["content"].startswith("copy a file")
    assert 0 <= record["score"] <= 1
    assert record["metadata"]["document_id"] in "abc"


async def test_a_threshold_on_relevance(filled):
    assert set(await retrieve(filled, score_threshold=0.9)) == {"a", "b", "c"}
    assert "d" in await retrieve(filled, score_threshold=0)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (("lang", "contains", "en"), "ab"),
        (("lang", "not contains", "en"), "cd"),
        (("lang", "start with", "en"), "ab"),
        (("lang", "end with", "US"), "b"),
        (("lang", "is", "de"), "c"),
        (("lang", "is not", "de"), "abd"),
        (("lang", "in", ["de", "en-US"]), "bc"),
        (("lang", "in", "de, en-US"), "bc"),
        (("lang", "not in", ["de", "en-US"]), "ad"),
        (("lang", "empty", None), "d"),
        (("lang", "not empty", None), "abc"),
        (("year", "=", "2020"), "b"),
        (("year", "≠", 2020), "acd"),
        (("year", ">", 2020), "c"),
        (("year", "≥", 2020), "bc"),
        (("year", "<", 2024), "b"),
        (("price", "≤", "1.5"), "b"),
        (("day", "after", "2024-01-01"), "c"),
        (("day", "before", "2024-01-01"), ""),
        (("open", "is", "true"), "b"),
    ],
)
async def test_every_operator(filled, condition, expected):
    assert sorted(await retrieve(filled, [condition])) == list(expected)


async def test_conditions_are_joined_as_asked(filled):
    both = [("lang", "start with", "en"), ("year", "=", 2020)]
    assert sorted(await retrieve(filled, both)) == ["b"]
    assert sorted(await retrieve(filled, both, logic="or")) == ["a", "b"]
    assert sorted(await retrieve(filled, [("lang", "is", "de"), ("year", "=", 2020)], logic="or")) == ["b", "c"]


async def test_the_probe_of_a_registration_gets_an_error_of_dify(service):
    response = await service.client.post("/retrieval")
    assert response.status_code == 400
    assert response.json().keys() == {"error_code", "error_msg"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"knowledge_id": "nothing", "query": "a"}, 404, 2001),
        ({"query": "a"}, 400, 400),
        ({"knowledge_id": "docs", "query": " "}, 400, 400),
        ([], 400, 400),
    ],
)
async def test_errors(filled, body, status, code):
    response = await filled.client.post("/retrieval", json=body)
    assert (response.status_code, response.json()["error_code"]) == (status, code)


async def test_an_unknown_field_is_named(filled):
    condition = {"conditions": [{"name": "tone", "comparison_operator": "is", "value": "a"}]}
    body = {"knowledge_id": "docs", "query": "a", "metadata_condition": condition}
    response = await filled.client.post("/retrieval", json=body)
    assert "tone" in response.json()["error_msg"]


async def test_nothing_found_is_an_empty_list(service):
    await service.client.put("/v1/collections/empty")
    response = await service.client.post("/retrieval", json={"knowledge_id": "empty", "query": "a"})
    assert response.json() == {"records": []}


async def test_open_webui_gets_links(filled):
    response = await filled.client.post("/v1/collections/docs/web-search", json={"query": "copy a file", "count": 5})
    place = {"document_id": "a", "start": 0, "end": 11}
    assert response.json() == [{"link": "https://site.example/a", "title": "A", "snippet": "copy a file"} | place]
    missing = await filled.client.post("/v1/collections/nothing/web-search", json={"query": "a", "count": None})
    assert missing.status_code == 404
    assert "error" in missing.json()
