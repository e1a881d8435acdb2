"""Every door against what clients get wrong: the protocol's own answer or error, never ours, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from service.doors import all_doors
from service.doors.openai_models import refuse_completions
from tests.conftest import Service
from winnow.core.errors import UpstreamUnavailable

TEXTS = ["the weather is fine", "how to copy a file", "a file"]
STORE = "/v1/vector_stores/docs"
OPENAI = {"error"}
RERANK = {"message", "detail", "id", "error"}
TEI = {"error", "error_type"}
DASHSCOPE = {"code", "message", "request_id"}
LIBRECHAT_ERROR = {"message", "detail"}
JSON_RPC = {"jsonrpc", "id", "error"}
JSON = "application/json"


@dataclass(frozen=True)
class Case:
    """One door: its path, and a body of which ``{query}``, ``{texts}`` are filled in.

    Attributes:
        error: members of the body of an error.
        options: members that may be null, by their place in the body ("" for the top).
        most: the place and name of the number of results.
        searches: whether it searches the collection ``docs``; else it scores or embeds texts.
    """

    path: str
    body: Any
    error: set[str]
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    most: tuple[str, str] | None = None
    objects: bool = False
    searches: bool = False
    second_stage: bool = False

    def filled(self, query: str = "copy a file", texts: list[Any] = TEXTS) -> Any:
        def fill(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: fill(each) for key, each in value.items()}
            candidates = [{"id": str(i), "text": each} for i, each in enumerate(texts)]
            filled = {"{query}": query, "{texts}": texts, "{candidates}": candidates}
            return filled.get(value, value) if isinstance(value, str) else value

        return fill(self.body)


def place(body: dict[str, Any], name: str) -> dict[str, Any]:
    return body.setdefault(name, {}) if name else body


FLAT = {"query": "{query}", "documents": "{texts}"}
FLAT_OPTIONS = {"": ("model", "top_n", "return_documents", "max_tokens_per_doc", "instruct", "rank_fields", "priority")}
NESTED = {"input": {"query": "{query}", "documents": "{texts}"}, "parameters": {}}
TEI_RERANK = {"query": "{query}", "texts": "{texts}"}
LIBRECHAT = {"query": "{query}", "docs": "{texts}"}
CASES: Mapping[str, Case] = {
    "cohere v2": Case("/v2/rerank", FLAT, RERANK, FLAT_OPTIONS, ("", "top_n"), objects=True, second_stage=True),
    "cohere v1, jina": Case("/v1/rerank", FLAT, RERANK, FLAT_OPTIONS, ("", "top_n"), objects=True, second_stage=True),
    "vllm": Case("/rerank", FLAT, RERANK, FLAT_OPTIONS, ("", "top_n"), objects=True, second_stage=True),
    "doubled": Case("/v2/v2/rerank", FLAT, RERANK, FLAT_OPTIONS, ("", "top_n"), objects=True, second_stage=True),
    "tei rerank": Case("/rerank", TEI_RERANK, TEI, {"": ("truncate", "raw_scores")}, second_stage=True),
    "librechat": Case("/rerank", LIBRECHAT, RERANK, {"": ("k",)}, ("", "k"), second_stage=True),
    "dashscope flat": Case(
        "/compatible-api/v1/reranks",
        FLAT,
        {"error", "id", "request_id"},
        {"": ("model", "top_n", "instruct")},
        ("", "top_n"),
        second_stage=True,
    ),
    "dashscope": Case(
        "/api/v1/services/rerank/text-rerank/text-rerank",
        NESTED,
        DASHSCOPE,
        {"": ("model",), "parameters": ("top_n", "return_documents", "instruct")},
        ("parameters", "top_n"),
        objects=True,
        second_stage=True,
    ),
    "openai embeddings": Case(
        "/v1/embeddings", {"input": "{texts}"}, OPENAI, {"": ("model", "encoding_format", "dimensions", "user")}
    ),
    "dashscope compatible embeddings": Case(
        "/compatible-mode/v1/embeddings", {"input": "{texts}"}, OPENAI, {"": ("model", "encoding_format", "dimensions")}
    ),
    "librechat's rag-api": Case(
        "/v1/rerank",
        {"query": "{query}", "candidates": "{candidates}"},
        RERANK,
        {"": ("profile", "top_n")},
        ("", "top_n"),
        second_stage=True,
    ),
    "dashscope flat, compatible mode": Case(
        "/compatible-mode/v1/reranks",
        FLAT,
        {"error", "id", "request_id"},
        {"": ("model", "top_n", "instruct")},
        ("", "top_n"),
        second_stage=True,
    ),
    "cohere embed v1": Case("/v1/embed", {"texts": "{texts}"}, RERANK, {"": ("model", "input_type", "truncate")}),
    "tei embed": Case("/embed", {"inputs": "{texts}"}, TEI, {"": ("normalize", "truncate")}),
    "hugging face": Case("/", {"inputs": "{texts}"}, TEI, {"": ("normalize", "truncate")}),
    "cohere embed": Case("/v2/embed", {"texts": "{texts}"}, RERANK, {"": ("model", "input_type", "output_dimension")}),
    "dashscope embed": Case(
        "/api/v1/services/embeddings/text-embedding/text-embedding",
        {"input": {"texts": "{texts}"}},
        DASHSCOPE,
        {"": ("model", "parameters")},
    ),
    "librechat's files": Case(
        "/query",
        {"file_id": "0", "query": "{query}"},
        LIBRECHAT_ERROR,
        {"": ("k", "entity_id")},
        ("", "k"),
        searches=True,
    ),
    "librechat's files, several": Case(
        "/query_multiple",
        {"file_ids": ["0", "1"], "query": "{query}"},
        LIBRECHAT_ERROR,
        {"": ("k",)},
        ("", "k"),
        searches=True,
    ),
    "dify": Case(
        "/retrieval",
        {"knowledge_id": "docs", "query": "{query}"},
        {"error_code", "error_msg"},
        {"": ("metadata_condition", "retrieval_setting")},
        ("retrieval_setting", "top_k"),
        searches=True,
    ),
    "open webui": Case(
        "/v1/collections/docs/web-search", {"query": "{query}"}, OPENAI, {"": ("count",)}, ("", "count"), searches=True
    ),
    "openai search": Case(
        f"{STORE}/search",
        {"query": "{query}"},
        OPENAI,
        {"": ("max_num_results", "filters", "ranking_options", "rewrite_query")},
        ("", "max_num_results"),
        searches=True,
    ),
}


@pytest.fixture
async def filled(service: Service) -> Service:
    documents = [{"id": f"{i}", "text": text, "url": "https://site.example"} for i, text in enumerate(TEXTS)]
    await service.fill("docs", documents)
    files = [each | {"metadata": {"file_id": each["id"]}} for each in documents]
    await service.fill("librechat", files, fields={"file_id": "keyword"})
    return service


@pytest.fixture(autouse=True)
def _no_traceback(caplog: pytest.LogCaptureFixture):
    yield
    assert not [record for record in caplog.records if record.exc_info or record.getMessage() == "unhandled"]


def is_foreign(answer: httpx2.Response) -> None:
    assert answer.headers["content-type"].partition(";")[0] == JSON, answer.text
    assert "about:blank" not in answer.text


def is_refused(case: Case, answer: httpx2.Response, *statuses: int, shape: set[str] | None = None) -> None:
    is_foreign(answer)
    assert answer.status_code in statuses, answer.text
    assert set(answer.json()) == (shape or case.error), answer.text


OF_OWN_TESTS = ("/v1/vector_stores", "/v1/files", "/1/")  # test_http_vector_stores, test_http_algolia
ROUTES = [route for door in all_doors() for route in door.routes]
FORMS = ("/v1/files", "/text", "/embed")  # test_http_vector_stores, test_http_librechat


def test_no_door_is_left_out():
    paths = {case.path.replace("/docs/", "/{name}/") for case in CASES.values()}
    for route in ROUTES:
        refused = route.endpoint is refuse_completions
        if "POST" in route.methods and not refused and not route.path.startswith((*OF_OWN_TESTS, *FORMS)):
            assert route.path in paths, f"CASES has no case for {route.path}"


def asked(route: Any, whose: str = "docs") -> tuple[str, str]:
    """Method and path of a request that is for a route."""
    (method,) = route.methods
    path = route.path.replace("{name}", whose).replace("{id:path}", "a").replace("{id}", "a").replace("{batch}", "a")
    return method, path.replace("{facet}", "lang")


def in_the_words_of(route: Any, answer: httpx2.Response) -> None:
    is_foreign(answer)
    assert set(answer.json()) == set(route.error_shape.model.model_fields), (route.path, answer.text)


async def test_every_route_of_a_door_refuses_a_wrong_key_in_its_own_words(filled):
    assert (await filled.client.post("/v1/keys", json={"scopes": ["search"]})).status_code == 201
    for route in ROUTES:
        if not route.scopes:
            continue  # it is open to all
        kind = {"Content-Type": "multipart/form-data; boundary=a"} if getattr(route, "is_variant", False) else {}
        for headers in (kind, kind | {"Authorization": "Bearer wnw_wrong"}):
            answer = await filled.client.request(*asked(route), headers=headers)
            assert answer.status_code in (401, 403), (route.path, answer.text)  # 403: Algolia's
            in_the_words_of(route, answer)


async def test_every_route_of_a_door_refuses_bodies_in_its_own_words(filled):
    kinds = ("application/x-www-form-urlencoded", "text/html", "application/json; charset=latin-1", JSON)
    bodies = (b"{", b"[]", b"7", b"null", b'"a"', b"\xff", b'{"a": "\\ud800"}')
    for route in ROUTES:
        if getattr(route, "is_variant", False) or not {"POST"} & route.methods or "search_queries" in route.name:
            continue
        for kind in kinds:
            for body in bodies:
                answer = await filled.client.request(*asked(route), content=body, headers={"Content-Type": kind})
                if answer.status_code >= 400:
                    in_the_words_of(route, answer)
                assert answer.status_code < 500, (route.path, kind, body, answer.text)


async def test_every_route_of_a_door_misses_a_collection_in_its_own_words(filled):
    for route in ROUTES:
        if "{name}" not in route.path or "{batch}" in route.path:
            continue
        body = {"query": "a", "file_id": "file-a", "file_ids": ["file-a"], "facetQuery": "a", "attributes": {}}
        method, path = asked(route, "nothing")
        answer = await filled.client.request(method, path, json=body if method == "POST" else None)
        assert answer.status_code == 404, (route.path, answer.text)
        in_the_words_of(route, answer)


async def test_a_request_as_it_should_be(filled):
    for case in CASES.values():
        answer = await filled.client.post(case.path, json=case.filled())
        is_foreign(answer)
        assert answer.status_code == 200, answer.text


async def test_empty_input(filled):
    for case in CASES.values():
        for query in ("", " "):
            if case.searches or case.second_stage:
                is_refused(case, await filled.client.post(case.path, json=case.filled(query=query)), 400, 422)
        if not case.searches:
            is_refused(case, await filled.client.post(case.path, json=case.filled(texts=[])), 400, 422)
        for body in ({}, [], "text", None, 7):
            answer = await filled.client.post(case.path, json=body)
            shared = RERANK if case.path == "/rerank" else case.error  # a body that names no protocol there is vLLM's
            is_refused(case, answer, 400, 422, shape=shared)
        answer = await filled.client.post(case.path)
        is_refused(case, answer, 400, 422, shape=RERANK if case.path == "/rerank" else case.error)


async def test_options_that_are_null(filled):
    for case in CASES.values():
        body = case.filled()
        for where, names in case.options.items():
            place(body, where).update(dict.fromkeys(names))
        answer = await filled.client.post(case.path, json=body | {"unknown_option": {"a": 1}})
        is_foreign(answer)
        assert answer.status_code == 200, answer.text


async def test_more_results_than_there_are(filled):
    for case in CASES.values():
        if case.most is None:
            continue  # it has no number of results
        body = case.filled()
        place(body, case.most[0])[case.most[1]] = 50
        answer = await filled.client.post(case.path, json=body)
        is_foreign(answer)
        assert answer.status_code == 200, answer.text


async def test_texts_as_objects(filled):
    for case in CASES.values():
        if case.searches:
            continue  # it takes no texts
        answer = await filled.client.post(case.path, json=case.filled(texts=[{"text": each} for each in TEXTS]))
        is_foreign(answer)
        assert answer.status_code == 200 if case.objects else answer.status_code in (200, 400, 422), answer.text


async def test_a_text_of_a_megabyte(filled):
    long = "copy a file " * 90_000
    for case in CASES.values():
        answer = await filled.client.post(
            case.path, json=case.filled(query=long) if case.searches else case.filled(texts=[long])
        )
        is_foreign(answer)
        assert answer.status_code in ((400, 422) if case.searches else (200,)), answer.text[:300]


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/html", "application/json; charset=latin-1"]
)
async def test_another_content_type(filled, kind):
    for case in CASES.values():
        content = json.dumps(case.filled()).encode()
        answer = await filled.client.post(case.path, content=content, headers={"Content-Type": kind})
        shape = RERANK if case.path == "/rerank" else case.error
        is_refused(case, answer, 400, 415, shape=shape)


@pytest.mark.parametrize("key", [None, "Bearer wnw_wrong", "wnw_wrong", "Basic eDp5"])
async def test_a_missing_and_a_wrong_key(filled, key):
    assert (await filled.client.post("/v1/keys", json={"scopes": ["search"]})).status_code == 201
    headers = {} if key is None else {"Authorization": key}
    for case in CASES.values():
        answer = await filled.client.post(case.path, json=case.filled(), headers=headers)
        shape = RERANK if case.path == "/rerank" else case.error
        is_refused(case, answer, 401, shape=shape)


async def test_a_key_is_taken_with_and_without_its_word(filled):
    key = (await filled.client.post("/v1/keys", json={"scopes": ["search"]})).json()["key"]
    for case in CASES.values():
        for sent in (key, f"Bearer {key}"):
            answer = await filled.client.post(case.path, json=case.filled(), headers={"Authorization": sent})
            assert answer.status_code == 200, answer.text


async def test_an_unknown_collection(filled):
    for case in CASES.values():
        if "/docs/" not in case.path and "docs" not in case.body.values():
            continue  # it names no collection
        body = json.loads(json.dumps(case.filled()).replace('"docs"', '"nothing"'))
        is_refused(case, await filled.client.post(case.path.replace("docs", "nothing"), json=body), 404)


async def test_a_second_stage_that_is_down(filled, monkeypatch):
    async def down(*_: Any, **__: Any) -> None:
        raise UpstreamUnavailable("the reranker is away")

    monkeypatch.setattr(filled.resources.reranker, "rerank", down)
    for case in CASES.values():
        answer = await filled.client.post(case.path, json=case.filled())
        if case.second_stage:
            is_refused(case, answer, 503)
            assert int(answer.headers["retry-after"]) > 0
        else:
            is_foreign(answer)
            assert answer.status_code == 200, answer.text


async def test_another_method(filled):
    for case in CASES.values():
        if case.path == "/":
            continue  # GET is the search page
        answer = await filled.client.put(case.path, json=case.filled())
        is_refused(case, answer, 405, shape=RERANK if case.path == "/rerank" else case.error)


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("/v1/vector_stores/docs/nothing", {"error"}),
        ("/v1/vector_stores/docs/files/a/b/c", {"error"}),
        ("/v1/v1/embeddings/nothing", {"error"}),
        ("/v1/embeddings/nothing", {"error"}),
        ("/v1/rerank/nothing", RERANK),
        ("/v2/nothing", RERANK),
        ("/compatible-mode/v1/nothing", {"error", "id", "request_id"}),
        ("/api/v1/services/nothing", {"code", "message", "request_id"}),
        ("/embed/nothing", {"error", "error_type"}),
        ("/1/nothing", {"message", "status"}),
        ("/mcp/nothing", JSON_RPC),
        ("/retrieval/nothing", {"error_code", "error_msg"}),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
async def test_paths_that_begin_like_those_of_a_protocol(filled, path: str, members: set[str], method: str):
    answer = await filled.client.request(method, path, json={} if method != "GET" else None)
    is_foreign(answer)
    assert answer.status_code in (404, 405)  # some paths take any id
    assert set(answer.json()) == members


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/collections/docs/nothing", "/nothing", "/static/nothing"])
async def test_other_unknown_paths_have_the_native_shape(filled, path: str):
    answer = await filled.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/vector_stores",
        "/v1/vector_stores/docs",
        "/v1/vector_stores/docs/search",
        "/v1/files",
        "/v1/files/a/content",
    ],
)
async def test_a_method_that_vector_stores_do_not_have(filled, path: str):
    answer = await filled.client.put(path, json={})
    is_foreign(answer)
    assert (answer.status_code, set(answer.json())) == (405, {"error"})


async def rpc(service: Service, tool: str, arguments: dict[str, Any], **options: Any) -> httpx2.Response:
    """A call of a tool over the Model Context Protocol, without a session."""
    params = {"name": tool, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": JSON} | options.pop("headers", {})
    return await service.client.post("/mcp", content=json.dumps(body).encode(), headers=headers)


@pytest.fixture
async def tools(filled: Service):
    """The service with the Model Context Protocol running, as its lifespan runs it."""
    async with filled.app.router.lifespan_context(filled.app):
        yield filled


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"query": ""}, "query is empty"),
        ({"query": "copy", "collection": "nothing"}, "no collection 'nothing'"),
        ({"query": "copy", "top_n": 1000}, "top_n"),
        ({"query": "copy", "filter": {"type": "eq", "key": "x", "value": 1}}, "not a declared field"),
        ({"query": "copy a file " * 90_000}, "query"),
        ({}, "query"),
    ],
)
async def test_what_a_tool_cannot_do_is_told_to_the_model(tools, arguments, part):
    answer = await rpc(tools, "search", arguments)
    is_foreign(answer)
    result = answer.json()["result"]
    assert result["isError"], result
    assert part in result["content"][0]["text"]


async def test_a_tool_takes_null_options_and_works_without_the_second_stage(tools, monkeypatch):
    nulls = {"query": "copy a file", "collection": None, "top_n": None, "filter": None}
    result = (await rpc(tools, "search", nulls)).json()["result"]
    assert not result["isError"]
    assert (len(result["structuredContent"]["results"]), result["structuredContent"]["degraded"]) == (6, False)

    async def down(*_: Any, **__: Any) -> None:
        raise UpstreamUnavailable("the reranker is away")

    monkeypatch.setattr(tools.resources.reranker, "rerank", down)
    result = (await rpc(tools, "search", nulls)).json()["result"]
    assert (len(result["structuredContent"]["results"]), result["structuredContent"]["degraded"]) == (6, True)


async def test_requests_that_are_not_of_the_model_context_protocol(tools):
    form = await rpc(tools, "search", {"query": "a"}, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert form.status_code in (400, 415)  # in the words of the SDK
    assert "about:blank" not in form.text
    assert (await tools.client.post("/v1/keys", json={"scopes": ["search"]})).status_code == 201
    for headers in ({}, {"Authorization": "Bearer wnw_wrong"}):
        refused = await rpc(tools, "search", {"query": "a"}, headers=headers)
        is_foreign(refused)
        assert refused.status_code == 401
        assert set(refused.json()) == JSON_RPC
        assert refused.headers["www-authenticate"] == "Bearer"
