"""``POST /v1/search``: several collections and queries as one search."""

from __future__ import annotations

from collections import Counter

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


async def test_facets_count_each_document_once_over_all_searches(service):
    languages = ["en", "de", "en", "fr", "en"]
    for name, shift in (("one", 0), ("two", 1)):
        documents = [
            {
                "id": f"d{at}",
                "text": f"{'copy' if at % 2 else 'move'} a file {at}",
                "metadata": {
                    "lang": languages[(at + shift) % 5],
                    "on": ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00"][shift],
                },
            }
            for at in range(10)
        ]
        await service.fill(name, documents, fields={"lang": "keyword", "on": "datetime"})
    asked = {"collections": ["one", "two"], "query": None, "queries": ["copy", "file 4"], "top_n": 1}
    answer = await ask(service, **asked, facets=["lang", "on"], facet_limit=2)
    ManySearchesView.model_validate(answer, strict=True)
    found = Counter(languages[(at + shift) % 5] for shift in (0, 1) for at in range(10))  # all have a word of "file 4"
    values = {each["value"]: each["count"] for each in answer["facets"]["lang"]["values"]}
    assert values == {"en": found["en"], "de": found["de"]}
    assert (answer["facets"]["lang"]["omitted"], answer["facets"]["lang"]["exact"]) == (1, True)
    assert [each["count"] for each in answer["facets"]["on"]["values"]] == [20], "one moment in two spellings"
    copy = await ask(service, **asked | {"queries": ["copy", "copy"]}, facets=["lang"])
    assert sum(each["count"] for each in copy["facets"]["lang"]["values"]) == 10
    narrow = {"filter": {"type": "eq", "key": "lang", "value": "de"}, "facets": ["lang"], "disjunctive": True}
    widened = await ask(service, **asked, **narrow)
    assert {each["value"]: each["count"] for each in widened["facets"]["lang"]["values"]} == found
    assert "facets" not in await ask(service, **asked)


async def test_facets_must_be_the_same_field_in_every_collection(filled):
    await filled.client.put("/v1/collections/years", json={"fields": {"lang": "integer"}})
    for collections, named in ((["guides", "notes"], "'notes'"), (["guides", "years"], "of type integer in 'years'")):
        refused = await filled.client.post("/v1/search", json=BODY | {"collections": collections, "facets": ["lang"]})
        assert (refused.status_code, refused.json()["errors"][0]["loc"][0]) == (422, "facets")
        assert named in refused.json()["detail"]


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
