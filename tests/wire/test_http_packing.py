"""Texts for chains: neighbours, a limit of tokens, duplicates folded, over HTTP in every form of a search."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import httpx2
import pytest

from service.schemas.many_searches import ManySearchesView
from service.schemas.search import SearchView
from tests.conftest import Service
from winnow.core.errors import UpstreamUnavailable
from winnow.search.highlight import Highlighter
from winnow.testing.models import WordTokenizer

PATH = "/v1/collections/docs/search"
TOPICS = ("amber", "birch", "cedar", "dunes", "ember", "fjord", "grove", "heath", "inlet", "juniper")
SENTENCE = "The {topic} has its place among many other words of the same kind, number {number} of them all."
LONG = "\n\n".join(
    f"## On {topic}\n\n" + " ".join(SENTENCE.format(topic=topic, number=number) for number in range(4))
    for topic in TOPICS
)
CHUNKING = {"max_tokens": 48, "overlap": 8}


@pytest.fixture
async def docs(service: Service) -> Service:
    documents = [{"id": "long", "text": LONG, "format": "markdown", "title": "Words", "url": "https://x.example/long"}]
    await service.fill("docs", documents, chunking=CHUNKING)
    return service


async def ask(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post(PATH, json={"query": "the ember"} | body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    SearchView.model_validate(answer, strict=True)
    return answer


async def text_of(client: httpx2.AsyncClient, document: str = "long") -> str:
    return str((await client.get(f"/v1/collections/docs/documents/{document}")).json()["text"])


def tokens(text: str) -> int:
    return len(WordTokenizer().spans(text))


async def test_neighbours_are_one_text_of_the_document_and_the_cited_span_is_kept(docs: Service) -> None:
    text = await text_of(docs.client)
    plain = (await ask(docs.client))["results"][0]
    (expanded,) = (await ask(docs.client, expand=1))["results"]
    assert expanded["chunk"] == plain["chunk"]
    start, end = expanded["expanded"]["start"], expanded["expanded"]["end"]
    assert expanded["text"] == text[start:end]
    assert start < expanded["chunk"]["start"] < expanded["chunk"]["end"] < end
    assert plain["text"] in expanded["text"]
    (wider,) = (await ask(docs.client, expand=2))["results"]
    assert wider["expanded"]["start"] < start < end < wider["expanded"]["end"]
    (whole,) = (await ask(docs.client, expand=10))["results"]
    assert whole["text"].count("number 3 of them all") == text[: whole["expanded"]["end"]].count("number 3 of them all")


async def test_highlights_move_with_the_text(docs: Service) -> None:
    (result,) = (await ask(docs.client, expand=1))["results"]
    assert result["highlights"]
    assert {result["text"][each["start"] : each["end"]] for each in result["highlights"]} == {"ember"}
    spans = [{"start": start, "end": end} for start, end in Highlighter("the ember").spans(result["text"])]
    assert result["highlights"] == spans


async def test_a_plain_search_has_none_of_it(docs: Service) -> None:
    answer = await ask(docs.client)
    assert not {"tokens", "tokenizer", "left_out"} & answer.keys()
    assert not {"expanded", "tokens", "duplicates"} & answer["results"][0].keys()
    assert "pack" not in answer["stages"]


async def test_a_document_that_was_replaced_meanwhile_is_not_mixed_with_the_old_one(docs: Service) -> None:
    plain = (await ask(docs.client))["results"][0]
    replaced = [{"id": "long", "text": "# Other\n\n" + LONG.replace("ember", "EMBER"), "format": "markdown"}]
    sent = await docs.client.post("/v1/collections/docs/documents", json={"documents": replaced})
    assert sent.status_code == 202
    (result,) = (await ask(docs.client, expand=2))["results"]  # the index has the old revision, the catalog the new one
    assert plain["text"] in result["text"]
    assert "EMBER" not in result["text"]
    assert result["expanded"]["end"] - result["expanded"]["start"] == len(result["text"])
    await docs.index()
    (result,) = (await ask(docs.client, expand=2))["results"]
    assert "EMBER" in result["text"]


@pytest.mark.parametrize("limit", [20, 25, 60, 150, 400, 4000])
@pytest.mark.parametrize("expand", [0, 1, 3])
@pytest.mark.parametrize("group_by", ["document", "chunk"])
async def test_a_pack_holds_whole_sentences_and_no_more_tokens_than_asked_for(
    docs: Service, limit: int, expand: int, group_by: str
) -> None:
    text = await text_of(docs.client)
    answer = await ask(docs.client, max_tokens=limit, expand=expand, group_by=group_by)
    assert answer["tokenizer"] == "words"
    assert answer["tokens"] == sum(each["tokens"] for each in answer["results"]) <= limit
    assert [each["rank"] for each in answer["results"]] == list(range(1, len(answer["results"]) + 1))
    for result in answer["results"]:
        start, end = result["expanded"]["start"], result["expanded"]["end"]
        assert (result["text"], result["tokens"]) == (text[start:end], tokens(result["text"]))
        assert result["text"].endswith((".", "## On ember")) or text[end:].startswith("\n\n")
        assert start == 0 or text[:start].rstrip().endswith(".") or text[:start].endswith("\n\n")
    if limit >= 25:
        assert "ember" in answer["results"][0]["text"]
    else:
        assert answer["left_out"] == 1 or answer["results"]


async def test_texts_of_one_document_that_touch_are_one_result(docs: Service) -> None:
    answer = await ask(docs.client, expand=1, group_by="chunk", top_n=10)
    spans = sorted((each["expanded"]["start"], each["expanded"]["end"]) for each in answer["results"])
    assert all(end < start for (_, end), (start, _) in pairwise(spans))
    numbers = [each["chunk"]["index"] for each in answer["results"]]
    merged = [number for each in answer["results"] for number in each["expanded"]["merged"]]
    plain = await ask(docs.client, group_by="chunk", top_n=10)
    assert sorted(numbers + merged) == sorted(each["chunk"]["index"] for each in plain["results"])


async def test_near_duplicates_of_other_documents_are_folded(service: Service) -> None:
    body = " ".join(f"word{number}" for number in range(60))
    documents = [
        {"id": "one", "text": f"copy a file. {body}", "url": "https://x.example/1"},
        {"id": "two", "text": f"Copy  a FILE: {body}!", "url": "https://x.example/2"},
        {"id": "three", "text": f"copy a file. {body} and a bit more at the end", "url": "https://x.example/3"},
        {"id": "other", "text": "copy a file to another place and do not look back at what was there"},
    ]
    await service.fill("docs", documents)
    answer = await ask(service.client, query="copy a file", fold_duplicates=True, rerank=False)
    kept = {each["document_id"]: each for each in answer["results"]}
    assert len(kept) == 2
    assert kept["other"]["duplicates"] == []
    (original,) = kept.keys() - {"other"}
    folded = {each["document_id"]: each["url"] for each in kept[original]["duplicates"]}
    urls = {"one": "https://x.example/1", "two": "https://x.example/2", "three": "https://x.example/3"}
    assert folded == {key: url for key, url in urls.items() if key != original}
    assert "stages" in answer
    assert "pack" not in answer["stages"]
    one = await ask(service.client, query="copy a file", expand=1, top_n=1, rerank=False)
    assert len(one["results"]) == 1
    unfolded = await ask(service.client, query="copy a file", expand=1, fold_duplicates=False)
    assert len(unfolded["results"]) == 4
    assert "duplicates" not in unfolded["results"][0]


async def test_the_query_string_and_several_searches_take_the_same_options(docs: Service) -> None:
    await docs.fill("more", [{"id": "m", "text": "The ember is here as well. It glows."}])
    response = await docs.client.get(PATH, params={"q": "the ember", "expand": 1, "max_tokens": 100})
    posted = await ask(docs.client, expand=1, max_tokens=100)
    assert response.json()["results"] == posted["results"]
    body = {"collections": ["docs", "more"], "query": "the ember", "expand": 1, "max_tokens": 120}
    answer = (await docs.client.post("/v1/search", json=body)).json()
    ManySearchesView.model_validate(answer, strict=True)
    assert {each["collection"] for each in answer["results"]} == {"docs", "more"}
    assert answer["tokens"] == sum(each["tokens"] for each in answer["results"]) <= 120
    assert answer["pack"]["status"] == "ok"
    assert [each["rank"] for each in answer["results"]] == [1, 2]


async def test_an_unknown_tokenizer_is_refused_with_the_names_of_those_that_there_are(docs: Service) -> None:
    for path in (PATH, "/v1/search"):
        body = {"query": "x", "tokenizer": "gpt-9"} | ({"collections": ["docs"]} if path == "/v1/search" else {})
        refused = await docs.client.post(path, json=body)
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (422, "invalid_query")
        assert "'gpt-9'" in problem["detail"]
        assert "words" in problem["detail"]
        assert problem["errors"][0]["loc"] == ["tokenizer"]
    named = await ask(docs.client, tokenizer="words")
    assert named["results"][0]["tokens"] == tokens(named["results"][0]["text"])


@pytest.mark.parametrize("wrong", [{"expand": -1}, {"expand": 11}, {"max_tokens": 0}, {"expand": 1.5}])
async def test_options_out_of_range_are_refused(docs: Service, wrong: dict[str, Any]) -> None:
    refused = await docs.client.post(PATH, json={"query": "x"} | wrong)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_query")


async def test_without_the_store_results_keep_their_texts_and_the_answer_says_so(
    docs: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dead(*_: Any, **__: Any) -> Any:
        raise UpstreamUnavailable("the catalog is away")

    monkeypatch.setattr(docs.resources.catalog.documents, "texts_between", dead)
    plain = (await ask(docs.client))["results"][0]
    answer = await ask(docs.client, expand=1)
    assert answer["degraded"]
    assert answer["stages"]["pack"]["status"] == "failed"
    assert "the catalog is away" in answer["stages"]["pack"]["reason"]
    assert answer["results"][0]["text"] == plain["text"]


async def test_the_text_may_be_left_out(docs: Service) -> None:
    (result,) = (await ask(docs.client, expand=1, return_documents=False))["results"]
    assert result["text"] is None
    assert json.dumps(result["expanded"])


async def test_what_is_packed_is_one_page(docs: Service) -> None:
    plain = await ask(docs.client, group_by="chunk", top_n=1)
    assert plain["next"]
    packed = await ask(docs.client, group_by="chunk", top_n=1, expand=1)
    assert packed["next"] is None
    for options in ({"expand": 1}, {"max_tokens": 50}, {"fold_duplicates": True}):
        body = {"query": "the ember", "group_by": "chunk", "top_n": 1, "cursor": plain["next"]} | options
        refused = await docs.client.post(PATH, json=body)
        assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, ["cursor"])


async def test_duplicates_are_folded_without_a_model_too(service: Service) -> None:
    documents = [{"id": name, "title": "Copy a file", "text": f"Copy a file {'and its times ' * 9}"} for name in "ab"]
    await service.fill("docs", documents)
    answer = await ask(service.client, query="copy a fi", mode="instant", fold_duplicates=True)
    (result,) = answer["results"]
    assert [each["document_id"] for each in result["duplicates"]] == sorted({"a", "b"} - {result["document_id"]})


async def test_a_search_that_finds_nothing_has_no_texts(service: Service) -> None:
    await service.client.put("/v1/collections/docs", json={})
    answer = await ask(service.client, expand=1, max_tokens=100)
    assert answer["results"] == []
