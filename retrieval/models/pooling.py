"""From hidden states of packed sequences to text vectors and token vectors. Everything is one pass over the pack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from retrieval.types import FloatArray, HalfArray


def text_vectors(hidden: Tensor, lengths: Sequence[int]) -> FloatArray:
    """Mean of each sequence's hidden states, special tokens included, at length 1: what the model was trained with.

    Args:
        hidden: shape (all tokens, dimensions), sequences end to end.
        lengths: tokens of each sequence; none is 0.
    """
    means = torch.segment_reduce(hidden.float(), "mean", lengths=torch.tensor(lengths), axis=0)
    vectors: FloatArray = F.normalize(means).numpy()
    return vectors


def token_vectors(hidden: Tensor, ranges: Sequence[tuple[int, int]], *, merge: int) -> tuple[HalfArray, ...]:
    """Token vectors for late interaction, at length 1.

    Args:
        hidden: shape (all tokens, dimensions), sequences end to end.
        ranges: rows of ``hidden`` to take for each sequence, end exclusive.
        merge: 1 keeps each token, 2 takes the mean of each two neighbours (half the storage for the same ranking).

    Returns:
        Per sequence shape (k, dimensions) with k = ceil(tokens / merge).
    """
    counts = [-(-(end - start) // merge) for start, end in ranges]
    if not any(counts):
        return tuple(np.zeros((0, hidden.shape[1]), np.float16) for _ in ranges)
    firsts = torch.cat([torch.arange(start, end, merge) for start, end in ranges])
    vectors = F.normalize(hidden.float())
    rows = vectors[firsts]
    if merge == 2:
        lasts = torch.tensor([end - 1 for _, end in ranges]).repeat_interleave(torch.tensor(counts))
        rows = F.normalize(rows + vectors[torch.minimum(firsts + 1, lasts)])  # an odd last token stands for itself
    packed = rows.half().numpy()
    return tuple(
        part.copy() for part in np.split(packed, np.cumsum(counts)[:-1])
    )  # copies: no row keeps the pack alive
