"""BERT's encoder as an OpenVINO graph, from word embeddings to the vectors of texts and tokens.

The architecture is that of Devlin et al. 2019 (https://arxiv.org/abs/1810.04805): post-norm layers, exact GELU. Pooling
is part of the graph, so that one call, outside Python's lock, does everything and hands back no hidden states. The
table of word embeddings is not: half of the weights, of which each compiled graph would have a copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset15 as op

from winnow.models.bundled.quantization import LEVELS, ActivationRange, quantize
from winnow.models.bundled.weights import Weights

LinearInputs = dict[str, ov.Node]  # what goes into linear layers, by their path in the checkpoint

_EPSILON: Final = 1e-12
_HIDDEN: Final = -1e9  # an attention score that no token gets: finite, so that reduced precision makes no NaN of it


def build_graph(
    weights: Weights,
    *,
    layers: int,
    heads: int,
    merge: int,
    ranges: Mapping[str, ActivationRange] | None,
    inputs: LinearInputs | None = None,
) -> ov.Model:
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
        ranges: what goes into each linear layer, for products of int8; None: no product is of int8.
        inputs: is filled with the nodes that go into linear layers, for measuring their ranges.
    """
    return _Builder(weights, heads, ranges, {} if inputs is None else inputs).model(layers, merge)


class _Builder:
    """Puts the graph together from named weights."""

    def __init__(
        self, weights: Weights, heads: int, ranges: Mapping[str, ActivationRange] | None, inputs: LinearInputs
    ) -> None:
        self._weights = weights
        self._ranges = ranges
        self._inputs = inputs
        self._quantized: dict[str, ov.Node] = {}
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
        up = op.gelu(self._linear(x, f"{path}.intermediate.dense", self._windows(f"{path}.output.dense")), "erf")
        return self._norm(op.add(self._linear(up, f"{path}.output.dense"), x), f"{path}.output.LayerNorm")

    def _split(self, x: ov.Node) -> ov.Node:
        """(batch, length, dimensions) to (batch, heads, length, dimensions of a head)."""
        return op.transpose(op.reshape(x, self._by_head, special_zero=True), self._swap)

    def _windows(self, site: str) -> npt.NDArray[np.int64] | None:
        """The channels that go into ``site``, each as often as it has windows; None: each once."""
        return None if self._ranges is None else self._ranges[site].windows.inputs

    def _linear(self, x: ov.Node, name: str, outputs: npt.NDArray[np.int64] | None = None) -> ov.Node:
        """The layer ``name``; ``outputs`` chooses among its channels and may repeat them."""
        site = name.rpartition(".")[0] if ".self." in name else name
        self._inputs[site] = x
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        if outputs is not None:
            weight, bias = weight[outputs], bias[outputs]
        if self._ranges is None:
            factor, offset = _float32(weight), bias
        else:
            linear = quantize(weight, bias, self._ranges[site])
            x = self._levels(x, site, self._ranges[site])
            factor = op.multiply(op.convert(op.constant(linear.weight), "f32"), _float32(linear.scale))
            offset = linear.bias
        return op.add(op.matmul(x, factor, transpose_a=False, transpose_b=True), _row(offset))

    def _levels(self, x: ov.Node, site: str, given: ActivationRange) -> ov.Node:
        """``x`` as shares of its windows, on ``LEVELS`` levels; one node for all the layers that read it."""
        if site not in self._quantized:
            windows = given.windows
            # a scale a channel is not for the engine's quantisation, which knows one a tensor
            share = op.add(op.multiply(x, _row(1 / windows.width)), _row(-windows.start / windows.width))
            none, all_ = _float32(0), _float32(1)
            self._quantized[site] = op.fake_quantize(share, none, all_, none, all_, LEVELS)
        return self._quantized[site]

    def _norm(self, x: ov.Node, name: str) -> ov.Node:
        normal = op.mvn(x, _constant([2]), True, _EPSILON, "INSIDE_SQRT")
        return op.add(op.multiply(normal, _row(self._weights[f"{name}.weight"])), _row(self._weights[f"{name}.bias"]))

    def _pairs(self, hidden: ov.Node, own: ov.Node) -> ov.Node:
        """Means of neighbours at length 1, shape (batch, length / 2 - 1, dimensions)."""
        vectors = op.multiply(_unit(hidden, axis=2), op.unsqueeze(op.convert(own, "f32"), _constant(2)))
        inner = op.slice(vectors, _int32([1]), _int32([-1]), _int32([1]), _int32([1]))
        pairs = op.reshape(inner, _constant([0, -1, 2, self._dimensions]), special_zero=True)
        return _unit(op.reduce_sum(pairs, _constant([2])), axis=2)


def _unit(x: ov.Node, *, axis: int) -> ov.Node:
    return op.normalize_l2(x, _constant([axis]), _EPSILON, "max")


def _row(values: npt.NDArray[Any]) -> ov.Node:
    return _float32(values.reshape(1, 1, -1))


def _constant(value: int | Sequence[int]) -> ov.Node:
    return op.constant(np.array(value, np.int64))


def _int32(value: int | Sequence[int]) -> ov.Node:
    return op.constant(np.array(value, np.int32))


def _float32(value: float | npt.NDArray[Any]) -> ov.Node:
    return op.constant(np.asarray(value, np.float32))
