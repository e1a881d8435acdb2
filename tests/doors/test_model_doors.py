"""Rerank and embeddings over the wire: shapes, errors in the shape of each protocol, prompts that clients wrote."""

from __future__ import annotations

import base64
from typing import Any

import httpx2
import numpy as np
import pytest

from service.app import create_app
from winnow.operations.admission import Admission

PREFIX = "<|im_start|>system\nJudge the document.<|im_end|>\n<|im_start|>user\n"
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
DOCUMENTS = ["the weather is fine", "how to copy a file", "a file"]
RERANK = {"query": "copy a file", "documents": DOCUMENTS}
NATIVE = "/api/v1/services/rerank/text-rerank/text-rerank"
NATIVE_EMBED = "/api/v1/services/embeddings/text-embedding/text-embedding"

FLAT_PATHS = ["/v1/rerank", "/v1/v1/rerank", "/v2/rerank", "/v2/v2/rerank", "/rerank"]
COMPATIBLE_PATHS = ["/compatible-api/v1/reranks", "/compatible-mode/v1/reranks"]


async def post(client: httpx2.AsyncClient, path: str, body: Any) -> Any:
    response = await client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("path", FLAT_PATHS + COMPATIBLE_PATHS)
async def test_one_answer_serves_every_flat_client(client, path):
    answer = await post(client, path, RERANK | {"top_n": 2, "model": "some-reranker"})
    assert [each["index"] for each in answer["results"]] == [1, 2]
    assert answer["results"][0].keys() == {"index", "relevance_score"}
    assert answer["model"] == "fake-overlap"
    assert answer["object"] == "list"
    assert answer["id"].startswith("req_")
    assert answer["usage"]["total_tokens"] > 0
    assert answer["meta"]["billed_units"] == {"search_units": 1}


async def test_documents_are_echoed_where_asked(client):
    documents = ["a file", {"text": "copy a file", "page": 3}]
    body = {"query": "copy a file", "documents": documents, "return_documents": True}
    answer = await post(client, "/v1/rerank", body)
    assert [each["document"] for each in answer["results"]] == [documents[1], {"text": "a file"}]


async def test_options_may_be_null_and_unknown_ones_are_left_alone(client):
    options = {"top_n": None, "max_tokens_per_doc": None, "return_documents": None, "priority": 1, "user": "u"}
    assert len((await post(client, "/v2/rerank", RERANK | options))["results"]) == 3


async def test_top_n_may_exceed_the_documents(client):
    assert len((await post(client, "/v2/rerank", RERANK | {"top_n": 99}))["results"]) == 3


async def test_an_instruct_has_two_names(client):
    for name in ("instruct", "instruction"):
        answer = await post(client, "/v1/rerank", RERANK | {name: "weather"})
        assert answer["results"][-1]["relevance_score"] > 0  # the fake counts the instruct's words as well


async def test_documents_are_cut_where_asked(client):
    answer = await post(client, "/v2/rerank", {"query": "end", "documents": ["one two end"], "max_tokens_per_doc": 2})
    assert answer["results"][0]["relevance_score"] == 0


async def test_a_prompt_that_the_client_wrote_is_taken_off(service, monkeypatch):
    seen: list[Any] = []
    rerank = service.resources.reranker.rerank

    async def watched(query, passages, *, instruct=None):
        seen.append((query.text, instruct, [passage.chunk.text for passage in passages]))
        return await rerank(query, passages, instruct=instruct)

    monkeypatch.setattr(service.resources.reranker, "rerank", watched)
    query = f"{PREFIX}<Instruct>: weather\n<Query>: copy a file\n"
    documents = [f"<Document>: {text}{SUFFIX}" for text in DOCUMENTS]
    await post(service.client, "/v1/rerank", {"query": query, "documents": documents})
    await post(service.client, "/v1/rerank", RERANK | {"instruct": "weather"})
    assert seen == [("copy a file", "weather", DOCUMENTS)] * 2


async def test_text_embeddings_inference_gets_a_bare_list(client):
    body = {"query": "copy a file", "texts": DOCUMENTS, "return_text": True}
    answer = await post(client, "/rerank", body)
    assert answer[0] == {"index": 1, "score": pytest.approx(1.0), "text": DOCUMENTS[1]}
    raw = await post(client, "/rerank", body | {"raw_scores": True})
    for probability, odds in zip(answer, raw, strict=True):
        assert 1 / (1 + np.exp(-odds["score"])) == pytest.approx(probability["score"], abs=1e-6)


