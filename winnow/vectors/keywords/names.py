"""Names as a sparse vector, so that one more arm of a search looks them up.

A name has two ids of 32 bits. A point's weight at the first is the level of the name, at the second ``SURE``, a query's
is 1 at both. So the score of a name that is there is ``SURE`` and its level, and less where only one of the ids is
there, that of another name.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from winnow.core.exact import Level

SURE: Final = 16.0


def name_ids(name: str) -> tuple[int, int]:
    """The two ids of a folded name."""
    first, second = struct.unpack("<II", blake2b(name.encode(), digest_size=8).digest())
    return first, second


def name_weights(names: Mapping[str, Level]) -> dict[int, float]:
    """The vector of a point with these names. Where two names share an id, the better one keeps it."""
    weights: dict[int, float] = {}
    for name, level in sorted(names.items(), key=lambda each: each[1]):
        first, second = name_ids(name)
        weights[first] = float(level)
        weights[second] = SURE
    return weights


def level_of(score: float) -> Level:
    """How exactly a query named a point that has this score on the arm of names."""
    return Level(round(score - SURE)) if SURE < score <= SURE + max(Level) else Level.NONE
