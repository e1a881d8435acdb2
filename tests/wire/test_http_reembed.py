"""Another model for a collection, over HTTP."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.worker.loop import Worker
from indexer.worker.pipeline import Pipeline
from service.app import create_app
from tests.support.two_models import ended
from winnow.core.settings import IndexingSettings
from winnow.operations import reembed as reembedding
from winnow.search.embedders import Embedders
from winnow.search.two_stage import TwoStageSearch
from winnow.testing.models import FakeEmbedder

PATH = "/v1/collections/docs/reembed"
DOCUMENTS = [{"id": "a", "text": "alpha"}, {"id": "b", "text": "beta"}]


@pytest.fixture
async def two(service, monkeypatch):
    """The service with a next model of other dimensions, and a collection of two documents."""
    old = service.resources
    following = FakeEmbedder(32)
    embedders = Embedders(old.embedder, following, keyword_tokenizer=old.store.keyword_tokenizer)
    search = TwoStageSearch(embedders, old.store, old.collections, old.reranker, service.resources.settings.search)
    service.resources = replace(old, embedders=embedders, search=search)
    pipeline = Pipeline(embedders, old.store, old.catalog, IndexingSettings(max_attempts=1))
    service._worker = Worker(pipeline, old.catalog, old.settings.indexing)
    service.app = create_app(old.settings, service.resources)
    service.client._transport.app = service.app
    monkeypatch.setattr(reembedding, "earlier_searches_end", ended)
    await service.fill("docs", DOCUMENTS)
    return service


def assert_conflict(response, *says):
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    for part in says:
        assert part in response.json()["detail"]


async def model_of(client, **options):
    answer = await client.post("/v1/collections/docs/search", json={"query": "alpha", **options})
    assert answer.status_code == 200, answer.text
    assert answer.json()["results"][0]["document_id"] == "a"
    shown = (await client.get(PATH)).json()
    return shown["serving" if options.get("index") != "other" else "other"]["dimensions"]


async def test_a_whole_change_and_the_way_back(two):
    client = two.client
    before = (await client.get(PATH)).json()
    assert (before["state"], before["other"], before["next"]["dimensions"]) == ("none", None, 32)
    started = await client.post(PATH)
    assert started.status_code == 202
    view = started.json()
    assert (view["state"], view["documents"], view["done"], view["lacking"], view["failed"]) == ("building", 2, 0, 2, 0)
    assert (view["serving"]["dimensions"], view["other"]["dimensions"]) == (64, 32)
    assert view["started_at"]
    assert_conflict(await client.post(f"{PATH}:switch"), "2 documents", "--force")
    await two.index()
    assert (await client.get(PATH)).json()["state"] == "ready"
    assert await model_of(client, index="other") == 32
    switched = await client.post(f"{PATH}:switch", json={"force": False})
    assert switched.status_code == 200
    assert (switched.json()["state"], switched.json()["serving"]["dimensions"]) == ("kept", 32)
    assert await model_of(client) == 32
    assert_conflict(await client.post(f"{PATH}:switch"), "--rollback")
    back = (await client.post(f"{PATH}:rollback")).json()
    assert (back["state"], back["serving"]["dimensions"]) == ("kept", 64)
    dropped = await client.delete(PATH)
    assert (dropped.status_code, dropped.json()["state"], dropped.json()["other"]) == (200, "none", None)
    assert_conflict(await client.delete(PATH), "nothing to drop")


async def test_a_dry_run_estimates_and_changes_nothing(two):
    answer = await two.client.post(PATH, json={"dry_run": True})
    assert answer.status_code == 200
    view = answer.json()
    assert (view["state"], view["estimate"]["chunks"], view["estimate"]["tokens"]) == ("none", 2, 2)
    assert view["estimate"]["seconds"] >= 0


async def test_a_switch_by_force_leaves_out_what_is_missing(two):
    await two.client.post(PATH)
    switched = await two.client.post(f"{PATH}:switch", json={"force": True})
    assert (switched.status_code, switched.json()["lacking"]) == (200, 2)
    answer = (await two.client.post("/v1/collections/docs/search", json={"query": "alpha"})).json()
    assert answer["results"] == []


async def test_a_step_that_the_state_does_not_allow_names_the_next_one(two):
    assert_conflict(await two.client.post(f"{PATH}:switch"), "winnow reembed -c docs")
    assert_conflict(await two.client.post(f"{PATH}:rollback"), "no index from before a switch")


async def test_without_a_next_model_the_answer_names_the_variable(service, client):
    await service.fill("docs", DOCUMENTS)
    for body in ({}, {"dry_run": True}):
        assert_conflict(await client.post(PATH, json=body), "WINNOW_NEXT_EMBEDDING__PROVIDER")
    shown = (await client.get(PATH)).json()
    assert (shown["state"], shown["next"], shown["estimate"]) == ("none", None, None)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("POST", ""), ("DELETE", ""), ("POST", ":switch"), ("POST", ":rollback")],
)
async def test_an_unknown_collection_is_404(client, method, path):
    answer = await client.request(method, f"/v1/collections/none/reembed{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "collection_not_found")


@pytest.mark.parametrize(("path", "body"), [("", {"dry": True}), (":switch", {"force": "perhaps"})])
async def test_a_body_that_is_not_understood_is_422(two, path, body):
    assert (await two.client.post(f"{PATH}{path}", json=body)).status_code == 422


async def test_a_search_of_the_other_index_needs_one(service, client):
    await service.fill("docs", DOCUMENTS)
    for answer in (
        await client.post("/v1/collections/docs/search", json={"query": "alpha", "index": "other"}),
        await client.get("/v1/collections/docs/search", params={"q": "alpha", "index": "other"}),
    ):
        assert answer.status_code == 422
        assert answer.json()["code"] == "invalid_query"
        assert "one index only" in answer.text
