"""Every door that returns texts says where each is from: an address, and offsets that select it in its document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.conftest import Service

TEXT = "\n\n".join(f"## Part {number}\n\nThe ember number {number} glows. " + "It goes on. " * 9 for number in range(9))
QUESTION = "the ember number 4"


class Cited(NamedTuple):
    text: str
    url: str
    document: str
    start: int
    end: int


async def native(client: httpx2.AsyncClient, options: dict[str, Any]) -> list[Cited]:
    answer = (await client.post("/v1/collections/docs/search", json={"query": QUESTION} | options)).json()
    return [_native(each) for each in answer["results"]]


async def several(client: httpx2.AsyncClient, options: dict[str, Any]) -> list[Cited]:
    body = {"collections": ["docs"], "query": QUESTION} | options
    return [_native(each) for each in (await client.post("/v1/search", json=body)).json()["results"]]


def _native(result: dict[str, Any]) -> Cited:
    place = result.get("expanded") or result["chunk"]
    return Cited(result["text"], result["url"], result["document_id"], place["start"], place["end"])


async def dify(client: httpx2.AsyncClient, options: dict[str, Any]) -> list[Cited]:
    name = "docs?" + "&".join(f"{key}={value}" for key, value in options.items())
    answer = (await client.post("/retrieval", json={"knowledge_id": name, "query": QUESTION})).json()
    return [_cited(each["content"], each["metadata"]) for each in answer["records"]]


async def open_webui(client: httpx2.AsyncClient, options: dict[str, Any]) -> list[Cited]:
    path = "/v1/collections/docs/web-search"
    answer = (await client.post(path, params=options, json={"query": QUESTION, "count": 3})).json()
    return [_cited(each["snippet"], each | {"url": each["link"]}) for each in answer]


async def openai(client: httpx2.AsyncClient, options: dict[str, Any]) -> list[Cited]:
    answer = (await client.post("/v1/vector_stores/docs/search", json={"query": QUESTION} | options)).json()
    return [_cited(each["content"][0]["text"], each["citation"]) for each in answer["data"]]


async def mcp(client: httpx2.AsyncClient, options: dict[str, Any]) -> list[Cited]:
    call = {"name": "search", "arguments": {"query": QUESTION, "collection": "docs"} | options}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    answer = (await client.post("/mcp", json=body, headers=headers)).json()
    found = answer["result"]["structuredContent"]["results"]
    return [_cited(each["text"], each | {"document_id": each["id"].partition("/")[2]}) for each in found]


def _cited(text: str, place: dict[str, Any]) -> Cited:
    return Cited(text, place["url"], place["document_id"], place["start"], place["end"])


DOORS: list[Callable[[httpx2.AsyncClient, dict[str, Any]], Awaitable[list[Cited]]]] = [
    native, several, dify, open_webui, openai, mcp,
]  # fmt: skip


@pytest.fixture
async def docs(service: Service) -> Service:
    document = {"id": "a/b", "text": TEXT, "format": "markdown", "url": "https://x.example/guide", "title": "Embers"}
    await service.fill("docs", [document], chunking={"max_tokens": 48, "overlap": 8})
    return service


@pytest.mark.parametrize("options", [{}, {"expand": 1}, {"expand": 1, "max_tokens": 90}])
@pytest.mark.parametrize("door", DOORS)
async def test_citations_select_the_text_in_the_document(
    docs: Service, door: Callable[[httpx2.AsyncClient, dict[str, Any]], Awaitable[list[Cited]]], options: dict[str, Any]
) -> None:
    async with docs.app.router.lifespan_context(docs.app):
        (found,) = await door(docs.client, options)
    stored = (await docs.client.get(f"/v1/collections/docs/documents/{found.document.replace('/', '%2F')}")).json()
    assert stored["text"][found.start : found.end] == found.text
    assert found.url == "https://x.example/guide#part-4"
    assert "ember number 4" in found.text
    assert ("ember number 3" in found.text or "ember number 5" in found.text) == bool(options)


async def test_an_unknown_option_or_value_is_named_in_the_words_of_the_door(docs: Service) -> None:
    for name, wanted in (("docs?expnad=1", "expnad"), ("docs?expand=many", "expand"), ("docs?expand=99", "expand")):
        refused = await docs.client.post("/retrieval", json={"knowledge_id": name, "query": "x"})
        assert refused.status_code == 400
        assert wanted in refused.json()["error_msg"]
    refused = await docs.client.post("/v1/collections/docs/web-search?tokenizer=gpt-9", json={"query": "x"})
    assert refused.status_code in (400, 422)
    assert "gpt-9" in refused.json()["error"]["message"]


async def test_a_threshold_means_the_same_at_every_door(docs: Service) -> None:
    path = "/v1/collections/docs/search"
    every = (await docs.client.post(path, json={"query": QUESTION, "top_n": 20})).json()["results"]
    scores = sorted({each["relevance_score"] for each in every})
    for threshold in (scores[0], scores[-1], (scores[0] + scores[-1]) / 2 or 0.5):
        kept = {each["document_id"] for each in every if each["relevance_score"] >= threshold}
        native = await docs.client.post(path, json={"query": QUESTION, "top_n": 20, "min_relevance": threshold})
        options = {"max_num_results": 20, "ranking_options": {"score_threshold": threshold}}
        store = await docs.client.post("/v1/vector_stores/docs/search", json={"query": QUESTION} | options)
        setting = {"top_k": 20, "score_threshold": threshold}
        body = {"knowledge_id": "docs", "query": QUESTION, "retrieval_setting": setting}
        dify = await docs.client.post("/retrieval", json=body)
        found = [
            {each["document_id"] for each in native.json()["results"]},
            {each["citation"]["document_id"] for each in store.json()["data"]},
            {each["metadata"]["document_id"] for each in dify.json()["records"]},
        ]
        assert found == [kept] * 3, threshold