async def test_libre_chat_gets_texts(client):
    answer = await post(client, "/rerank", {"query": "copy a file", "docs": DOCUMENTS, "k": 1})
    assert answer == [{"text": DOCUMENTS[1], "score": pytest.approx(1.0)}]


async def test_libre_chat_s_rag_api_gets_candidates_back_by_place(client):
    candidates = [{"id": f"c{i}", "text": text, "base_score": 0} for i, text in enumerate(DOCUMENTS)]
    body = {"profile": "fast-v1", "query": "copy a file", "candidates": candidates, "top_n": 1}
    answer = await post(client, "/v1/rerank", body)
    assert answer["results"] == [{"id": "c1", "index": 1, "score": pytest.approx(1.0)}]
    assert (answer["profile"], answer["model"]) == ("fast-v1", "fake-overlap")


async def test_dashscope_gets_its_own_envelope(client):
    asked = {"query": {"text": "copy a file"}, "documents": [{"text": DOCUMENTS[0]}, DOCUMENTS[1]]}
    parameters = {"top_n": 1, "return_documents": True, "fps": 1.0}
    answer = await post(client, NATIVE, {"model": "gte-rerank-v2", "input": asked, "parameters": parameters})
    (result,) = answer["output"]["results"]
    assert (result["index"], result["document"]) == (1, {"text": DOCUMENTS[1]})
    assert answer.keys() == {"output", "usage", "request_id"}


async def embed(client: httpx2.AsyncClient, **body: Any) -> np.ndarray:
    answer = await post(client, "/v1/embeddings", body)
    return np.array([each["embedding"] for each in answer["data"]])


async def test_embeddings_as_floats_and_as_base64(client):
    floats = await embed(client, input=DOCUMENTS)
    answer = await post(client, "/v1/embeddings", {"input": DOCUMENTS, "encoding_format": "base64", "user": None})
    rows = [np.frombuffer(base64.b64decode(each["embedding"]), "<f4") for each in answer["data"]]
    assert np.allclose(rows, floats)
    assert answer["usage"]["total_tokens"] > 0


async def test_fewer_dimensions_are_cut_and_of_length_one(client):
    whole, short = await embed(client, input="a file"), await embed(client, input="a file", dimensions=8)
    assert short.shape == (1, 8)
    assert np.linalg.norm(short) == pytest.approx(1)
    assert short @ whole[:, :8].T == pytest.approx(np.linalg.norm(whole[:, :8]))


async def test_texts_are_documents_unless_the_caller_says_otherwise(service, monkeypatch):
    kinds: list[tuple[str, str | None]] = []
    embed = service.resources.embedder.embed

    async def watched(texts, kind, *, instruct=None):
        kinds.append((kind, instruct))
        return await embed(texts, kind, instruct=instruct)

    monkeypatch.setattr(service.resources.embedder, "embed", watched)
    post = service.client.post
    await post("/v1/embeddings", json={"input": "a"})
    await post("/v1/embeddings", json={"input": "a", "input_type": "query"})
    await post("/v1/embeddings", json={"input": "Instruct: find\nQuery:a"})
    await post("/v2/embed", json={"texts": ["a"], "input_type": "search_query"})
    await post("/v2/embed", json={"texts": ["a"], "input_type": "search_document"})
    await post(NATIVE_EMBED, json={"input": {"texts": ["a"]}, "parameters": {"text_type": "query", "instruct": "find"}})
    plain, query, asked = ("document", None), ("query", None), ("query", "find")
    assert kinds == [plain, query, asked, query, plain, asked]


async def test_documents_wait_behind_queries(client, monkeypatch):
    seen, run = [], Admission.run

    async def noted(self, *arguments, **options):
        seen.append(options["bulk"])
        return await run(self, *arguments, **options)

    monkeypatch.setattr(Admission, "run", noted)
    for kind in ("search_document", "search_query"):
        body = {"texts": ["amber"], "model": "m", "input_type": kind, "embedding_types": ["float"]}
        assert (await client.post("/v2/embed", json=body)).is_success
    assert seen == [True, False]


