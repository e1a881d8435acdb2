"""Fewer dimensions for token vectors: a projection onto the directions in which those of a model differ most.

The file of a model holds ``axes``, shape (384, 94), the first principal axes of its token vectors, and ``mean``, shape
(384,), what is taken off first: zero, or the mean of the vectors of a model whose vectors all point about the same way.
``benchmarks/token_basis.py`` makes the file; why 94, and what they lose: ``docs/decisions/0016-token-vectors.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from winnow.core.types import FloatArray, HalfArray

TOKEN_DIMENSIONS: Final = 94  # an engine adds 2 bytes: 96 in all
_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class TokenBasis:
    """The axes of one model, shape (384, 94), and the mean on them, shape (94,); both float32."""

    axes: FloatArray
    mean: FloatArray

    @classmethod
    def load(cls, path: Path) -> Self:
        """The basis that a file holds."""
        with np.load(path) as file:
            axes, mean = (file[name].astype(np.float32) for name in ("axes", "mean"))
        return cls(axes, mean @ axes)

    def reduced(self, tokens: npt.NDArray[np.floating]) -> HalfArray:
        """Token vectors of shape (k, 384) at 94 dimensions and length 1, shape (k, 94)."""
        kept = tokens.astype(np.float32) @ self.axes - self.mean
        lengths = np.linalg.norm(kept, axis=1, keepdims=True)
        vectors: HalfArray = (kept / np.maximum(lengths, _TINY)).astype(np.float16)
        return vectors
