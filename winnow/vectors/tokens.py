"""The two forms in which engines store token vectors: float16, and bytes, in half the space.

Both engines keep vectors of unsigned bytes and compare them by inner product, so a signed number needs an offset, and
an offset changes the product. The form of bytes makes that change the same for every stored vector, so that it can be
taken off again. For D dimensions:

- A vector ``x`` is turned into the D + 1 numbers ``y = x B``, where ``B`` has the rows 1 to D of the orthonormal DCT-II
  of D + 1 points (Ahmed, Natarajan and Rao 1974, https://doi.org/10.1109/T-C.1974.223784). Inner products stay as they
  are, the numbers of a vector become about equally large, and they add up to 0.
- They are scaled, rounded to ``b`` in [-127, 127] and stored as ``b + 128``. One more byte, ``128 - sum(b)``, makes the
  sum of a stored vector exactly ``128 (D + 2)``.
- A token of a query becomes ``a`` in the same way, with 128 as its last byte. The engine's product is then
  ``128 * 128 (D + 2) + 128 sum(a) + a b``: all but the last term is known from the query.

For vectors of length 1 an inner product is wrong by 0.0015 on average, and the mean over a query's tokens by less. What
engines add up are whole numbers, so that they agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, assert_never

import numpy as np
import numpy.typing as npt

from winnow.core.types import FloatArray, HalfArray, TokenFormat

_EXTRA: Final = 2  # bytes of a vector beyond its dimensions
_ZERO: Final = 128  # the byte for 0
_LARGEST: Final = 127
_WIDEST: Final = 5.5  # times the root mean square of a vector's numbers; a larger one is cut to it


@dataclass(frozen=True, slots=True)
class AskedTokens:
    """A query's token vectors in the form of the stored ones, and the way back from the engine's scores.

    Attributes:
        vectors: shape (k, size).
        offset: what the engine's sum over the k tokens has too much.
        unit: the engine's product of two vectors whose inner product is 1.
    """

    vectors: npt.NDArray[Any]
    offset: float = 0.0
    unit: float = 1.0

    def maxsim(self, score: float) -> float:
        """The sum of the best inner products, from the engine's score of a point."""
        return (score - self.offset) / self.unit


def stored_size(dimensions: int, form: TokenFormat) -> int:
    """The engine's size of a token vector."""
    match form:
        case "float16":
            return dimensions
        case "uint8":
            return dimensions + _EXTRA
        case unknown:
            assert_never(unknown)


def stored_tokens(tokens: npt.NDArray[np.floating], form: TokenFormat) -> npt.NDArray[Any]:
    """The stored form, shape (k, size), of token vectors of shape (k, dimensions) and of length 1 or less."""
    match form:
        case "float16":
            return tokens
        case "uint8":
            whole = _whole(tokens)
            return _as_bytes(whole, -whole.sum(axis=1))
        case unknown:
            assert_never(unknown)


def asked_tokens(tokens: npt.NDArray[np.floating], form: TokenFormat) -> AskedTokens:
    """The form in which a query's token vectors of shape (k, dimensions) and length 1 or less are compared."""
    match form:
        case "float16":
            return AskedTokens(tokens)
        case "uint8":
            whole = _whole(tokens)
            count, dimensions = tokens.shape
            offset = _ZERO * float(whole.sum()) + count * _ZERO**2 * (dimensions + _EXTRA)
            return AskedTokens(_as_bytes(whole, np.zeros(count, np.float32)), offset, _scale(dimensions) ** 2)
        case unknown:
            assert_never(unknown)


def read_tokens(stored: npt.NDArray[Any], form: TokenFormat) -> HalfArray:
    """Token vectors, shape (k, dimensions), from their stored form, shape (k, size)."""
    match form:
        case "float16":
            return stored.astype(np.float16)
        case "uint8":
            dimensions = stored.shape[1] - _EXTRA
            values = (stored[:, :-1].astype(np.float32) - _ZERO) / np.float32(_scale(dimensions))
            return (values @ _basis(dimensions).T).astype(np.float16)
        case unknown:
            assert_never(unknown)


def _whole(tokens: npt.NDArray[np.floating]) -> FloatArray:
    """Whole numbers in [-127, 127], shape (k, dimensions + 1)."""
    dimensions = tokens.shape[1]
    scaled = tokens.astype(np.float32) @ _basis(dimensions) * np.float32(_scale(dimensions))
    rounded: FloatArray = np.rint(scaled).clip(-_LARGEST, _LARGEST)
    return rounded


def _as_bytes(whole: FloatArray, last: FloatArray) -> npt.NDArray[np.uint8]:
    return (np.column_stack([whole, last]) + _ZERO).clip(0, 255).astype(np.uint8)


def _scale(dimensions: int) -> float:
    return _LARGEST / min(1.0, _WIDEST / math.sqrt(dimensions + 1))


@lru_cache(maxsize=4)
def _basis(dimensions: int) -> FloatArray:
    """Shape (dimensions, dimensions + 1); its rows are orthonormal, and each of them adds up to 0."""
    points = dimensions + 1
    angles = np.pi / points * np.outer(np.arange(1, points), np.arange(points) + 0.5)
    basis: FloatArray = (np.sqrt(2 / points) * np.cos(angles)).astype(np.float32)
    basis.setflags(write=False)
    return basis
