"""The stubs against the providers' pages: they take the pages' own requests, and answer in the pages' own form.

What the product sends and reads is tried on these stubs alone, so they must be right, and refuse whatever is not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.stubs.pages import form, post
from tests.stubs.rerank_servers import PROVIDERS, CohereStub, TeiStub
from winnow.models.prompts import RERANK_PREFIX, RERANK_SUFFIX

QUERY = "What is a rerank model?"
DOCUMENTS = [
    "Rerank models are widely used in search engines and recommendation systems.",
    "Quantum computing is a cutting-edge field of computer science.",
    "The development of pre-trained language models has brought new advancements to rerank models.",
]
INSTRUCT = "Given a web search query, retrieve relevant passages that answer the query."
IMAGE, VIDEO = "https://img.example.com/a.jpg", "https://video.example.com/new+video.mp4"
RESULT = {"index": 0, "relevance_score": 0.9334521178273196}
RESULT_WITH_TEXT = {**RESULT, "document": {"text": DOCUMENTS[0]}}
NESTED = {"output": {"results": [RESULT_WITH_TEXT]}, "usage": {"total_tokens": 79}, "request_id": "85ba5752"}
MEDIA = [{"text": DOCUMENTS[0]}, {"image": IMAGE}, {"video": VIDEO}]
NATIVE_PARAMETERS = {"return_documents": True, "top_n": 2}


class Page(NamedTuple):
    """A request and an answer as a page prints them, and how many results were asked for."""

    provider: str
    request: dict[str, Any]
    answer: Any
    results: int = 2


PAGES = {
    "Qwen3-Reranker on ComputeNest": Page(
        "ComputeNest",
        {
            "model": "Qwen3-Reranker-8B",
            "query": f"{RERANK_PREFIX}<Instruct>: {INSTRUCT}\n<Query>: 中国首都是哪儿?\n",
            "documents": [f"<Document>: {text}{RERANK_SUFFIX}" for text in ("中国首都是北京。", "今天是星期五。")],
        },
        {
            "id": "rerank-1",
            "model": "Qwen3-Reranker-8B",
            "usage": {"prompt_tokens": 79, "total_tokens": 79},
            "results": [{**RESULT, "document": {"text": "中国首都是北京。", "multi_modal": None}}],
        },
    ),
    "Qwen3-Rerank, wrapped": Page(
        "wrapped",
        {
            "model": "qwen3-rerank",
            "query": QUERY,
            "documents": DOCUMENTS,
            "top_n": 2,
            "instruct": "Retrieve semantically similar text.",
            "return_documents": True,
        },
        NESTED,
    ),
    "Qwen3-Rerank, wrapped, without its optional fields": Page(
        "wrapped",
        {"model": "qwen3-rerank", "query": QUERY, "documents": DOCUMENTS},
        {**NESTED, "output": {"results": [RESULT]}},
        3,
    ),
    "DMXAPI": Page(
        "DMXAPI, raw key",
        {"model": "qwen3-reranker-8b", "query": QUERY, "top_n": 2, "documents": DOCUMENTS},
        {
            "results": [RESULT_WITH_TEXT],
            "usage": {
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "total_tokens": 0,
                "prompt_tokens_details": {"cached_tokens_details": {}},
                "completion_tokens_details": {},
            },
        },
    ),
    "Model Studio, qwen3-rerank": Page(
        "dashscope, compatible-mode",
        {"model": "qwen3-rerank", "documents": DOCUMENTS, "query": QUERY, "top_n": 2, "instruct": INSTRUCT},
        {"object": "list", "results": [RESULT], "model": "qwen3-rerank", "id": "85ba", "usage": {"total_tokens": 79}},
    ),
    "Model Studio, gte-rerank-v2": Page(
        "gte-rerank-v2",
        {
            "model": "gte-rerank-v2",
            "input": {"query": QUERY, "documents": DOCUMENTS},
            "parameters": NATIVE_PARAMETERS,
        },
        NESTED,
    ),
    "Model Studio, qwen3-vl-rerank, query of text": Page(
        "qwen3-vl-rerank",
        {
            "model": "qwen3-vl-rerank",
            "input": {"query": {"text": QUERY}, "documents": MEDIA},
            "parameters": {**NATIVE_PARAMETERS, "fps": 1.0},
        },
        NESTED,
    ),
    "Model Studio, qwen3-vl-rerank, query of an image": Page(
        "qwen3-vl-rerank",
        {
            "model": "qwen3-vl-rerank",
            "input": {"query": {"image": IMAGE}, "documents": MEDIA},
            "parameters": {**NATIVE_PARAMETERS, "fps": 1.0},
        },
        NESTED,
    ),
    "Text Embeddings Inference": Page(
        "TEI",
        {"query": QUERY, "texts": DOCUMENTS, "raw_scores": False, "return_text": True, "truncate": False},
        [{"index": 0, "score": 0.9, "text": DOCUMENTS[0]}],
        3,
    ),
    "SGLang": Page(
        "SGLang",
        {"model": "Qwen/Qwen3-Reranker-0.6B", "query": QUERY, "documents": DOCUMENTS, "instruct": INSTRUCT},
        [{"score": 0.9, "document": DOCUMENTS[0], "index": 0, "meta_info": None}],
        3,
    ),
}


async def ask(provider: str, body: Any, *, path: str = "", key: str = "", kind: str = "application/json") -> Any:
    """Status and body of a provider's answer; unless told otherwise at the right path with the right key."""
    server = PROVIDERS[provider].server
    return await post(server, path or server.path, body, key or server.authorization, kind)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
