"""Late interaction of a query with parts of a text: the token vectors that lie in each part."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from winnow.core.marks import Span
from winnow.core.types import HalfArray

_Array = npt.NDArray[np.float64]


def vector_starts(tokens: Sequence[tuple[int, int]], vectors: int) -> list[int]:
    """Where each token vector begins in its text: a vector is the mean of one token or of several neighbours.

    Args:
        tokens: character ranges of the text's tokens.
        vectors: how many vectors the text has.
    """
    if not vectors or not tokens:
        return []
    each = -(-len(tokens) // vectors)
    return [tokens[min(number * each, len(tokens) - 1)][0] for number in range(vectors)]


def span_maxsim(query: HalfArray, text: HalfArray, starts: Sequence[int], spans: Sequence[Span]) -> _Array:
    """Mean over the query's tokens of the best inner product with a vector of each span, shape (len(spans),).

    A span in which no vector begins has 0.

    Args:
        query: shape (q, d).
        text: shape (n, d).
        starts: where each of the n vectors begins.
        spans: ascending, without overlap.
    """
    if not len(text) or not len(query):
        return np.zeros(len(spans))
    similar = query.astype(np.float32) @ text.astype(np.float32).T
    places = np.asarray(starts)
    found = np.zeros(len(spans))
    for number, span in enumerate(spans):
        inside = (places >= span.start) & (places < span.end)
        if inside.any():
            found[number] = similar[:, inside].max(axis=1).mean()
    return found


def spans_by_piece(spans: Sequence[Span], pieces: Sequence[str]) -> list[dict[int, Span]]:
    """For each of the pieces that a text is read in the spans that reach into it, by position, as offsets into it."""
    starts = np.cumsum([0, *map(len, pieces)]).tolist()
    return [
        {
            place: Span(max(span.start, begin) - begin, min(span.end, end) - begin)
            for place, span in enumerate(spans)
            if span.start < end and span.end > begin
        }
        for begin, end in pairwise(starts)
    ]
