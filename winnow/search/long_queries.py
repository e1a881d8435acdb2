"""Queries longer than the embedder reads at once: cut into windows, embedded together, and put together again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from winnow.core.types import FloatArray, HalfArray
from winnow.ports import Embedder

MOST_TOKENS: Final = 512  # token vectors of a query that are compared with each candidate


def windows_of(embedder: Embedder, text: str) -> list[str]:
    """``text`` in pieces that the embedder reads whole, of about equal length; one where it reads all at once."""
    limit = embedder.info.max_tokens
    if len(text) <= limit:  # a token has one character at least
        return [text]
    spans = embedder.tokenizer.spans(text)
    if len(spans) <= limit:
        return [text]
    count = -(-len(spans) // limit)
    starts = [spans[len(spans) * part // count][0] for part in range(1, count)]
    return [text[start:end] for start, end in pairwise([0, *starts, len(text)])]


def joined_vector(vectors: FloatArray, coverage: FloatArray) -> FloatArray:
    """The direction of the mean of windows' vectors, shape (dimensions,), weighed by how far each is known."""
    mean = np.average(vectors, axis=0, weights=np.maximum(coverage, 1e-6))
    length = float(np.linalg.norm(mean))
    joined: FloatArray = (mean / length if length else mean).astype(np.float32)
    return joined


def joined_tokens(tokens: Sequence[HalfArray]) -> HalfArray:
    """The token vectors of all windows, evenly thinned out to ``MOST_TOKENS``."""
    together = np.concatenate(tokens)
    if len(together) <= MOST_TOKENS:
        return together
    chosen: HalfArray = together[np.linspace(0, len(together) - 1, MOST_TOKENS).astype(int)]
    return chosen