async def test_a_pages_request_is_answered_as_the_page_says(page: Page) -> None:
    status, answer = await ask(page.provider, page.request)
    assert status == 200, answer
    found = answer if isinstance(answer, list) else answer.get("results") or answer["output"]["results"]
    assert form(answer) == form(page.answer)
    assert len(found) == page.results
    scores = [row.get("relevance_score", row.get("score")) for row in found]
    assert scores == sorted(scores, reverse=True)


def request_of(provider: str) -> dict[str, Any]:
    """A request that the provider takes."""
    return next(page.request for page in PAGES.values() if page.provider == provider)


def named(body: dict[str, Any]) -> str:
    """A field that no request is without."""
    return "input" if "input" in body else "query"


TRIED = list(dict.fromkeys(page.provider for page in PAGES.values()))


@pytest.mark.parametrize("provider", TRIED)
class TestStrictness:
    """What no page names is refused, so that a test over a stub fails when the product sends it."""

    async def test_a_field_that_is_not_documented(self, provider: str) -> None:
        status, said = await ask(provider, {**request_of(provider), "surprise": 1})
        assert status in {400, 422}, said

    async def test_a_field_that_is_missing(self, provider: str) -> None:
        body = dict(request_of(provider))
        del body[named(body)]
        assert (await ask(provider, body))[0] in {400, 422}

    async def test_a_field_of_another_type(self, provider: str) -> None:
        body = request_of(provider)
        assert (await ask(provider, {**body, named(body): 7}))[0] in {400, 422}

    async def test_a_body_that_is_no_json_by_its_header(self, provider: str) -> None:
        status, _ = await ask(provider, request_of(provider), kind="text/plain")
        assert status in {400, 422}

    async def test_another_path(self, provider: str) -> None:
        assert (await ask(provider, request_of(provider), path="/v9/rerank"))[0] == 404

    async def test_another_key(self, provider: str) -> None:
        assert (await ask(provider, request_of(provider), key="Bearer sk-other"))[0] == 401


@pytest.mark.parametrize("provider", [name for name in TRIED if name != "TEI"])  # which is told of none
async def test_another_model_is_refused(provider: str) -> None:
    body = {**request_of(provider), "model": "other"}
    assert (await ask(provider, body))[0] in {400, 404}


async def test_limits_are_refused_as_documented() -> None:
    cohere, tei = CohereStub(max_documents=2), TeiStub(max_tokens=3)
    many = {"model": cohere.model, "query": "q", "documents": ["a"] * 3}
    status, said = await post(cohere, cohere.path, many, cohere.authorization)
    assert (status, said["id"]) == (400, "1")
    long = {"query": "one two", "texts": ["three four"], "truncate": False}
    status, said = await post(tei, tei.path, long, tei.authorization)
    assert (status, said["error_type"]) == (413, "Validation")
