"""POST and GET search: the answer's shape, the parameters' limits, and what is said when something is wrong."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlencode

import pytest

from service.schemas.search import SearchView
from winnow.core.errors import DeadlineExceeded, Overloaded, UpstreamRejected, UpstreamUnavailable
from winnow.operations.admission import Admission

DOCUMENTS = [
    {
        "id": "shutil.copy2",
        "text": "copy a file and keep its timestamps",
        "title": "copy2",
        "url": "https://docs.example/shutil",
        "metadata": {"lang": "en", "year": 2024},
    },
    {"id": "shutil.move", "text": "move a file to another place", "metadata": {"lang": "en", "year": 2019}},
    {"id": "os/remove", "text": "remove a file for good", "metadata": {"lang": "de", "year": 2021}},
]
FIELDS = {"lang": "keyword", "year": "integer"}
PATH = "/v1/collections/docs/search"


@pytest.fixture
async def filled(service):
    await service.fill("docs", DOCUMENTS, fields=FIELDS)
    return service.client


async def ask(client, **body):
    response = await client.post(PATH, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def ids(answer):
    return [result["document_id"] for result in answer["results"]]


async def test_answer_has_exactly_the_documented_fields(filled):
    answer = await ask(filled, query="copy a file and keep its timestamps")
    assert set(answer) == {
        "id", "collection", "query", "results", "score_kind", "degraded", "stages", "took_ms", "next",
        "speed",
    }  # fmt: skip
    assert set(answer["results"][0]) == {
        "rank", "document_id", "title", "url", "chunk", "text", "highlights", "metadata",
        "exact", "relevance_score", "retrieval_score", "stages",
    }  # fmt: skip
    places = {"anchor", "prefix", "page", "slide", "sheet", "row"}
    assert set(answer["results"][0]["chunk"]) == {"index", "start", "end", "headings"} | places
    assert set(answer["results"][0]["stages"]) == {"dense", "sparse", "fused", "rerank"}
    assert {"status", "model", "ms", "cached"} <= set(answer["stages"]["embed"])
    assert {"status", "engine", "ms", "candidates"} <= set(answer["stages"]["retrieve"])
    assert {"status", "model", "provider", "ms", "scored", "reason", "tokens"} <= set(answer["stages"]["rerank"])
    SearchView.model_validate(answer, strict=False)


async def test_best_document_comes_first_with_both_scores(filled):
    answer = await ask(filled, query="copy a file and keep its timestamps")
    first = answer["results"][0]
    assert first["document_id"] == "shutil.copy2"
    assert first["rank"] == 1
    assert first["metadata"] == {"lang": "en", "year": 2024}
    assert 0 <= first["relevance_score"] <= 1
    assert first["stages"]["rerank"] == {"rank": 1, "score": first["relevance_score"]}
    assert first["stages"]["fused"]["score"] == first["retrieval_score"]
    assert answer["score_kind"] == "relevance"
    assert answer["degraded"] is False
    assert answer["id"].startswith("srch_")


async def test_rerank_false_and_object_and_null_are_understood(filled):
    plain = await ask(filled, query="file", rerank=False)
    assert plain["score_kind"] == "retrieval"
    assert plain["stages"]["rerank"]["status"] == "skipped"
    assert plain["results"][0]["relevance_score"] is None
    assert plain["results"][0]["stages"]["rerank"] is None
    some = await ask(filled, query="file", rerank={"enabled": True, "top_k": 1})
    assert some["stages"]["rerank"]["scored"] == 1
    assert (await ask(filled, query="file", rerank=None))["score_kind"] == "relevance"
    assert (await ask(filled, query="file", rerank=True))["score_kind"] == "relevance"


async def test_arm_that_did_not_find_a_result_is_null(filled):
    answer = await ask(filled, query="copy timestamps", mode="sparse")
    assert answer["results"][0]["stages"]["dense"] is None
    assert answer["results"][0]["stages"]["sparse"]["rank"] == 1
    assert answer["stages"]["embed"]["status"] == "skipped"


async def test_text_is_null_when_documents_are_not_wanted(filled):
    answer = await ask(filled, query="file", return_documents=False)
    assert [result["text"] for result in answer["results"]] == [None, None, None]


async def test_explain_only_on_request(filled):
    assert "explain" not in await ask(filled, query="file")
    assert "retrieve" in (await ask(filled, query="file", explain=True))["explain"]


async def test_filter_narrows(filled):
    both = {
        "type": "and",
        "filters": [{"type": "eq", "key": "lang", "value": "en"}, {"type": "gte", "key": "year", "value": 2020}],
    }
    assert ids(await ask(filled, query="file", filter=both)) == ["shutil.copy2"]


async def test_top_n_defaults_to_ten_or_fewer_candidates(filled):
    assert len((await ask(filled, query="file", top_k=2))["results"]) == 2


async def test_get_answers_as_post_does(filled):
    german = {"type": "eq", "key": "lang", "value": "de"}
    query = urlencode({"q": "file", "top_n": 2, "filter": json.dumps(german), "rerank": "false", "mode": "hybrid"})
    by_get = (await filled.get(f"{PATH}?{query}")).json()
    by_post = await ask(filled, query="file", top_n=2, filter=german, rerank=False)
    assert by_get["results"] == by_post["results"]
    assert ids(by_get) == ["os/remove"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"query": "a", "topk": 3}, ["topk"]),
        ({"query": "a", "rerank": {"topk": 3}}, ["rerank", "topk"]),
        ({"query": "a", "top_k": 0}, ["top_k"]),
        ({"query": "a", "top_k": 1001}, ["top_k"]),
        ({"query": "a", "top_k": "10"}, ["top_k"]),
        ({"query": "a", "top_n": 0}, ["top_n"]),
        ({"query": "a", "top_n": 101}, ["top_n"]),
        ({"query": "a", "top_n": 20, "top_k": 10}, ["top_n"]),
        ({"query": "a", "mode": "magic"}, ["mode"]),
        ({"query": "a", "group_by": "author"}, ["group_by"]),
        ({"query": "a", "min_relevance": 1.5}, ["min_relevance"]),
        ({"query": "a", "min_relevance": -0.1}, ["min_relevance"]),
        ({"query": "a", "budget_ms": 0}, ["budget_ms"]),
        ({"query": "a", "highlight": "yes"}, ["highlight"]),
        ({"query": "a", "rerank": 3}, ["rerank"]),
        ({"query": "a", "rerank": {"on_failure": "cry"}}, ["rerank", "on_failure"]),
        ({"query": ""}, ["query"]),
        ({"query": " \t\n"}, ["query"]),
        ({"query": "x" * 8193}, ["query"]),
        ({"query": 7}, ["query"]),
        ({}, ["query"]),
        ([], []),
    ],
)
async def test_wrong_parameter_is_422_and_named(filled, body, place):
    response = await filled.post(PATH, json=body)
    assert response.status_code == 422
    problem = response.json()
    assert problem["code"] == "invalid_query"
    assert [error["loc"] for error in problem["errors"]] == [place]


@pytest.mark.parametrize("query", ["top_n=5", "q=a&topn=5", "q=a&top_k=x", "q=a&rerank=maybe", "q=", "q=%20"])
async def test_wrong_query_string_is_422(filled, query):
    response = await filled.get(f"{PATH}?{query}")
    assert response.status_code == 422
    assert response.json()["code"] == "invalid_query"


@pytest.mark.parametrize(
    ("filter", "place"),
    [
        ({"type": "eq", "key": "author", "value": "x"}, ["filter", "key"]),
        (
            {"type": "and", "filters": [{"type": "eq", "key": "year", "value": "2020"}]},
            ["filter", "filters", 0, "value"],
        ),
        ({"type": "like", "key": "lang", "value": "x"}, ["filter", "type"]),
    ],
)
async def test_wrong_filter_is_422_with_the_place(filled, filter, place):
    by_post = await filled.post(PATH, json={"query": "a", "filter": filter})
    by_get = await filled.get(PATH, params={"q": "a", "filter": json.dumps(filter)})
    for response in (by_post, by_get):
        assert response.status_code == 422
        assert response.json()["code"] == "invalid_filter"
        assert response.json()["errors"][0]["loc"] == place


async def test_filter_parameter_that_is_not_json_or_no_object_is_422(filled):
    for text in ("{", "[]", "3"):
        response = await filled.get(PATH, params={"q": "a", "filter": text})
        assert (response.status_code, response.json()["code"]) == (422, "invalid_filter")


async def test_unknown_collection_is_404_with_and_without_a_filter(client):
    for extra in ({}, {"filter": {"type": "eq", "key": "a", "value": "b"}}):
        response = await client.post("/v1/collections/nope/search", json={"query": "a", **extra})
        assert response.status_code == 404
        assert response.json()["code"] == "collection_not_found"


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (DeadlineExceeded("too slow"), 504, None),
        (UpstreamUnavailable("down"), 503, "5"),
        (UpstreamUnavailable("down", retry_after=1.2), 503, "2"),
        (UpstreamRejected("nonsense"), 502, None),
        (Overloaded("full", retry_after=0.1), 429, "1"),
    ],
)
async def test_failures_below_become_their_status(filled, service, error, status, retry_after):
    async def fail(*_, **__):
        raise error

    service.resources.search.run = fail
    response = await filled.post(PATH, json={"query": "a"})
    assert response.status_code == status
    assert response.json()["code"] == error.code
    assert response.json()["detail"] == error.message
    assert response.headers.get("retry-after") == retry_after


async def test_search_counts_in_the_metrics(filled):
    await ask(filled, query="file")
    assert "winnow_search" in (await filled.get("/metrics")).text


async def test_searches_over_the_limit_are_turned_away_at_once_and_the_others_are_answered(
    service, filled, monkeypatch
):
    service.app.state.service.work.searches = Admission(2)
    inside, go_on = asyncio.Semaphore(0), asyncio.Event()
    run = service.resources.search.run

    async def waiting(*arguments, **options):
        inside.release()
        await go_on.wait()
        return await run(*arguments, **options)

    monkeypatch.setattr(service.resources.search, "run", waiting)
    admitted = [asyncio.create_task(filled.post(PATH, json={"query": "copy"})) for _ in range(2)]
    for _ in admitted:
        await inside.acquire()
    refused = await filled.post(PATH, json={"query": "copy"})
    assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert "WINNOW_SEARCH__MAX_CONCURRENT" in refused.json()["detail"]
    go_on.set()
    assert [(await task).status_code for task in admitted] == [200, 200]
    assert (await filled.post(PATH, json={"query": "copy"})).status_code == 200


async def test_a_search_that_fails_leaves_its_place(service, filled):
    service.app.state.service.work.searches = Admission(1)
    for _ in range(3):
        assert (await filled.post("/v1/collections/none/search", json={"query": "copy"})).status_code == 404
    assert (await filled.post(PATH, json={"query": "copy"})).status_code == 200
