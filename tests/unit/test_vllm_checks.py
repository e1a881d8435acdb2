"""The check-up of a vLLM reranker: whatever its template does to the prompt is found out, whatever its weights."""

from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from tests.stubs.server import reply, serve
from winnow.core.settings.embedding import QWEN3_INSTRUCT
from winnow.core.settings.rerank import VllmRerank
from winnow.models.checks.vllm_reranker import TEMPLATE_TOKENS, TOLERANCE, check_vllm_reranker
from winnow.models.http.client import ModelClient
from winnow.models.prompts import RERANK_PREFIX, RERANK_SUFFIX, rerank_document, rerank_head
from winnow.ports import EmbeddedQuery, Finding, Passage, Reranker, RerankerInfo, Reranking

MODEL = "Qwen/Qwen3-Reranker-0.6B"


def reference(query: str, document: str, instruct: str) -> str:
    return RERANK_PREFIX + rerank_head(instruct, query) + rerank_document(document) + RERANK_SUFFIX


def joined(query: str, document: str, _: str) -> str:
    return query + document


class Vllm:
    """A server whose model has random weights: any other prompt, any other score. A character is a token.

    Attributes:
        template: query, document and instruct to prompt.
        rounding: by how much logits move from call to call.
        embeds: whether it is an embedder.
        routes: whether a gateway is in front, which has an embedder behind it too.
    """

    def __init__(self) -> None:
        self.template: Callable[[str, str, str], str] = reference
        self.served = [{"id": MODEL, "max_model_len": 8192}]
        self.embeds = False
        self.routes = False
        self.classifies = True
        self.counts = True
        self.rounding = 0.0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        match request.method, request.path:
            case "GET", "/v1/models":
                return reply({"data": self.served})
            case "GET", "/v1/embeddings" if self.embeds or self.routes:
                return reply({"detail": "Method Not Allowed"}, 405)
            case "POST", "/v1/embeddings" if self.embeds or self.routes:
                return self.embed()
            case "POST", "/classify" if self.classifies:
                texts = (await request.json())["input"]
                return reply({"data": [{"index": i, "probs": [self.score(text)]} for i, text in enumerate(texts)]})
            case "POST", "/v1/rerank":
                return self.rerank(await request.json())
            case _:
                return reply({"detail": "Not Found"}, 404)

    def embed(self) -> web.Response:
        if self.embeds:
            return reply({"data": [{"index": 0, "embedding": [1.0]}]})
        return reply({"error": "Invalid request: missing 'model' in request body."}, 400)

    def rerank(self, body: dict[str, Any]) -> web.Response:
        (document,) = body["documents"]
        prompt = self.template(body["query"], document, body.get("instruction") or QWEN3_INSTRUCT)
        return reply({"score": self.score(prompt, self.rounding), "tokens": tokens(prompt) if self.counts else 0})

    @staticmethod
    def score(prompt: str, shift: float = 0.0) -> float:
        seed = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "big")
        return 1 / (1 + math.exp(-np.random.default_rng(seed).normal() - shift))


def tokens(prompt: str) -> int:
    """Characters, but the template's parts have the tokens that they have with Qwen; a last newline costs none."""
    for part, count in ((RERANK_PREFIX, 39), (RERANK_SUFFIX, 9), (RERANK_SUFFIX[:-1], 9)):
        prompt = prompt.replace(part, "x" * count)
    return len(prompt)


class Adapter(Reranker):
    """Asks as ``WINNOW_RERANK__TEMPLATE`` says."""

    def __init__(self, client: ModelClient, settings: VllmRerank) -> None:
        self._client = client
        self._settings = settings

    @property
    def info(self) -> RerankerInfo:
        return RerankerInfo("vllm", self._settings.model)

    async def rerank(
        self, query: EmbeddedQuery, passages: Sequence[Passage], *, instruct: str | None = None
    ) -> Reranking:
        (passage,) = passages
        body = {"query": query.text, "documents": [passage.chunk.text], "instruction": instruct}
        if self._settings.template == "client":
            body = {
                "query": RERANK_PREFIX + rerank_head(instruct or "", query.text),
                "documents": [rerank_document(passage.chunk.text) + RERANK_SUFFIX],
            }
        answer = await self._client.post(self._settings.path, body)
        return Reranking(np.array([answer["score"]], dtype=np.float32), answer["tokens"])

    async def close(self) -> None:
        """The client is the test's."""


@pytest.fixture
def vllm() -> Vllm:
    return Vllm()


@pytest.fixture
async def check(vllm: Vllm) -> AsyncIterator[Callable[..., Any]]:
    clients: list[ModelClient] = []

    async def run(**settings: Any) -> dict[str, Finding]:
        chosen = VllmRerank(url=stub.url, **{"model": MODEL, **settings})
        client = ModelClient(chosen, variable="WINNOW_RERANK")
        clients.append(client)
        found = await check_vllm_reranker(client, chosen, Adapter(client, chosen), len)
        return {finding.check: finding for finding in found}

    async with serve(vllm.answer) as stub:
        yield run
        for client in clients:
            await client.close()


def failed(found: dict[str, Finding]) -> set[str]:
    return {name for name, finding in found.items() if finding.status == "failed"}


