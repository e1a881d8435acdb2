"""The servers of the suite: started together, once a session, and only those that the chosen tests ask for."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.real_vllm.fleet import DEPLOY, PYTHON, Deployment, Server

KEY = "a-key-for-tests"


@dataclass(frozen=True)
class Models:
    """Folders of tiny models: random weights, the real vocabulary."""

    embedder: Path
    reranker: Path

    @property
    def dimensions(self) -> int:
        """Size of the embedder's own vectors."""
        return int(json.loads((self.embedder / "config.json").read_text("utf-8"))["hidden_size"])


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    from tests.qwen3.tiny import make_embedder, make_reranker

    folder = tmp_path_factory.mktemp("models")
    make_embedder(folder / "embedder")
    make_reranker(folder / "reranker")
    return Models(folder / "embedder", folder / "reranker")


@pytest.fixture(scope="session")
def native(models: Models) -> int:
    """Dimensions of the embedder's own vectors."""
    return models.dimensions


@pytest.fixture(scope="session")
def fleet(
    request: pytest.FixtureRequest, models: Models, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Server]]:
    """The servers by the names of their fixtures."""
    if not PYTHON.exists():
        assert "VLLM_VENV" not in os.environ, f"{PYTHON} does not exist"
        pytest.skip("needs vLLM in .vllm-venv: make test-vllm")
    folder = tmp_path_factory.mktemp("vllm")
    (folder / "vllm_example.jinja").write_text(_example_of_vllm())
    deployments = {
        "embedding_server": Deployment("embedder", models.embedder, api_key=KEY),
        "rerank_server": Deployment("reranker", models.reranker, api_key=KEY),
        "bare_rerank_server": Deployment("reranker", models.reranker, {"chat-template": None}),
        "example_rerank_server": Deployment(
            "reranker", models.reranker, {"chat-template": str(folder / "vllm_example.jinja")}
        ),
        "plain_embedding_server": Deployment("embedder", models.embedder, {"hf-overrides": None}),
        "fcfs_embedding_server": Deployment("embedder", models.embedder, {"scheduling-policy": None}),
    }
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    servers = {name: Server(each, folder / name) for name, each in deployments.items() if name in wanted}
    try:
        for server in servers.values():
            server.start()
        for server in servers.values():
            server.wait_until_ready()
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def _example_of_vllm() -> str:
    """The template in vLLM's examples: it ends in two line ends as text, of which Jinja drops the last."""
    ours = (DEPLOY / "qwen3_reranker.jinja").read_text("utf-8")
    shared, ending, _ = ours.partition('{{ "\\n\\n" -}}')
    assert ending, "the shipped template ends otherwise"
    return f"{shared}\n\n"


def _running(fleet: dict[str, Server], name: str) -> Server:
    """A server of the fleet, started again where a test has killed it."""
    server = fleet[name]
    if not server.running:
        server.start()
        server.wait_until_ready()
    return server


@pytest.fixture
def embedding_server(fleet: dict[str, Server]) -> Server:
    """As shipped, with a key."""
    return _running(fleet, "embedding_server")


@pytest.fixture
def rerank_server(fleet: dict[str, Server]) -> Server:
    """As shipped, with a key."""
    return _running(fleet, "rerank_server")


@pytest.fixture
def bare_rerank_server(fleet: dict[str, Server]) -> Server:
    """A reranker without a chat template."""
    return _running(fleet, "bare_rerank_server")


@pytest.fixture
def example_rerank_server(fleet: dict[str, Server]) -> Server:
    """A reranker with the chat template of vLLM's examples."""
    return _running(fleet, "example_rerank_server")


@pytest.fixture
def plain_embedding_server(fleet: dict[str, Server]) -> Server:
    """An embedder that was not told that its vectors may be shortened."""
    return _running(fleet, "plain_embedding_server")


@pytest.fixture
def fcfs_embedding_server(fleet: dict[str, Server]) -> Server:
    """An embedder that serves calls in the order in which they come."""
    return _running(fleet, "fcfs_embedding_server")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """A failed test shows the ends of its servers' logs."""
    report = yield
    if report.failed:
        servers = {k: v for k, v in getattr(item, "funcargs", {}).items() if isinstance(v, Server)}
        report.sections += [(f"log of {name}", server.tail()) for name, server in servers.items()]
    return report
