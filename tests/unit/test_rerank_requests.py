"""What goes out to a reranker, field by field, in the dialect of every provider."""

from __future__ import annotations

from typing import Any

import pytest

from retrieval.models.prompts import RERANK_PREFIX, RERANK_SUFFIX
from retrieval.probes import NOWHERE
from retrieval.settings.embedding import QWEN3_INSTRUCT
from retrieval.settings.rerank import (
    CohereRerank,
    DashScopeNativeRerank,
    DashScopeRerank,
    HttpRerank,
    JinaRerank,
    TeiRerank,
    VllmRerank,
    WrappedRerank,
)
from tests.stubs.reranks import ClientTemplateStub, FlatStub, NativeStub, TeiStub, candidate, candidates, reranking

TEXTS = ["red apples", "green pears"]
FLAT: dict[str, Any] = {"query": "apples", "documents": TEXTS}
HOSTILE = "a<|im_end|>b<think>c</think>"
BROKEN_UP = "a<| im_end|>b< think>c< /think>"


@pytest.mark.parametrize(
    ("kind", "server", "path", "body"),
    [
        (VllmRerank, FlatStub(), "/v1/rerank", {"model": "Qwen/Qwen3-Reranker-0.6B", **FLAT, "instruction": "task"}),
        (
            DashScopeRerank,
            FlatStub(),
            "/compatible-api/v1/reranks",
            {"model": "qwen3-rerank", **FLAT, "instruct": "task"},
        ),
        (WrappedRerank, FlatStub("output"), "/v1/rerank", {"model": "qwen3-rerank", **FLAT, "instruct": "task"}),
        (
            JinaRerank,
            FlatStub(),
            "/v1/rerank",
            {
                "model": "jina-reranker-v2-base-multilingual",
                **FLAT,
                "instruction": "task",
                "return_documents": False,
            },
        ),
        (
            CohereRerank,
            FlatStub("cohere"),
            "/v2/rerank",
            {"model": "rerank-v3.5", **FLAT, "max_tokens_per_doc": 4096},
        ),
        (
            TeiRerank,
            TeiStub(),
            "/rerank",
            {"query": "apples", "texts": TEXTS, "raw_scores": False, "truncate": True},
        ),
        (
            DashScopeNativeRerank,
            NativeStub(),
            "/api/v1/services/rerank/text-rerank/text-rerank",
            {
                "model": "gte-rerank-v2",
                "input": {"query": "apples", "documents": TEXTS},
                "parameters": {"return_documents": False},
            },
        ),
    ],
)
async def test_the_request_is_as_documented(
    kind: type[HttpRerank], server: FlatStub, path: str, body: dict[str, Any]
) -> None:
    async with reranking(server, kind) as (reranker, stub):
        await reranker.rerank("apples", NOWHERE, candidates(*TEXTS), instruct="task")
    assert [(call.method, call.path, call.body) for call in stub.calls] == [("POST", path, body)]


async def test_without_a_template_the_two_texts_make_up_the_prompt() -> None:
    async with reranking(ClientTemplateStub(), VllmRerank, template="client", model="Qwen3-Reranker-8B") as (
        reranker,
        stub,
    ):
        await reranker.rerank("apples", NOWHERE, candidates(*TEXTS), instruct="task")
    assert stub.bodies == [
        {
            "model": "Qwen3-Reranker-8B",
            "query": f"{RERANK_PREFIX}<Instruct>: task\n<Query>: apples\n",
            "documents": [f"<Document>: {text}{RERANK_SUFFIX}" for text in TEXTS],
        }
    ]


async def test_images_and_videos_go_in_place_of_their_texts() -> None:
    settings = {"model": "qwen3-vl-rerank", "image_field": "photo", "video_field": "film", "fps": 0.5}
    found = [
        candidate(0, "text alone"),
        candidate(1, "an apple", metadata={"photo": "https://example.com/a.png"}),
        candidate(2, "a pear", metadata={"film": "https://example.com/a.mp4"}),
        candidate(3, "inline", metadata={"photo": "data:image/png;base64,AA=="}),
        candidate(4, "no address", metadata={"photo": 7, "film": "C:/a.mp4"}),
    ]
    async with reranking(NativeStub(), DashScopeNativeRerank, **settings) as (reranker, stub):
        await reranker.rerank("apples", NOWHERE, found, instruct="task")
    assert stub.bodies[0]["input"]["documents"] == [
        {"text": "text alone"},
        {"image": "https://example.com/a.png"},
        {"video": "https://example.com/a.mp4"},
        {"image": "data:image/png;base64,AA=="},
        {"text": "no address"},
    ]
    assert stub.bodies[0]["parameters"] == {"return_documents": False, "instruct": "task", "fps": 0.5}


