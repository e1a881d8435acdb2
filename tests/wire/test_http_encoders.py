"""Several embedding models in one service: a collection chooses one by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.worker.loop import Worker
from indexer.worker.pipeline import Pipeline
from service.app import create_app
from tests.support.house import Model
from tests.support.two_models import ended
from winnow.operations import reembed as reembedding
from winnow.search.two_stage import TwoStageSearch
from winnow.testing.models import FakeReranker

OTHER = {"embedding": {"model": "other"}}
DOCUMENTS = [{"id": "a", "text": "alpha"}, {"id": "b", "text": "beta"}]


class Blind(Model):
    """A model without token vectors."""

    @property
    def info(self):
        return replace(super().info, token_dimensions=0)

    async def embed(self, texts, kind, *, instruct=None):
        return replace(await super().embed(texts, kind, instruct=instruct), tokens=None)


@pytest.fixture
async def two(service, monkeypatch):
    """The service with two further embedding models, ``other`` of other dimensions, and ``blind``."""
    old = service.resources
    further = {"other": Model(32, model="maker/other-words"), "blind": Blind(model="maker/blind")}
    embedders, settings = replace(old.embedders, further=further), old.settings
    search = TwoStageSearch(embedders, old.store, old.collections, FakeReranker(), settings.search)
    service.resources = replace(old, embedders=embedders, search=search)
    service._worker = Worker(
        Pipeline(embedders, old.store, old.catalog, settings.indexing), old.catalog, settings.indexing
    )
    service.app = create_app(settings, service.resources)
    service.client._transport.app = service.app
    monkeypatch.setattr(reembedding, "earlier_searches_end", ended)
    return service


async def search(client, name):
    answer = await client.post(f"/v1/collections/{name}/search", json={"query": "alpha"})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("model", ["other", "maker/other-words", "other-words"])
async def test_a_collection_is_embedded_with_the_model_that_it_names(two, model):
    await two.fill("docs", DOCUMENTS, embedding={"model": model})
    await two.fill("plain", DOCUMENTS)
    shown = {each["name"]: each["identity"] for each in (await two.client.get("/v1/collections")).json()["collections"]}
    assert (shown["docs"]["model"], shown["docs"]["dimensions"]) == ("maker/other-words", 32)
    assert shown["plain"]["model"] != "maker/other-words"
    assert two.resources.embedders.further["other"].embedded == ["alpha", "beta"]
    answer = await search(two.client, "docs")
    assert answer["results"][0]["document_id"] == "a"
    assert answer["stages"]["embed"]["model"] == "maker/other-words"
    assert (await search(two.client, "plain"))["stages"]["embed"]["model"] != "maker/other-words"


async def test_an_unknown_model_is_refused_with_the_names_of_those_that_there_are(two):
    answer = await two.client.put("/v1/collections/docs", json={"embedding": {"model": "otter"}})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_collection")
    assert "'otter'" in answer.json()["detail"]
    assert "default (" in answer.json()["detail"]
    assert "other (maker/other-words)" in answer.json()["detail"]
    assert (await two.client.get("/v1/collections/docs")).status_code == 404


async def test_a_collection_keeps_its_model_until_it_is_embedded_again(two):
    await two.fill("docs", DOCUMENTS)
    assert (await two.client.put("/v1/collections/docs", json={})).status_code == 200
    refused = await two.client.put("/v1/collections/docs", json=OTHER)
    assert (refused.status_code, refused.json()["code"]) == (409, "identity_mismatch")
    assert "winnow reembed -c docs --model other" in refused.json()["detail"]


async def test_reembedding_changes_to_a_model_by_its_name(two):
    await two.fill("docs", DOCUMENTS)
    path = "/v1/collections/docs/reembed"
    estimate = (await two.client.post(path, json={"model": "other", "dry_run": True})).json()
    assert (estimate["next"]["model"], estimate["estimate"]["chunks"]) == ("maker/other-words", 2)
    unknown = await two.client.post(path, json={"model": "otter"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "invalid_collection")
    none = await two.client.post(path)
    assert none.status_code == 409
    assert "default, other, blind" in none.json()["detail"]
    assert (await two.client.post(path, json={"model": "other"})).status_code == 202
    await two.index()
    switched = await two.client.post(f"{path}:switch")
    assert switched.json()["serving"]["model"] == "maker/other-words"
    assert (await search(two.client, "docs"))["stages"]["embed"]["model"] == "maker/other-words"
    assert (await two.client.put("/v1/collections/docs", json=OTHER)).status_code == 200


async def test_readiness_asks_every_model(two):
    checks = (await two.client.get("/readyz")).json()["checks"]
    assert {"embed", "embed:other"} <= set(checks)


async def test_a_reranker_over_token_vectors_leaves_out_an_index_without_them(two, monkeypatch):
    monkeypatch.setattr(FakeReranker, "info", replace(FakeReranker().info, needs_tokens=True))
    await two.fill("docs", DOCUMENTS, embedding={"model": "blind"})
    rerank = (await search(two.client, "docs"))["stages"]["rerank"]
    assert rerank["status"] == "skipped"
    assert "needs token vectors, which maker/blind has not" in rerank["reason"]
    await two.fill("plain", DOCUMENTS)
    assert (await search(two.client, "plain"))["stages"]["rerank"]["status"] == "ok"