async def test_our_template_on_the_server_is_right(check: Callable[..., Any]) -> None:
    found = await check()
    assert {name: finding.status for name, finding in found.items()} == dict.fromkeys(
        ("model served", "length", "a reranker", "prompt", "prompt length"), "ok"
    )


async def test_winnow_writing_the_prompt_for_a_server_without_template_is_right(
    vllm: Vllm, check: Callable[..., Any]
) -> None:
    vllm.template = joined
    assert failed(await check(template="client")) == set()


def test_two_roundings_of_a_logit_to_bfloat16_are_within_the_tolerance() -> None:
    yes, no = np.random.default_rng(7).uniform(-32, 32, (2, 100_000))
    rounded = bfloat16(yes) - bfloat16(no)
    assert 0.1 < np.abs(rounded - (yes - no)).max() < TOLERANCE / 2


def bfloat16(numbers: np.ndarray) -> np.ndarray:
    """The nearest numbers that bfloat16 has: the upper half of a float32, ties to even."""
    bits = numbers.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32).astype(np.float64)


async def test_rounding_on_the_way_is_no_mistake(vllm: Vllm, check: Callable[..., Any]) -> None:
    vllm.rounding = 0.1
    assert failed(await check()) == set()


@pytest.mark.parametrize(
    ("template", "says", "same_length"),
    [
        (joined, "no chat template", False),
        (lambda q, d, i: reference(q, d, i)[:-1], "last newline is missing", True),
        (lambda q, d, _: reference(q, d, QWEN3_INSTRUCT), "leaves the instruct out", False),
        (
            lambda q, d, i: reference(q, d, i).removesuffix("<think>\n\n</think>\n\n"),
            "without the empty thought",
            False,
        ),
        (lambda q, d, i: f"system: {reference(q, d, i)}", "not a known one", False),
    ],
)
async def test_another_template_is_named(
    vllm: Vllm, check: Callable[..., Any], template: Callable[..., str], says: str, *, same_length: bool
) -> None:
    vllm.template = template
    found = await check()
    assert says in found["prompt"].seen
    assert "deploy/vllm/qwen3_reranker.jinja" in found["prompt"].fix
    assert "WINNOW_RERANK__TEMPLATE=client" in found["prompt"].fix
    assert failed(found) == ({"prompt"} if same_length else {"prompt", "prompt length"})


async def test_a_prompt_that_is_written_twice_is_named(check: Callable[..., Any]) -> None:
    found = await check(template="client")
    assert "written twice" in found["prompt"].seen
    assert "WINNOW_RERANK__TEMPLATE=server" in found["prompt"].fix
    assert failed(found) == {"prompt", "prompt length"}


async def test_the_length_tells_where_raw_prompts_cannot_be_scored(vllm: Vllm, check: Callable[..., Any]) -> None:
    vllm.classifies = False
    assert (await check())["prompt"].status == "skipped"
    found = await check(template="client")
    assert failed(found) == {"prompt length"}
    assert found["prompt length"].fix


async def test_a_server_that_counts_no_tokens_is_judged_by_its_scores(vllm: Vllm, check: Callable[..., Any]) -> None:
    vllm.counts = False
    assert (await check())["prompt length"].status == "skipped"


async def test_an_embedder_behind_the_rerankers_address_is_named(vllm: Vllm, check: Callable[..., Any]) -> None:
    vllm.embeds = True
    found = await check()
    assert failed(found) == {"a reranker"}
    assert "WINNOW_RERANK__URL" in found["a reranker"].fix


async def test_a_gateway_that_could_embed_too_is_no_embedder(vllm: Vllm, check: Callable[..., Any]) -> None:
    vllm.routes = True
    assert failed(await check()) == set()


async def test_another_model_is_named_with_those_that_there_are(check: Callable[..., Any]) -> None:
    found = await check(model="Qwen/Qwen3-Reranker-8B")
    assert failed(found) == {"model served"}
    assert MODEL in found["model served"].seen


async def test_a_server_that_reads_less_than_configured_is_named(check: Callable[..., Any]) -> None:
    found = await check(max_tokens=16_384)
    assert failed(found) == {"length"}
    assert "WINNOW_RERANK__MAX_TOKENS to 8192" in found["length"].fix


async def test_another_kind_of_model_has_no_template_to_look_at(vllm: Vllm, check: Callable[..., Any]) -> None:
    vllm.served = [{"id": "BAAI/bge-reranker-v2-m3"}]
    vllm.template = joined
    found = await check(model="BAAI/bge-reranker-v2-m3")
    assert failed(found) == set()
    assert (found["prompt"].status, found["length"].status) == ("skipped", "skipped")


@pytest.mark.parametrize("root", [MODEL, "/models/Qwen3-Reranker-4B", "tomaarsen/Qwen3-Reranker-0.6B-seq-cls"])
async def test_an_alias_is_looked_at_as_the_model_that_it_stands_for(
    vllm: Vllm, check: Callable[..., Any], root: str
) -> None:
    vllm.served = [{"id": "reranker", "root": root, "max_model_len": 8192}]
    assert failed(await check(model="reranker")) == set()
    vllm.template = joined
    assert failed(await check(model="reranker")) == {"prompt", "prompt length"}


def test_the_parts_around_the_body_are_what_is_counted() -> None:
    assert tokens(reference("", "", "")) - len(rerank_head("", "") + rerank_document("")) == TEMPLATE_TOKENS
