"""The package ``winnow-client``: what it sends, how it reads answers and errors, and when it tries again."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import winnow_client
from winnow_client import AsyncClient, Client, Retries
from winnow_client.errors import seconds_of

PACKAGE = Path(winnow_client.__file__).parent
PROBLEM = {"detail": "collection 'x' does not exist", "code": "collection_not_found", "request_id": "r1", "status": 404}
ANSWER = {
    "id": "srch_1", "collection": "c", "query": "q", "score_kind": "relevance", "degraded": False, "stages": {},
    "took_ms": 1.5, "tokens": 7, "tokenizer": "words", "left_out": 0, "novel": True,
    "results": [{
        "rank": 1, "document_id": "d", "title": "T", "url": "https://x.example/#a", "text": "some text", "metadata": {},
        "chunk": {"index": 0, "start": 5, "end": 9, "headings": ["A"], "anchor": "a", "prefix": "", "page": 3},
        "highlights": [{"start": 0, "end": 4}], "exact": None, "relevance_score": 0.9, "retrieval_score": 0.5,
        "stages": {}, "expanded": {"start": 0, "end": 9, "prefix": "", "merged": []}, "tokens": 7,
        "duplicates": [{"document_id": "e", "url": ""}],
    }],
}  # fmt: skip

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, **options: Any) -> Client:
    return Client("http://winnow.example/v1/", "wnw_1", transport=httpx.MockTransport(handler), **options)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("winnow_client.client.time.sleep", slept.append)
    return slept


def test_a_search_is_sent_and_read() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=ANSWER)

    with client(answer) as winnow:
        found = winnow.search("a/b", "words", top_n=3, expand=1, filter=None)
    assert seen[0].url.raw_path == b"/v1/collections/a%2Fb/search"
    assert seen[0].headers["authorization"] == "Bearer wnw_1"
    assert json.loads(seen[0].content) == {"query": "words", "top_n": 3, "expand": 1}
    (result,) = found.results
    assert (found.tokens, found.raw["novel"]) == (7, True)
    assert (result.chunk.page, result.chunk.start, result.span.start, result.highlights[0].end) == (3, 5, 0, 4)
    assert result.duplicates[0].document_id == "e"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, winnow_client.Unauthorized),
        (403, winnow_client.Forbidden),
        (404, winnow_client.NotFound),
        (409, winnow_client.Conflict),
        (413, winnow_client.InvalidRequest),
        (422, winnow_client.InvalidRequest),
        (429, winnow_client.RateLimited),
        (500, winnow_client.Unavailable),
        (503, winnow_client.Unavailable),
    ],
)
def test_errors_are_exceptions_with_a_code(status: int, kind: type[Exception], pauses: list[float]) -> None:
    places = [{"loc": ["query"], "message": "first"}, {"loc": ["filter", 0], "message": "second"}]
    body = PROBLEM | {"status": status, "errors": places}
    with (
        client(lambda _: httpx.Response(status, json=body, headers={"Retry-After": "7"})) as winnow,
        pytest.raises(winnow_client.WinnowApiError) as caught,
    ):
        winnow.get_collection("x")
    error = caught.value
    assert type(error) is kind
    assert (error.code, error.status, error.request_id, error.retry_after) == ("collection_not_found", status, "r1", 7)
    assert str(error) == "collection 'x' does not exist; filter.0: second [collection_not_found]"
    assert pauses == ([7, 7] if status in (429, 503) else [])


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"[]", b'{"message": "no"}'])
def test_another_server_in_its_place_is_named(body: bytes, pauses: list[float]) -> None:
    with (
        client(lambda _: httpx.Response(502, content=body)) as winnow,
        pytest.raises(winnow_client.Unavailable, match="not as Winnow does") as caught,
    ):
        winnow.collections()
    assert (caught.value.code, len(pauses)) == ("unexpected", 2)
    with (
        client(lambda _: httpx.Response(200, content=body)) as winnow,
        pytest.raises(winnow_client.WinnowApiError, match="not as Winnow does"),
    ):
        winnow.collections()


def test_a_busy_service_is_asked_again_when_it_says(pauses: list[float]) -> None:
    answers = [httpx.Response(429, json=PROBLEM, headers={"Retry-After": "2"}), httpx.Response(503, json=PROBLEM)]
    with client(lambda _: answers.pop(0) if answers else httpx.Response(200, json=ANSWER)) as winnow:
        assert winnow.search("c", "q").id == "srch_1"
    assert pauses[0] == 2
    assert 0.5 <= pauses[1] <= 1.0
    with (
        client(lambda _: httpx.Response(429, json=PROBLEM, headers={"Retry-After": "3600"})) as winnow,
        pytest.raises(winnow_client.RateLimited),
    ):
        winnow.search("c", "q")
    assert len(pauses) == 2, "an hour is not waited for"
    with (
        client(lambda _: httpx.Response(429, json=PROBLEM), retries=0) as winnow,
        pytest.raises(winnow_client.RateLimited),
    ):
        winnow.search("c", "q")
    assert len(pauses) == 2


def test_a_key_is_not_made_twice(pauses: list[float]) -> None:
    asked: list[str] = []

    def broken(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        raise httpx.ReadError("gone", request=request)

    gone = r"no answer from http://winnow\.example"
    with client(broken) as winnow:
        for call in (lambda: winnow.create_key(label="x"), lambda: winnow.get_document("c", "d")):
            with pytest.raises(winnow_client.ConnectionFailed, match=gone):
                call()
    assert asked.count("/v1/keys") == 1
    assert asked.count("/v1/collections/c/documents/d") == 3


def test_pages_are_read_one_after_the_other() -> None:
    def page(request: httpx.Request) -> httpx.Response:
        after = request.url.params["after"]
        row = {"id": after + "x", "state": "indexed", "revision": 1, "content_hash": "", "source": ""}
        return httpx.Response(200, json={"documents": [row], "next": after + "x" if len(after) < 2 else None})

    with client(page) as winnow:
        assert [each.id for each in winnow.documents("c")] == ["x", "xx", "xxx"]


async def test_the_client_that_is_awaited_has_the_same_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    def calls(kind: type) -> dict[str, list[str]]:
        members = inspect.getmembers(kind, inspect.isfunction)
        return {
            name.replace("aclose", "close"): list(inspect.signature(member).parameters)
            for name, member in members
            if not name.startswith("_")
        }

    assert calls(AsyncClient) == calls(Client)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("winnow_client.async_client.asyncio.sleep", sleep)
    answers = [httpx.Response(503, json=PROBLEM, headers={"Retry-After": "1"})]
    transport = httpx.MockTransport(lambda _: answers.pop() if answers else httpx.Response(200, json=ANSWER))
    async with AsyncClient(api_key="", transport=transport, retries=Retries(most=1)) as winnow:
        assert (await winnow.search("c", "q")).results[0].rank == 1
    assert slept == [1]


def test_the_time_to_wait_is_a_number_or_a_date() -> None:
    later = datetime.now(UTC) + timedelta(seconds=90)
    assert 80 < (seconds_of(format_datetime(later)) or 0) <= 90
    assert [seconds_of(each) for each in (None, "", "soon", "nan", "-3", "1.5")] == [None, None, None, None, 0, 1.5]


def test_nothing_of_the_server_is_imported() -> None:
    for file in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & {"winnow", "service", "indexer"}, file.name


def test_it_builds_as_a_wheel_and_an_archive(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,), (archive,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"winnow_client/py.typed", "winnow_client/langchain.py", "winnow_client/llama_index.py"} <= set(names)
    assert {each.partition("/")[0].partition("-")[0] for each in names} == {"winnow_client"}
    with tarfile.open(archive) as packed:
        assert any(each.endswith("/README.md") for each in packed.getnames())