async def test_a_text_longer_than_the_model_reads_is_embedded_whole(service, client):
    limit = service.resources.embedder.info.max_tokens
    long = " ".join(f"word{i}" for i in range(3 * limit))
    cut = " ".join(long.split()[:limit])
    whole, head = await embed(client, input=long), await embed(client, input=cut)
    last = await embed(client, input=" ".join(long.split()[-limit:]))
    assert np.linalg.norm(whole) == pytest.approx(1)
    assert float(whole[0] @ last[0]) == pytest.approx(float(whole[0] @ head[0]), abs=0.1)


async def test_other_shapes_of_embeddings(client):
    (vector,) = await embed(client, input="a file")
    assert (await post(client, "/embed", {"inputs": "a file"}))[0] == pytest.approx(vector)
    assert (await post(client, "/", {"inputs": ["a file"]}))[0] == pytest.approx(vector)
    similar = await post(client, "/", {"inputs": {"source_sentence": "a file", "sentences": ["a file", "rain"]}})
    assert similar[0] == pytest.approx(1)
    assert similar[1] < 0.9
    v2 = await post(client, "/v2/embed", {"texts": ["a file"], "embedding_types": ["float", "base64"]})
    assert v2["embeddings"]["float"][0] == pytest.approx(vector)
    v1 = await post(client, "/v1/embed", {"texts": ["a file"]})
    assert v1["embeddings"][0] == pytest.approx(vector)
    native = await post(client, NATIVE_EMBED, {"input": {"texts": ["a file"]}, "parameters": {"dimension": None}})
    assert native["output"]["embeddings"][0]["embedding"] == pytest.approx(vector)


ERRORS = {
    "flat": ({"message", "detail", "id", "error"}, 400, FLAT_PATHS[:4], {"query": "a", "documents": []}),
    "tei": ({"error", "error_type"}, 422, ["/rerank"], {"query": "a", "texts": []}),
    "compatible": ({"error", "id", "request_id"}, 400, COMPATIBLE_PATHS, {"query": "a", "documents": []}),
    "native": ({"code", "message", "request_id"}, 400, [NATIVE], {"input": {"query": "a", "documents": []}}),
    "openai": ({"error"}, 400, ["/v1/embeddings", "/v1/v1/embeddings"], {"input": []}),
    "tei embed": ({"error", "error_type"}, 422, ["/embed", "/"], {"inputs": []}),
    "cohere embed": ({"message", "detail", "id", "error"}, 400, ["/v1/embed", "/v2/embed"], {"texts": []}),
    "native embed": ({"code", "message", "request_id"}, 400, [NATIVE_EMBED], {"input": {"texts": []}}),
}


@pytest.mark.parametrize("name", ERRORS)
async def test_errors_have_the_shape_of_the_protocol(client, name):
    members, status, paths, empty = ERRORS[name]
    for path in paths:
        for body in (empty, {}, [], "text"):
            response = await client.post(path, json=body)
            shared = path == "/rerank" and body is not empty  # a body that names no protocol there is vLLM's
            assert response.status_code == (400 if shared else status), (path, body, response.text)
            assert response.headers["content-type"] == "application/json"
            assert set(response.json()) == ({"message", "detail", "id", "error"} if shared else members), (path, body)
        wrong = await client.post(path, content=b"{", headers={"Content-Type": "application/json"})
        assert wrong.status_code == 400
        assert "about:blank" not in wrong.text
        form = await client.post(path, content=b"a=b", headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert form.status_code in (400, 415)
        assert "about:blank" not in form.text


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (RERANK | {"top_n": 0}, "top_n must be 1 or more, not 0"),
        (RERANK | {"query": " "}, "query is empty"),
        ({"query": "a", "documents": ["a", {"title": "b"}]}, "documents[1] needs a member text"),
        ({"query": "a", "documents": ["a", {"image": "x"}]}, "documents[1] is of the kind image"),
        ({"query": "a"}, "documents: is missing"),
        ({"query": "a", "documents": "b"}, "documents: "),
        (
            {"query": "a", "documents": ["a", None]},
            "documents.1: input should be a valid string, or must be an object",
        ),
    ],
)
async def test_the_culprit_is_named(client, body, message):
    response = await client.post("/v1/rerank", json=body)
    assert response.status_code == 400
    assert message in response.json()["message"]


