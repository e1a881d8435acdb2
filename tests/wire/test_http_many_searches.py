"""``POST /v1/search``: several collections and queries as one search."""

from __future__ import annotations

import pytest

from service.schemas.many_searches import ManySearchesView
from winnow.core.errors import UpstreamUnavailable

GUIDES = [{"id": "copy", "text": "how to copy a file"}, {"id": "rain", "text": "the weather"}]
NOTES = [{"id": "copy", "text": "copy a file"}, {"id": "move", "text": "move a file away"}]
BODY = {"collections": ["guides", "notes"], "query": "copy a file"}


@pytest.fixture
async def filled(service):
    await service.fill("guides", GUIDES, fields={"lang": "keyword"})
    await service.fill("notes", NOTES)
    return service


async def ask(service, **body):
    response = await service.client.post("/v1/search", json=BODY | body)
    assert response.status_code == 200, response.text
    return response.json()


async def test_results_of_several_collections_are_one_list(filled):
    answer = await ask(filled)
    ManySearchesView.model_validate(answer, strict=True)
    found = [(each["rank"], each["collection"], each["document_id"]) for each in answer["results"]]
    assert found[:2] == [(1, "guides", "copy"), (2, "notes", "copy")]
    scores = [each["relevance_score"] for each in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert [each["collection"] for each in answer["searches"]] == ["guides", "notes"]
    assert answer["searches"][0]["stages"]["rerank"]["status"] == "ok"


async def test_several_queries_find_each_document_once(filled):
    answer = await ask(filled, query=None, queries=["copy a file", "the weather"])
    found = [(each["collection"], each["document_id"]) for each in answer["results"]]
    assert len(set(found)) == len(found)
    by_document = {(each["collection"], each["document_id"]): each for each in answer["results"]}
    assert by_document["guides", "rain"]["query"] == "the weather"
    assert by_document["guides", "copy"]["query"] == "copy a file"
    assert len(answer["searches"]) == 4


async def test_top_n_counts_in_the_merged_list(filled):
    assert len((await ask(filled, top_n=1))["results"]) == 1


async def test_without_relevance_ranks_are_fused(filled, monkeypatch):
    async def dead(*_, **__):
        raise UpstreamUnavailable("away")

    monkeypatch.setattr(filled.resources.reranker, "rerank", dead)
    answer = await ask(filled, query=None, queries=["copy a file", "file"])
    assert (answer["score_kind"], answer["degraded"]) == ("retrieval", True)
    assert answer["results"][0]["document_id"] == "copy"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"collections": []}, 422, "invalid_query"),
        ({"collections": ["guides", "nothing"]}, 404, "collection_not_found"),
        ({"queries": ["a"]}, 422, "invalid_query"),
        ({"query": None}, 422, "invalid_query"),
        ({"filter": {"type": "eq", "key": "lang", "value": "en"}}, 422, "invalid_filter"),
        ({"top_n": 0}, 422, "invalid_query"),
        ({"collections": ["guides"], "queries": ["a"] * 17, "query": None}, 422, "invalid_query"),
    ],
)
async def test_bad_requests(filled, body, status, code):
    response = await filled.client.post("/v1/search", json=BODY | body)
    assert (response.status_code, response.json()["code"]) == (status, code)
