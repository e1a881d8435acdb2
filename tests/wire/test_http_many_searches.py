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


@pytest.fixture
async def two_shelves(service):
    """Two collections in which every document has a word of both queries, with ids in common."""
    for name, count in (("guides", 40), ("notes", 30)):
        texts = (f"copy {'a file' if at % 2 else 'the weather'} {at}" for at in range(count))
        await service.fill(name, [{"id": f"d{at}", "text": text} for at, text in enumerate(texts)])
    return service


async def all_pages(service, **body):
    pages = [await ask(service, **body)]
    while pages[-1]["next"] is not None:
        pages.append(await ask(service, **body, cursor=pages[-1]["next"]))
    return pages


def named(pages):
    return [(each["collection"], each["document_id"]) for page in pages for each in page["results"]]


EVERYTHING = {(name, f"d{at}") for name, count in (("guides", 40), ("notes", 30)) for at in range(count)}


@pytest.mark.parametrize("queries", [["copy a file"], ["copy a file", "the weather"]])
async def test_pages_of_several_collections_show_each_document_once(two_shelves, queries):
    pages = await all_pages(two_shelves, query=None, queries=queries, top_n=9, top_k=20)
    for page in pages:
        ManySearchesView.model_validate(page, strict=True)
    found = named(pages)
    assert len(found) == len(set(found))
    assert set(found) == EVERYTHING
    assert [each["rank"] for page in pages for each in page["results"]] == list(range(1, 71))
    assert {each["query"] for page in pages for each in page["results"]} <= set(queries)
    assert all(each["highlights"] for page in pages for each in page["results"])
    assert len(pages[-1]["searches"]) == 2 * len(queries)


async def test_pages_go_on_while_documents_are_deleted_and_added(two_shelves):
    body = {"top_n": 9, "top_k": 20}
    pages = [await ask(two_shelves, **body)]
    pages.append(await ask(two_shelves, **body, cursor=pages[-1]["next"]))
    unseen = sorted(EVERYTHING - set(named(pages)))
    gone, path = unseen[0], f"/v1/collections/{unseen[0][0]}/documents"
    assert (await two_shelves.client.delete(f"{path}/{gone[1]}")).is_success
    await two_shelves.client.post(path, json={"documents": [{"id": "late", "text": "copy a file"}]})
    await two_shelves.index()
    while pages[-1]["next"] is not None:
        pages.append(await ask(two_shelves, **body, cursor=pages[-1]["next"]))
    found = named(pages)
    assert len(found) == len(set(found))
    assert set(found) == EVERYTHING - {gone}


async def test_a_cursor_goes_with_its_own_request(two_shelves):
    cursor = (await ask(two_shelves, top_n=9))["next"]
    assert len((await ask(two_shelves, top_n=20, cursor=cursor))["results"]) == 20, "the size of a page may differ"
    later = (await ask(two_shelves, top_n=9, cursor=cursor))["next"]
    one = await two_shelves.client.post("/v1/collections/guides/search", json={"query": "copy a file", "top_n": 9})
    for changed in (
        {"cursor": cursor, "query": "the weather"},
        {"cursor": later, "collections": ["guides"]},
        {"cursor": one.json()["next"]},
        {"cursor": cursor, "expand": 1},
        {"cursor": cursor, "mode": "instant"},
        {"cursor": "nonsense"},
    ):
        refused = await two_shelves.client.post("/v1/search", json=BODY | {"top_n": 9} | changed)
        assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, ["cursor"]), refused.text
    assert (await ask(two_shelves, mode="instant"))["next"] is None
