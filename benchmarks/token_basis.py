"""Learn the axes to which the bundled model's token vectors are reduced: `winnow/models/bundled/token_basis.npy`.

    python benchmarks/docstring_collection.py …                     # makes the collection
    python benchmarks/token_basis.py --data path/to/docstrings [--compare | --out FILE]

The axes are the eigenvectors of the largest eigenvalues of the second moments of all token vectors of the documents,
merged two by two as they are stored. ``--compare`` says how much of their space the file that ships has in common: an
eigenvector may come out with the other sign, and other versions of Python have other docstrings.
"""

from __future__ import annotations

import argparse
import asyncio
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from winnow.core.settings.embedding import BundledEmbedding
from winnow.evaluation.dataset import load_dataset
from winnow.models.bundled.embedder import BundledEmbedder
from winnow.models.bundled.token_basis import BASIS, TOKEN_DIMENSIONS

BATCH = 256


def main() -> None:
    """Learn, and compare or write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a test collection in the BEIR layout")
    parser.add_argument("--compare", action="store_true", help="write nothing")
    parser.add_argument("--out", type=Path, default=BASIS)
    given = parser.parse_args()
    axes = asyncio.run(learn(given.data))
    if given.compare:
        shared = np.linalg.svd(axes.T @ np.load(BASIS).astype(np.float32), compute_uv=False)
        print(f"{np.mean(shared**2):.4f} of the {TOKEN_DIMENSIONS} axes lie in the space of {BASIS.name}")
    else:
        np.save(given.out, axes.astype(np.float16))


async def learn(data: Path) -> npt.NDArray[np.float32]:
    """The axes, shape (384, 94), the most important one first."""
    model = BundledEmbedder(BundledEmbedding())
    moments = np.zeros((model.info.dimensions, model.info.dimensions))
    texts = (f"{each.title}\n{each.text}" for each in load_dataset(data).documents)
    while batch := list(islice(texts, BATCH)):
        embedded = await model.earlier.embed(batch, "document")
        tokens = np.concatenate(embedded.tokens or ()).astype(np.float32)
        moments += tokens.T @ tokens
    await model.close()
    _, vectors = np.linalg.eigh(moments)  # in ascending order
    axes: npt.NDArray[np.float32] = vectors[:, ::-1][:, :TOKEN_DIMENSIONS].astype(np.float32)
    return axes


if __name__ == "__main__":
    main()
