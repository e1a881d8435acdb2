"""Fewer dimensions for token vectors: a projection onto the directions in which those of English text differ most.

``token_basis.npy`` holds them: shape (384, 94), float16, the first principal axes of the token vectors of this model
over the docstrings of Python's standard library. ``benchmarks/token_basis.py`` makes the file; why 94, and what they
lose: ``docs/decisions/0016-token-vectors.md``.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from winnow.core.types import FloatArray, HalfArray

BASIS: Final = Path(__file__).with_name("token_basis.npy")
TOKEN_DIMENSIONS: Final = 94  # an engine adds 2 bytes: 96 in all
_TINY: Final = 1e-9


def reduced(tokens: npt.NDArray[np.floating]) -> HalfArray:
    """Token vectors of shape (k, 384) at 94 dimensions and length 1, shape (k, 94)."""
    kept = tokens.astype(np.float32) @ _basis()
    lengths = np.linalg.norm(kept, axis=1, keepdims=True)
    vectors: HalfArray = (kept / np.maximum(lengths, _TINY)).astype(np.float16)
    return vectors


@lru_cache(maxsize=1)
def _basis() -> FloatArray:
    basis: FloatArray = np.load(BASIS).astype(np.float32)
    return basis