async def test_the_models_that_are_there_are_listed(client):
    listed = (await client.get("/v1/models")).json()
    assert listed["object"] == "list"
    assert [(each["id"], each["object"], each["task"]) for each in listed["data"]] == [
        ("fake-words", "model", "embed"),
        ("fake-overlap", "model", "rerank"),
    ]
    for path in ("/v1/models", "/v1/v1/models"):
        assert (await client.get(f"{path}/fake-overlap")).json() == listed["data"][1]
    missing = await client.get("/v1/models/other/model")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/v1/chat/completions"]
)
async def test_calls_of_openai_that_are_not_offered_say_what_is(client, path):
    for body in ({"model": "any", "messages": [], "stream": True}, None):
        refused = await client.post(path, json=body)
        error = refused.json()["error"]
        assert (refused.status_code, error["type"], error["code"]) == (404, "not_found_error", "not_offered")
        assert "/v1/embeddings" in error["message"]


async def test_a_further_embedder_serves_those_who_name_it(service):
    from dataclasses import replace

    from winnow.testing.models import FakeEmbedder

    class Other(FakeEmbedder):
        @property
        def info(self):
            return replace(super().info, model="acme/other")

    other = Other()
    embedders = replace(service.resources.embedders, further={"other": other})
    app = create_app(service.resources.settings, replace(service.resources, embedders=embedders))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1") as client:
        for asked, ran in (("acme/other", "acme/other"), ("Other", "acme/other"), ("unknown", "fake-words")):
            assert (await post(client, "/v1/embeddings", {"input": "a", "model": asked}))["model"] == ran


async def test_too_many_texts_are_counted(client):
    error = (await client.post("/v1/embeddings", json={"input": ["a"] * 2049})).json()["error"]
    assert error["param"] == "input"
    assert error["message"] == "input: list should have at most 2048 items after validation, not 2049"


@pytest.mark.parametrize("ids", [[1, 2], [[1, 2], [3]]])
async def test_token_ids_are_refused(client, ids):
    response = await client.post("/v1/embeddings", json={"input": ids})
    assert response.status_code == 400
    assert "check_embedding_ctx_length=False" in response.json()["error"]["message"]


@pytest.mark.parametrize("dimensions", [0, 100_000])
async def test_dimensions_out_of_range_are_refused(client, dimensions):
    response = await client.post("/v1/embeddings", json={"input": "a", "dimensions": dimensions})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "dimensions"


async def test_a_model_that_is_not_there_is_refused_where_wanted(service):
    settings = service.resources.settings
    strict = settings.model_copy(update={"server": settings.server.model_copy(update={"strict_models": True})})
    from dataclasses import replace

    app = create_app(strict, replace(service.resources, settings=strict))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1") as client:
        assert (await client.post("/v1/rerank", json=RERANK | {"model": "other"})).status_code == 404
        assert (await client.post("/v1/rerank", json=RERANK | {"model": "FAKE-overlap"})).status_code == 200
        refused = await client.post("/v1/embeddings", json={"input": "a", "model": "text-embedding-3-small"})
        assert refused.json()["error"]["code"] == "model_not_found"


async def test_a_dead_model_is_told_in_the_shape_of_the_protocol(service, monkeypatch):
    from winnow.core.errors import UpstreamUnavailable

    async def dead(*_: Any, **__: Any) -> None:
        raise UpstreamUnavailable("the reranker is away")

    monkeypatch.setattr(service.resources.reranker, "rerank", dead)
    for path, body, where in (
        ("/v2/rerank", RERANK, "message"),
        ("/rerank", {"query": "a", "texts": ["a"]}, "error"),
        (NATIVE, {"input": RERANK}, "message"),
    ):
        response = await service.client.post(path, json=body)
        assert response.status_code == 503
        assert response.json()[where].endswith("the reranker is away")
        assert int(response.headers["retry-after"]) > 0


async def test_a_model_that_is_down_is_left_alone_by_searches_and_by_calls_alike(service, monkeypatch):
    from winnow.core.errors import UpstreamUnavailable

    calls = []

    async def dead(*_: Any, **__: Any) -> None:
        calls.append(1)
        raise UpstreamUnavailable("the reranker is away")

    monkeypatch.setattr(service.resources.reranker, "rerank", dead)
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    for _ in range(3):
        refused = await service.client.post("/v2/rerank", json=RERANK)
        assert refused.status_code == 503
        assert "the reranker is away" in refused.json()["message"]
    answer = (await service.client.post("/v1/collections/docs/search", json={"query": "copy"})).json()
    assert (answer["degraded"], len(calls)) == (True, 1)
