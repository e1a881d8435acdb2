"""The embedding stubs against the providers' pages: they take the pages' own requests, and refuse what is on none."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.stubs.embeddings import DashScopeNativeStub, DashScopeStub, OpenAIStub, VllmStub
from tests.stubs.pages import form, post

TEXTS = ["The capital of China is Beijing.", "The capital of the United States is Washington.", "Today is Friday."]
VECTORS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
    "model": "m",
    "usage": {"prompt_tokens": 21, "total_tokens": 21},
}
NATIVE = {
    "output": {"embeddings": [{"text_index": 0, "embedding": [0.1]}]},
    "usage": {"total_tokens": 21},
    "request_id": "85ba5752",
}


class Page(NamedTuple):
    """A request and an answer as a page prints them, and the header that its key stands in."""

    server: OpenAIStub
    request: dict[str, Any]
    answer: Any
    authorization: str = "Bearer k"


COMPUTE_NEST = {"input": TEXTS, "model": "Qwen3-Embedding-8B"}
NATIVE_PARAMETERS = {"dimension": 64, "text_type": "query", "output_type": "dense", "instruct": "Find it"}
PAGES = {
    "Qwen3-Embedding on ComputeNest, curl": Page(VllmStub("Qwen3-Embedding-8B", "k"), COMPUTE_NEST, VECTORS),
    "Qwen3-Embedding on ComputeNest, Python": Page(
        VllmStub("Qwen3-Embedding-8B", "k", scheme="raw"), {**COMPUTE_NEST, "dimensions": 64}, VECTORS, "k"
    ),
    "OpenAI": Page(
        OpenAIStub(key="k"),
        {"input": TEXTS, "model": "text-embedding-3-small", "encoding_format": "float"},
        VECTORS,
    ),
    "Model Studio, compatible": Page(
        DashScopeStub(key="k"),
        {"model": "text-embedding-v4", "input": TEXTS, "dimensions": 64, "encoding_format": "float"},
        VECTORS,
    ),
    "Model Studio, native": Page(
        DashScopeNativeStub(key="k"),
        {"model": "text-embedding-v4", "input": {"texts": TEXTS}, "parameters": NATIVE_PARAMETERS},
        NATIVE,
    ),
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
class TestPages:
    """A page's request, and the same with one thing wrong."""

    async def status_of(self, page: Page, changes: dict[str, Any], authorization: str = "", path: str = "") -> int:
        body = page.request | changes
        status, _ = await post(page.server, path or page.server.path, body, authorization or page.authorization)
        return status

    async def test_its_request_is_answered_as_it_says(self, page: Page) -> None:
        status, answer = await post(page.server, page.server.path, page.request, page.authorization)
        assert status == 200, answer
        assert form(answer) == form(page.answer)
        assert len(answer.get("data") or answer["output"]["embeddings"]) == len(TEXTS)

    async def test_a_field_that_is_not_documented_is_refused(self, page: Page) -> None:
        assert await self.status_of(page, {"surprise": 1}) == 400

    async def test_an_input_of_another_type_is_refused(self, page: Page) -> None:
        assert await self.status_of(page, {"input": 7}) == 400

    async def test_another_model_is_refused(self, page: Page) -> None:
        assert await self.status_of(page, {"model": "other"}) == 404

    async def test_another_key_is_refused(self, page: Page) -> None:
        assert await self.status_of(page, {}, authorization="Bearer other") == 401

    async def test_another_path_is_not_found(self, page: Page) -> None:
        assert await self.status_of(page, {}, path="/v9/embeddings") == 404
