"""Learn the axes to which a bundled model's token vectors are reduced, and the mean that is taken off before.

    python benchmarks/docstring_collection.py …                     # makes the collection
    python benchmarks/token_basis.py --data path/to/docstrings [--compare | --out FILE]
    python benchmarks/token_basis.py --data path/to/docstrings --model multilingual \
        --translations path/to/site-packages/django

The axes are the eigenvectors of the largest eigenvalues of the second moments of all token vectors of the documents,
merged two by two as they are stored. The multilingual model reads as much of every language that the translations have;
its vectors all point about the same way, so that their mean is taken off. ``--compare`` says how much of their space
the file that ships has in common: an eigenvector may come out with the other sign, and other versions of Python have
other docstrings.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from languages import messages_of, passages_of

from winnow.core.settings.embedding import BundledEmbedding
from winnow.evaluation.dataset import load_dataset
from winnow.models.bundled.embedder import BundledEmbedder
from winnow.models.bundled.offered import OFFERED
from winnow.models.bundled.token_basis import TOKEN_DIMENSIONS

BATCH = 256
OF_A_LANGUAGE = 30  # passages
DOCSTRINGS = 600  # beside those


def main() -> None:
    """Learn, and compare or write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a test collection in the BEIR layout")
    parser.add_argument("--model", choices=["english", "multilingual"], default="english")
    parser.add_argument("--translations", type=Path, help="a package with gettext catalogs, for the multilingual model")
    parser.add_argument("--compare", action="store_true", help="write nothing")
    parser.add_argument("--out", type=Path, help="default: the file that ships")
    given = parser.parse_args()
    shipped = OFFERED[given.model].basis
    texts: Iterator[str] = (f"{each.title}\n{each.text}" for each in load_dataset(given.data).documents)
    if given.translations is not None:
        texts = islice(texts, DOCSTRINGS)
        of_languages = messages_of(given.translations).values()
        texts = iter([*texts, *(text for each in of_languages for text in islice(passages_of(each), OF_A_LANGUAGE))])
    axes, mean = asyncio.run(learn(given.model, texts))
    if given.compare:
        shared = np.linalg.svd(axes.T @ np.load(shipped)["axes"].astype(np.float32), compute_uv=False)
        print(f"{np.mean(shared**2):.4f} of the {TOKEN_DIMENSIONS} axes lie in the space of {shipped.name}")
    else:
        arrays = {"axes": axes.astype(np.float16), "mean": mean.astype(np.float16)}
        np.savez_compressed(given.out or shipped, allow_pickle=False, **arrays)


async def learn(model: str, texts: Iterator[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The axes, shape (384, 94), the most important one first, and the mean, shape (384,)."""
    embedder = BundledEmbedder(BundledEmbedding.model_validate({"model": model}))
    size, count = embedder.info.dimensions, 0
    moments, total = np.zeros((size, size)), np.zeros(size)
    while batch := list(islice(texts, BATCH)):
        embedded = await embedder.embed_as(np.copy, batch, "document", None)
        tokens = np.concatenate(embedded.tokens or ()).astype(np.float32)
        moments += tokens.T @ tokens
        total += tokens.sum(axis=0)
        count += len(tokens)
    await embedder.close()
    mean = total / count if model == "multilingual" else np.zeros(size)
    _, vectors = np.linalg.eigh(moments - count * np.outer(mean, mean))  # in ascending order
    return vectors[:, ::-1][:, :TOKEN_DIMENSIONS], mean


if __name__ == "__main__":
    main()
