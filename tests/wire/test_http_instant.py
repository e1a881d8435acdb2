"""Instant searches over HTTP: names while one types, without a model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.access.callers import READER, Callers
from winnow.core.errors import UpstreamUnavailable

DOCUMENTS: list[dict[str, Any]] = [
    {"id": "asyncio.gather", "title": "asyncio.gather", "text": "Run awaitables at once.", "metadata": {"lang": "en"}},
    {"id": "asyncio.wait", "title": "asyncio.wait", "text": "Wait for tasks.", "metadata": {"lang": "de"}},
    {
        "id": "json",
        "title": "json.JSONEncoder",
        "text": "Encodes. See E0502 and frobnicate_all.",
        "metadata": {"lang": "en"},
    },
    {
        "id": "guide",
        "title": "Installation guide",
        "text": "# Before you begin\n\nHave a machine.\n\n# Environment variables\n\nSet them.",
        "format": "markdown",
        "metadata": {"lang": "en", "keywords": ["deployment"]},
    },
    {"id": "zh", "title": "安装指南", "text": "先安装软件。", "metadata": {"lang": "zh"}},
]


@pytest.fixture
async def filled(service):
    fields = {"lang": "keyword"}
    await service.fill("docs", DOCUMENTS, fields=fields)
    return service


async def typed(service, query: str, **options: Any) -> dict[str, Any]:
    body = {"query": query, "mode": "instant", **options}
    answer = await service.client.post("/v1/collections/docs/search", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer: dict[str, Any]) -> list[str]:
    return [each["document_id"] for each in answer["results"]]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("asyncio.ga", "asyncio.gather"),
        ("gath", "asyncio.gather"),
        ("inst", "guide"),
        ("enviro", "guide"),
        ("before you b", "guide"),
        ("guide var", "guide"),
        ("deploy", "guide"),
        ("JSONEnc", "json"),
        ("encoder", "json"),
        ("frobni", "json"),
        ("安装", "zh"),
        ("instalation", "guide"),
        ("isntallation gu", "guide"),
        ("asyncio.gathre", "asyncio.gather"),
        ("enviromnet", "guide"),
    ],
)
async def test_a_name_is_found_while_it_is_typed(filled, query: str, first: str) -> None:
    answer = await typed(filled, query)
    assert ids(answer)[0] == first
    assert answer["speed"] == "instant"
    assert answer["stages"]["embed"]["status"] == answer["stages"]["rerank"]["status"] == "skipped"
    assert answer["score_kind"] == "retrieval"


@pytest.mark.parametrize("query", ["E0503", "frobnicatte_all"])
async def test_codes_and_identifiers_are_meant_as_they_are_typed(filled, query: str) -> None:
    assert (await typed(filled, query))["stages"]["retrieve"]["reason"] == "no name matches: answered by keywords"


async def test_what_no_name_has_is_answered_by_keywords(filled) -> None:
    answer = await typed(filled, "awaitables")
    assert ids(answer) == ["asyncio.gather"]
    assert answer["speed"] == "instant"


async def test_no_model_is_called(filled, monkeypatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise UpstreamUnavailable("a model was called")

    monkeypatch.setattr(type(filled.resources.embedder), "embed", fail)
    monkeypatch.setattr(type(filled.resources.reranker), "rerank", fail)
    assert ids(await typed(filled, "gath")) == ["asyncio.gather"]
    assert ids(await typed(filled, "awaitables")) == ["asyncio.gather"]


async def test_filters_hold(filled) -> None:
    german = {"type": "eq", "key": "lang", "value": "de"}
    assert ids(await typed(filled, "asyncio", filter=german)) == ["asyncio.wait"]
    assert set(ids(await typed(filled, "asyncio", filter={"type": "not", "filter": german}))) == {"asyncio.gather"}


async def test_writes_and_deletions_are_seen_at_once(filled) -> None:
    assert ids(await typed(filled, "astron")) == []
    document = {"id": "new", "title": "Astronomy", "text": "Stars."}
    sent = await filled.client.post("/v1/collections/docs/documents", json={"documents": [document]})
    assert sent.status_code == 202
    await filled.index()
    assert ids(await typed(filled, "astron")) == ["new"]
    document["title"] = "Gardening"
    await filled.client.post("/v1/collections/docs/documents", json={"documents": [document]})
    await filled.index()
    assert ids(await typed(filled, "astron")) == []
    assert ids(await typed(filled, "garden")) == ["new"]
    await filled.client.delete("/v1/collections/docs/documents/new")
    await filled.index()
    assert ids(await typed(filled, "garden")) == []


async def test_tenants_and_access_lists_hold(filled) -> None:
    documents = [
        {"id": "mine", "title": "Quarterly figures", "text": "Secret.", "tenant": "acme"},
        {"id": "listed", "title": "Quarterly plans", "text": "Secret.", "acl": {"users": ["alice"]}},
    ]
    await filled.client.post("/v1/collections/docs/documents", json={"documents": documents})
    await filled.index()
    assert ids(await typed(filled, "quarterly", tenant="acme")) == ["mine"]
    assert ids(await typed(filled, "quarterly")) == ["listed"]  # a caller without a credential sees all lists


async def test_other_modes_say_that_they_are_full(filled) -> None:
    answer = await filled.client.get("/v1/collections/docs/search", params={"q": "gather"})
    assert answer.json()["speed"] == "full"
    answer = await filled.client.get("/v1/collections/docs/search", params={"q": "gath", "mode": "instant"})
    assert answer.json()["speed"] == "instant"


async def events(service, body: dict[str, Any], **headers: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of a streamed search."""
    headers = {"Accept": "text/event-stream", **headers}
    answer = await service.client.post("/v1/collections/docs/search", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = [block for block in answer.text.replace("\r\n", "\n").split("\n\n") if block.startswith("event:")]
    parsed = [dict(line.split(": ", 1) for line in block.split("\n") if line) for block in blocks]
    return [(each["event"], json.loads(each["data"])) for each in parsed]


async def test_a_search_comes_in_steps(filled) -> None:
    steps = await events(filled, {"query": "gather"})
    assert [name for name, _ in steps] == ["instant", "retrieved", "final"]
    instant, retrieved, final = (answer for _, answer in steps)
    assert [each["speed"] for each in (instant, retrieved, final)] == ["instant", "full", "full"]
    assert retrieved["stages"]["rerank"]["status"] == "skipped"
    assert final["score_kind"] == "relevance"
    assert [each["previous_rank"] for each in instant["results"]] == [None]
    before = {each["document_id"]: each["rank"] for each in retrieved["results"]}
    assert [each["previous_rank"] for each in final["results"]] == [before[each] for each in ids(final)]
    plain = await filled.client.post("/v1/collections/docs/search", json={"query": "gather"})
    assert ids(final) == ids(plain.json())


@pytest.mark.parametrize("mode", ["hybrid", "dense", "sparse"])
@pytest.mark.parametrize(
    "query", ["gather", "how to wait for tasks", "instalation", "E0502", "先安装", "nothing of it"]
)
async def test_steps_change_nothing_of_the_final_answer(filled, query: str, mode: str) -> None:
    body = {"query": query, "mode": mode, "facets": ["lang"], "top_n": 3}
    *_, (_, final) = await events(filled, body)
    plain = (await filled.client.post("/v1/collections/docs/search", json=body)).json()
    for each in final["results"]:
        del each["previous_rank"]
    for name in ("results", "facets", "next", "score_kind", "speed", "degraded"):
        assert final[name] == plain[name], name


async def test_an_instant_search_in_steps_is_final_at_once(filled) -> None:
    assert [name for name, _ in await events(filled, {"query": "gath", "mode": "instant"})] == ["instant", "final"]


async def test_an_error_before_the_first_step_is_an_answer_of_its_own(filled) -> None:
    body = {"query": "gather", "top_n": 20, "top_k": 10}
    answer = await filled.client.post("/v1/collections/docs/search", json=body, headers={"Accept": "text/event-stream"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_query"


async def test_an_error_behind_the_first_step_is_an_event(filled, monkeypatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise UpstreamUnavailable("the model is away")

    monkeypatch.setattr(type(filled.resources.embedder), "embed", fail)
    steps = await events(filled, {"query": "gather", "mode": "dense"})
    assert [name for name, _ in steps] == ["instant", "error"]
    assert steps[1][1]["code"] == "upstream_unavailable"
    assert steps[1][1]["status"] == 503


async def suggested(service, query: str, **options: Any) -> list[tuple[str, str]]:
    answer = await service.client.get("/v1/collections/docs/suggest", params={"q": query, **options})
    assert answer.status_code == 200, answer.text
    return [(each["text"], each["kind"]) for each in answer.json()["suggestions"]]


async def test_titles_and_headings_are_suggested(filled) -> None:
    assert await suggested(filled, "asyn") == [("asyncio.wait", "title"), ("asyncio.gather", "title")]
    assert await suggested(filled, "env") == [("Environment variables", "heading")]
    assert await suggested(filled, "instalation") == [("Installation guide", "title")]
    assert await suggested(filled, "asyn", limit=1) == [("asyncio.wait", "title")]
    assert await suggested(filled, "?!") == []


async def test_suggestions_show_what_the_caller_may_see(filled) -> None:
    document = {"id": "mine", "title": "Quarterly figures", "text": "Secret.", "tenant": "acme"}
    await filled.client.post("/v1/collections/docs/documents", json={"documents": [document]})
    await filled.index()
    assert await suggested(filled, "quart") == []
    assert await suggested(filled, "quart", tenant="acme") == [("Quarterly figures", "title")]


async def test_while_names_are_read_keywords_answer_and_say_so(filled, monkeypatch) -> None:
    monkeypatch.setattr(filled.names, "_patience", 0.0)
    answer = await typed(filled, "gather")
    assert ids(answer) == ["asyncio.gather"]
    assert answer["degraded"]
    assert " of 5 documents" in answer["stages"]["retrieve"]["reason"]
    callers = Callers()
    monkeypatch.setattr(filled.app.state.service.callers, "_access", callers)
    header = callers.header("reader", READER)
    body = {"query": "gather", "mode": "instant"}
    hidden = (await filled.client.post("/v1/collections/docs/search", json=body, headers=header)).json()
    reason = hidden["stages"]["retrieve"]["reason"]
    assert "the index of names is being read" in reason
    assert " of 5 documents" not in reason  # their number is that of all tenants
    monkeypatch.setattr(filled.names, "_patience", 60.0)
    await filled.names.of((await filled.resources.collections.get("docs")).serving.ref, "docs").is_ready(60.0)
    assert not (await typed(filled, "gath"))["degraded"]
