"""An encoder of BERT's kind, compiled for this CPU by OpenVINO."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt
import openvino as ov

from winnow.core.types import FloatArray, HalfArray
from winnow.models.bundled.bert_graph import build_graph
from winnow.models.bundled.quantization import ActivationRange
from winnow.models.bundled.weights import Weights

Precision = Literal["int8", "bfloat16", "float32"]

DIMENSIONS: Final = 384
HEADS: Final = 12
_STEP: Final = 8  # lengths are padded to a multiple of it: each change of shape costs the engine a millisecond or more


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class WordTable(Protocol):
    """The word embeddings of a model, by token id."""

    def __getitem__(self, ids: npt.NDArray[np.int32], /) -> npt.NDArray[Any]:
        """Of ids of shape (n, length) the vectors, shape (n, length, 384), of any type of floating numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What an encoder computes with.

    Attributes:
        words: the word embeddings.
        weights: the others, float32, by the names of a BERT checkpoint.
        layers: of the encoder.
        ranges: what goes into each linear layer, for products of int8.
    """

    words: WordTable
    weights: Weights
    layers: int
    ranges: Mapping[str, ActivationRange]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors of n texts, at length 1.

    Attributes:
        texts: shape (n, 384), float32.
        tokens: shape (n, k, 384), float16, k for the longest text; what lies past a text's end means nothing.
    """

    texts: FloatArray
    tokens: HalfArray


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The graph for one shape or for any, with the requests that are not in use."""

    graph: ov.CompiledModel
    idle: list[ov.InferRequest] = field(default_factory=list)

    def request(self) -> ov.InferRequest:
        try:
            return self.idle.pop()
        except IndexError:
            return self.graph.create_infer_request()


class BertEncoder:
    """The encoder for one kind of text. Calls may overlap; those beyond its number of streams wait.

    Args:
        checkpoint: the weights.
        merge: 1 for a vector a token, special ones included; 2 for the mean of each two neighbours, special ones left
            out (half the storage for the same ranking).
        streams: batches of any shape that are computed side by side, each on one core.

    Attributes:
        precision: of the products of linear layers.
    """

    def __init__(self, checkpoint: Checkpoint, precision: Precision, *, merge: Literal[1, 2], streams: int) -> None:
        self.precision = precision
        self._core = ov.Core()
        self._words = checkpoint.words
        ranges = checkpoint.ranges if precision == "int8" else None
        self._model = build_graph(checkpoint.weights, layers=checkpoint.layers, heads=HEADS, merge=merge, ranges=ranges)
        # what is not int8 is computed in bfloat16 where the CPU can
        bfloat16 = precision == "bfloat16" or (precision == "int8" and has_bfloat16())
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
            "NUM_STREAMS": str(streams),
            "INFERENCE_NUM_THREADS": streams,
            "ENABLE_CPU_PINNING": False,  # every graph of one stream would sit on the first core
        }
        self._any_shape = self._compile()
        self._one_shape: dict[tuple[int, ...], _Compiled] = {}

    def prepare(self, texts: int, length: int) -> None:
        """Compile the graph for batches of just this shape: 0.2 s and 20 MB, and no call pays for a change of shape.

        In one thread at a time, whatever else goes on.
        """
        self._model.reshape({0: [texts, length, DIMENSIONS], 1: [texts]})
        self._one_shape[texts, length] = self._compile()

    def __call__(self, sequences: Sequence[Sequence[int]]) -> Encoded:
        """Encode ``sequences`` of token ids, the two special tokens included, each at most 512 long."""
        inputs = graph_inputs(self._words, sequences)
        compiled = self._one_shape.get(inputs[0].shape[:2], self._any_shape)
        request = compiled.request()
        request.infer(inputs, share_inputs=True)
        encoded = _outputs(request)
        compiled.idle.append(request)
        return encoded

    async def answer(self, sequences: Sequence[Sequence[int]]) -> Encoded:
        """As a call, with no thread of Python's: one would have to win the interpreter's lock from the event loop."""
        inputs = graph_inputs(self._words, sequences)
        compiled = self._one_shape.get(inputs[0].shape[:2], self._any_shape)
        request = compiled.request()
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def end(_: None) -> None:
            with suppress(RuntimeError):  # the loop is closed: no caller waits
                loop.call_soon_threadsafe(_settle, done)

        request.set_callback(end, None)
        request.start_async(inputs, share_inputs=True)
        try:
            await done
        finally:
            request.wait()  # raises errors; a cancelled call waits too, since the engine reads its arrays
        encoded = _outputs(request)
        compiled.idle.append(request)
        return encoded

    def _compile(self) -> _Compiled:
        """The graph in its present shape."""
        return _Compiled(self._core.compile_model(self._model, "CPU", self._options))


def graph_inputs(words: WordTable, sequences: Sequence[Sequence[int]]) -> list[npt.NDArray[Any]]:
    """What the graph reads: word embeddings, shape (n, padded length, 384), and lengths, shape (n,).

    ``words`` is the table of word embeddings.
    """
    ids = np.zeros((len(sequences), padded_length(max(map(len, sequences)))), np.int32)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return [words[ids].astype(np.float32), np.array([len(sequence) for sequence in sequences], np.int32)]


def _outputs(request: ov.InferRequest) -> Encoded:
    texts, tokens = (request.get_output_tensor(i).data.copy() for i in range(2))
    return Encoded(texts, tokens)


def _settle(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def padded_length(tokens: int) -> int:
    """The length at which a sequence of ``tokens`` is computed, alone in its batch."""
    return -(-tokens // _STEP) * _STEP
