"""BERT's encoder as an OpenVINO graph, from word embeddings to the vectors of texts and tokens.

The architecture is that of Devlin et al. 2019 (https://arxiv.org/abs/1810.04805): post-norm layers, exact GELU. Pooling
is part of the graph, so that one call, outside Python's lock, does everything and hands back no hidden states. The
table of word embeddings is not: half of the weights, of which each compiled graph would have a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset15 as op

from winnow.models.bundled.weights import Weights

_EPSILON: Final = 1e-12
_HIDDEN: Final = -1e9  # an attention score that no token gets: finite, so that reduced precision makes no NaN of it
_INT8: Final = 127


def build_graph(weights: Weights, *, layers: int, heads: int, merge: int, int8: bool) -> ov.Model:
    """The encoder with its pooling.

    Inputs: ``words``, shape (batch, length, dimensions), float32, the word embeddings of the tokens, padded with
    anything; ``lengths``, shape (batch,), int32, the two special tokens included. ``length`` is even where ``merge`` is
    2.

    Outputs: ``texts``, shape (batch, dimensions), the mean over a text's tokens at length 1. ``tokens``, at length 1:
    for ``merge`` 1, shape (batch, length, dimensions), every token's vector; for 2, shape (batch, length / 2 - 1,
    dimensions), the mean of each two neighbours behind the first special token (an odd last one keeps its vector; rows
    past a text's end are zero).

    Args:
        weights: by the names of a BERT checkpoint, float32.
        layers: of the encoder.
        heads: of each attention.
        merge: how many neighbouring tokens share a vector.
        int8: keep the linear layers' weights as int8, one scale an output, for products of int8.
    """
    return _Builder(weights, heads, int8=int8).model(layers, merge)


class _Builder:
    """Puts the graph together from named weights."""

    def __init__(self, weights: Weights, heads: int, *, int8: bool) -> None:
        self._weights = weights
        self._int8 = int8
        self._dimensions = weights["embeddings.LayerNorm.bias"].shape[0]
        self._by_head = _constant([0, 0, heads, self._dimensions // heads])
        self._swap = _constant([0, 2, 1, 3])
        self._joined = _constant([0, 0, self._dimensions])

    def model(self, layers: int, merge: int) -> ov.Model:
        words = op.parameter([-1, -1, self._dimensions], np.float32, name="words")
        lengths = op.parameter([-1], np.int32, name="lengths")
        length = op.gather(op.shape_of(words, "i32"), _constant([1]), _constant(0))
        places = op.range(_int32(0), op.squeeze(length, _constant([0])), _int32(1), "i32")
        ends = op.unsqueeze(lengths, _constant(1))
        real = op.less(places, ends)

        hidden = self._embeddings(words, length)
        masked = op.select(real, _float32(0), _float32(_HIDDEN))
        bias = op.unsqueeze(masked, _constant([1, 2]))
        for i in range(layers):
            hidden = self._layer(hidden, bias, f"encoder.layer.{i}")

        weight = op.unsqueeze(op.convert(real, "f32"), _constant(2))
        texts = _unit(op.reduce_sum(op.multiply(hidden, weight), _constant([1])), axis=1)
        own = op.less(places, op.subtract(ends, _int32(1)))
        tokens = _unit(hidden, axis=2) if merge == 1 else self._pairs(hidden, own)
        return ov.Model([texts, op.convert(tokens, "f16")], [words, lengths], "bert")

    def _embeddings(self, words: ov.Node, length: ov.Node) -> ov.Node:
        segment = self._weights["embeddings.token_type_embeddings.weight"][0]  # all texts are of the first segment
        table = _float32(self._weights["embeddings.position_embeddings.weight"] + segment)
        positions = op.slice(table, _int32([0]), length, _int32([1]), _int32([0]))
        return self._norm(op.add(words, op.unsqueeze(positions, _constant(0))), "embeddings.LayerNorm")

    def _layer(self, x: ov.Node, bias: ov.Node, path: str) -> ov.Node:
        query, key, value = (
            self._split(self._linear(x, f"{path}.attention.self.{name}")) for name in ("query", "key", "value")
        )
        mixed = op.scaled_dot_product_attention(query, key, value, bias)
        attended = op.reshape(op.transpose(mixed, self._swap), self._joined, special_zero=True)
        x = self._norm(
            op.add(self._linear(attended, f"{path}.attention.output.dense"), x), f"{path}.attention.output.LayerNorm"
        )
        up = op.gelu(self._linear(x, f"{path}.intermediate.dense"), "erf")
        return self._norm(op.add(self._linear(up, f"{path}.output.dense"), x), f"{path}.output.LayerNorm")

    def _split(self, x: ov.Node) -> ov.Node:
        """(batch, length, dimensions) to (batch, heads, length, dimensions of a head)."""
        return op.transpose(op.reshape(x, self._by_head, special_zero=True), self._swap)

    def _linear(self, x: ov.Node, name: str) -> ov.Node:
        weight = self._weights[f"{name}.weight"]
        if self._int8:
            scale = np.abs(weight).max(axis=1, keepdims=True) / _INT8
            whole = np.round(weight / scale).astype(np.int8)
            kept = op.multiply(op.convert(op.constant(whole), "f32"), _float32(scale))
        else:
            kept = _float32(weight)
        return op.add(op.matmul(x, kept, transpose_a=False, transpose_b=True), self._row(f"{name}.bias"))

    def _norm(self, x: ov.Node, name: str) -> ov.Node:
        normal = op.mvn(x, _constant([2]), True, _EPSILON, "INSIDE_SQRT")
        return op.add(op.multiply(normal, self._row(f"{name}.weight")), self._row(f"{name}.bias"))

    def _row(self, name: str) -> ov.Node:
        return _float32(self._weights[name].reshape(1, 1, -1))

    def _pairs(self, hidden: ov.Node, own: ov.Node) -> ov.Node:
        """Means of neighbours at length 1, shape (batch, length / 2 - 1, dimensions)."""
        vectors = op.multiply(_unit(hidden, axis=2), op.unsqueeze(op.convert(own, "f32"), _constant(2)))
        inner = op.slice(vectors, _int32([1]), _int32([-1]), _int32([1]), _int32([1]))
        pairs = op.reshape(inner, _constant([0, -1, 2, self._dimensions]), special_zero=True)
        return _unit(op.reduce_sum(pairs, _constant([2])), axis=2)


def _unit(x: ov.Node, *, axis: int) -> ov.Node:
    return op.normalize_l2(x, _constant([axis]), _EPSILON, "max")


def _constant(value: int | Sequence[int]) -> ov.Node:
    return op.constant(np.array(value, np.int64))


def _int32(value: int | Sequence[int]) -> ov.Node:
    return op.constant(np.array(value, np.int32))


def _float32(value: float | npt.NDArray[Any]) -> ov.Node:
    return op.constant(np.asarray(value, np.float32))
