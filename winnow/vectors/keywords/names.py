"""Names as a sparse vector, so that one more arm of a search looks them up.

A name has two ids of 32 bits. A point's weight at the first is the level of the name, at the second ``SURE``, a query's
is 1 at both. So the score of a name that is there is ``SURE`` and its level, and less where only one of the ids is
there, that of another name. A third id is that of the spelling, with weight ``VERBATIM``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final

from winnow.core.exact import VERBATIM, Level, folded_name, spelled

SURE: Final = 16.0


def asked_weights(query: str) -> dict[int, float]:
    """The vector of a query; empty where it can be no name."""
    name = folded_name(query)
    return dict.fromkeys((*_ids(name), _spelling_id(spelled(query))), 1.0) if name else {}


def name_weights(names: Mapping[str, Level], spellings: Iterable[str]) -> dict[int, float]:
    """The vector of a point with these names. Where two names share an id, the better one keeps it."""
    weights = {_spelling_id(each): float(VERBATIM) for each in spellings}
    for name, level in sorted(names.items(), key=lambda each: each[1]):
        first, second = _ids(name)
        weights[first] = float(level)
        weights[second] = SURE
    return weights


def level_of(score: float) -> int:
    """How exactly a query named a point with this score on the arm of names: a ``Level``, or that and ``VERBATIM``."""
    level = round(score - SURE)
    return level if Level.IDENTIFIER <= level <= Level.TITLE + VERBATIM else Level.NONE


def _ids(name: str) -> tuple[int, int]:
    first, second = struct.unpack("<II", blake2b(name.encode(), digest_size=8).digest())
    return first, second


def _spelling_id(spelling: str) -> int:
    return int.from_bytes(blake2b(spelling.encode(), digest_size=4, person=b"spelled").digest(), "little")