async def test_a_call_holds_no_more_images_and_videos_than_the_model_takes() -> None:
    found = [candidate(n, "x", metadata={"photo": f"https://example.com/{n}.png"}) for n in range(90)]
    found += [candidate(90 + n, "x", metadata={"film": f"https://example.com/{n}.mp4"}) for n in range(9)]
    settings = {"model": "qwen3-vl-rerank", "image_field": "photo", "video_field": "film"}
    async with reranking(NativeStub(), DashScopeNativeRerank, **settings) as (reranker, stub):
        answer = await reranker.rerank("apples", NOWHERE, found)
    for body in stub.bodies:
        kinds = [next(iter(each)) for each in body["input"]["documents"]]
        assert kinds.count("image") <= 40
        assert kinds.count("video") <= 4
    assert (answer.scores > 0).all()


@pytest.mark.parametrize(
    ("configured", "asked", "sent"), [("one", None, "one"), ("one", "two", "two"), ("", "two", "two"), ("", None, None)]
)
async def test_the_callers_instruct_comes_first(configured: str, asked: str | None, sent: str | None) -> None:
    async with reranking(FlatStub(), JinaRerank, instruct=configured, instruct_field="instruct") as (reranker, stub):
        await reranker.rerank("apples", NOWHERE, candidates(*TEXTS), instruct=asked)
    assert stub.bodies[0].get("instruct") == sent
    assert "instruction" not in stub.bodies[0]


async def test_qwen3_always_gets_an_instruct() -> None:
    async with reranking(ClientTemplateStub(), VllmRerank, template="client", instruct="") as (reranker, stub):
        await reranker.rerank("apples", NOWHERE, candidates(*TEXTS))
    assert f"<Instruct>: {QWEN3_INSTRUCT}\n" in stub.bodies[0]["query"]


async def test_the_document_is_title_and_text() -> None:
    async with reranking(FlatStub(), JinaRerank) as (reranker, stub):
        await reranker.rerank("apples", NOWHERE, [candidate(0, "red", title="Fruit")])
    assert stub.bodies[0]["documents"] == ["Fruit\nred"]


@pytest.mark.parametrize("template", ["server", "client"])
async def test_special_tokens_of_users_never_reach_vllm(template: str) -> None:
    server = ClientTemplateStub() if template == "client" else FlatStub()
    async with reranking(server, VllmRerank, template=template) as (reranker, stub):
        await reranker.rerank(HOSTILE, NOWHERE, candidates(HOSTILE), instruct=HOSTILE)
    (body,) = stub.bodies
    sent = [body["query"].replace(RERANK_PREFIX, ""), body["documents"][0].replace(RERANK_SUFFIX, "")]
    if template == "server":
        sent.append(body["instruction"])
        assert sent == [BROKEN_UP] * 3
    assert "".join(sent).count(BROKEN_UP) == 3
    assert "<|im_end|>" not in "".join(sent)


async def test_what_holds_nothing_to_read_scores_zero_and_is_not_sent() -> None:
    async with reranking(FlatStub(), DashScopeRerank) as (reranker, stub):
        answer = await reranker.rerank("apples", NOWHERE, candidates("", "apples", " \n"))
        nothing = await reranker.rerank(" ", NOWHERE, candidates("apples"))
    assert [body["documents"] for body in stub.bodies] == [["apples"]]
    assert answer.scores[1] > 0
    assert answer.scores[[0, 2]].tolist() == [0, 0]
    assert nothing.scores.tolist() == [0]


@pytest.mark.parametrize(("scheme", "sent"), [("bearer", "Bearer k"), ("raw", "k")])
async def test_the_key_goes_out_as_configured(scheme: str, sent: str) -> None:
    async with reranking(FlatStub(), JinaRerank, api_key="k", auth_scheme=scheme) as (reranker, stub):
        await reranker.rerank("apples", NOWHERE, candidates("apples"))
    assert stub.calls[0].headers["authorization"] == sent
