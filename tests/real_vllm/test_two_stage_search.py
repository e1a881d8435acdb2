"""`winnow serve` over two vLLM servers: both stages over HTTP, and a reranker that dies in the middle of a search."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real_vllm.clients import environment
from tests.real_vllm.fleet import ROOT, Server
from tests.real_vllm.texts import CHINESE, ENGLISH

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]

SEARCH = {"query": "What is the capital of France?", "top_n": 5, "budget_ms": 60_000}
ESTABLISHED = "01"


class Winnow:
    """A real `winnow serve` on a free port, with Qdrant Edge and SQLite."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        command = [sys.executable, "-m", "winnow.cli.main", "serve", "--port", "0", "--data-dir", str(folder / "data")]
        self._errors = (folder / "winnow.log").open("wb")
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        assert self._process.stdout is not None
        says = (line for line in self._process.stdout if "Winnow serves" in line)
        line = next(says, None)
        assert line, (folder / "winnow.log").read_text("utf-8")
        self._url = next(word for word in line.split() if word.startswith("http"))

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=60)
        self._errors.close()


@pytest.fixture
def winnow(embedding_server: Server, rerank_server: Server, tmp_path: Path, native: int) -> Iterator[Winnow]:
    """The service, with every text of the suite indexed."""
    running = Winnow(tmp_path, environment(embedding_server, rerank_server, dimensions=native))
    try:
        documents = [{"id": f"doc-{number}", "text": text} for number, text in enumerate([*ENGLISH, *CHINESE])]
        assert running.call("PUT", "/v1/collections/docs", {})[0] == 201
        status, answer = running.call("POST", "/v1/collections/docs/documents?wait=true", {"documents": documents})
        assert (status, answer["accepted"]) == (200, len(documents))
        yield running
    finally:
        running.stop()


def search(winnow: Winnow, **changes: Any) -> dict[str, Any]:
    status, answer = winnow.call("POST", "/v1/collections/docs/search", SEARCH | changes)
    assert status == 200, answer
    return dict(answer)


def test_both_stages_answer_and_name_their_models(
    winnow: Winnow, embedding_server: Server, rerank_server: Server
) -> None:
    answer = search(winnow)
    stages = answer["stages"]
    assert {name: stage["status"] for name, stage in stages.items()} == {
        "embed": "ok",
        "retrieve": "ok",
        "rerank": "ok",
    }
    assert (stages["embed"]["model"], stages["rerank"]["model"]) == (embedding_server.model, rerank_server.model)
    assert stages["rerank"]["provider"] == "vllm"
    assert stages["rerank"]["tokens"] > 0
    assert (answer["score_kind"], answer["degraded"]) == ("relevance", False)
    scores = [result["relevance_score"] for result in answer["results"]]
    assert len(scores) == SEARCH["top_n"]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_a_reranker_that_dies_in_mid_search_leaves_a_declared_first_stage_answer(
    winnow: Winnow, rerank_server: Server
) -> None:
    usual = search(winnow, rerank=False)
    answers: list[dict[str, Any]] = []
    asking = threading.Thread(target=lambda: answers.append(search(winnow)))
    rerank_server.signal(signal.SIGSTOP)
    asking.start()
    eventually(lambda: has_unread_request(rerank_server.port))
    rerank_server.kill()
    asking.join()
    (answer,) = answers
    assert (answer["score_kind"], answer["degraded"]) == ("retrieval", True)
    assert answer["stages"]["rerank"]["status"] == "failed"
    assert answer["stages"]["rerank"]["reason"]
    assert answer["stages"]["retrieve"]["status"] == "ok"
    assert [result["document_id"] for result in answer["results"]] == [
        result["document_id"] for result in usual["results"]
    ]
    assert all(result["relevance_score"] is None for result in answer["results"])

    again = search(winnow)
    assert (again["score_kind"], again["degraded"]) == ("retrieval", True)
    status, problem = winnow.call(
        "POST", "/v1/collections/docs/search", SEARCH | {"rerank": {"on_failure": "fail"}, "min_relevance": 0.1}
    )
    assert (status, problem["code"]) == (503, "upstream_unavailable")


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Poll until it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not reached within {seconds:.0f} s"
        time.sleep(0.02)


def has_unread_request(port: int) -> bool:
    """Whether bytes wait in a connection to a stopped process: what it was sent and cannot have answered."""
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues, *_ = row.split()
        if int(local.partition(":")[2], 16) == port and state == ESTABLISHED and int(queues.partition(":")[2], 16):
            return True
    return False
