"""Servers that answer 200 and are deployed wrongly: the check-up says what is wrong and what to do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.real_vllm.clients import embedder, environment, reranker
from tests.real_vllm.fleet import ROOT, Server
from winnow.operations.probes import ProbeReport, probe_embedder, probe_reranker

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]


def wrong(report: ProbeReport) -> str:
    """What does not depend on the weights, which are random here; empty where nothing is wrong."""
    return "; ".join(f"{each.seen}: {each.fix}" for each in report.failed if each.kind == "structure")


def says(message: str, *words: str) -> None:
    """Every word stands in the message; a word may be a pattern."""
    missing = [word for word in words if not re.search(word, message, re.IGNORECASE)]
    assert not missing, f"{missing} not in: {message}"


async def test_nothing_is_wrong_with_the_shipped_deployments(
    embedding_server: Server, rerank_server: Server, native: int
) -> None:
    async with embedder(embedding_server, dimensions=native) as each:
        assert wrong(await probe_embedder(each)) == ""
    async with embedder(embedding_server, dimensions=native // 2) as shorter:
        assert wrong(await probe_embedder(shorter)) == ""
    async with reranker(rerank_server) as scorer:
        assert wrong(await probe_reranker(scorer)) == ""


async def test_nothing_is_wrong_with_a_server_without_template_if_winnow_writes_the_prompts(
    bare_rerank_server: Server,
) -> None:
    async with reranker(bare_rerank_server, template="client") as adapter:
        assert wrong(await probe_reranker(adapter)) == ""


async def test_the_template_of_vllms_examples(example_rerank_server: Server) -> None:
    async with reranker(example_rerank_server) as adapter:
        says(wrong(await probe_reranker(adapter)), "deploy/vllm/qwen3_reranker.jinja")


async def test_no_template_at_all(bare_rerank_server: Server) -> None:
    async with reranker(bare_rerank_server) as adapter:
        says(
            wrong(await probe_reranker(adapter)), "deploy/vllm/qwen3_reranker.jinja|WINNOW_RERANK__TEMPLATE", "template"
        )


def test_the_doctor_says_it_to_who_asks(
    embedding_server: Server, bare_rerank_server: Server, tmp_path: Path, native: int
) -> None:
    command = [sys.executable, "-m", "winnow.cli.main", "doctor", "--data-dir", str(tmp_path / "data"), "--json"]
    env = environment(embedding_server, bare_rerank_server, dimensions=native)
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    checks = json.loads(done.stdout)["checks"]
    (prompt,) = [check for check in checks if check["name"] == "reranker: prompt"]
    assert prompt["status"] == "failed"
    says(prompt["detail"], "no chat template")
    says(prompt["fix"], "deploy/vllm/qwen3_reranker.jinja", "WINNOW_RERANK__TEMPLATE=client")


async def test_two_templates_at_once(rerank_server: Server) -> None:
    async with reranker(rerank_server, template="client") as adapter:
        says(wrong(await probe_reranker(adapter)), "WINNOW_RERANK__TEMPLATE")


async def test_an_embedder_behind_the_rerankers_address(embedding_server: Server) -> None:
    async with reranker(embedding_server) as adapter:
        says(wrong(await probe_reranker(adapter)), "WINNOW_RERANK__URL|reranker", "embed")


async def test_a_reranker_behind_the_embedders_address(rerank_server: Server, native: int) -> None:
    async with embedder(rerank_server, dimensions=native) as adapter:
        says(wrong(await probe_embedder(adapter)), "WINNOW_EMBEDDING__URL|embed", "404")


async def test_shorter_vectors_of_a_server_that_was_not_told_of_them(
    plain_embedding_server: Server, native: int
) -> None:
    async with embedder(plain_embedding_server, dimensions=native // 2) as adapter:
        says(wrong(await probe_embedder(adapter)), "is_matryoshka", "WINNOW_EMBEDDING__DIMENSIONS")
    async with embedder(plain_embedding_server, dimensions=native) as adapter:
        assert wrong(await probe_embedder(adapter)) == "", "the model's own size needs no asking"


async def test_another_key(embedding_server: Server, rerank_server: Server, native: int) -> None:
    async with embedder(embedding_server, dimensions=native, api_key="stolen") as adapter:
        message = wrong(await probe_embedder(adapter))
        says(message, "WINNOW_EMBEDDING__API_KEY")
        assert "stolen" not in message
    async with reranker(rerank_server, api_key="stolen") as scorer:
        message = wrong(await probe_reranker(scorer))
        says(message, "WINNOW_RERANK__API_KEY")
        assert "stolen" not in message


async def test_another_models_name(embedding_server: Server, rerank_server: Server, native: int) -> None:
    async with embedder(embedding_server, dimensions=native, model="Qwen/Qwen3-Embedding-8B") as adapter:
        says(wrong(await probe_embedder(adapter)), "WINNOW_EMBEDDING__MODEL", "Qwen3-Embedding-8B")
    async with reranker(rerank_server, model="Qwen/Qwen3-Reranker-8B") as scorer:
        says(wrong(await probe_reranker(scorer)), "WINNOW_RERANK__MODEL", "Qwen3-Reranker-8B")


async def test_a_size_that_the_model_does_not_have(embedding_server: Server, native: int) -> None:
    async with embedder(embedding_server, dimensions=native * 2) as adapter:
        says(wrong(await probe_embedder(adapter)), "WINNOW_EMBEDDING__DIMENSIONS")


async def test_longer_texts_than_the_server_takes(embedding_server: Server, native: int) -> None:
    async with embedder(embedding_server, dimensions=native, max_tokens=32_768) as adapter:
        says(wrong(await probe_embedder(adapter)), "WINNOW_EMBEDDING__MAX_TOKENS", "--max-model-len")


async def test_nobody_at_the_address(
    embedding_server: Server, rerank_server: Server, tmp_path: Path, native: int
) -> None:
    async with embedder(_nowhere(embedding_server, tmp_path), dimensions=native) as adapter:
        report = await probe_embedder(adapter)
        assert not report.reachable
        says(wrong(report), "WINNOW_EMBEDDING__URL")
    async with reranker(_nowhere(rerank_server, tmp_path)) as scorer:
        report = await probe_reranker(scorer)
        assert not report.reachable
        says(wrong(report), "WINNOW_RERANK__URL")


def _nowhere(server: Server, folder: Path) -> Server:
    """The same deployment where nobody listens: port 1 of the loopback."""
    gone = Server(replace(server.deployment), folder)
    gone.port = 1
    return gone
