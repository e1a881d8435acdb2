"""Ranges over whole numbers of 64 bits, exact on engines whose bounds are 64-bit floats.

Beyond 2**53 neighbouring integers share a float. An engine may turn the bound into an integer or each value into a
float; a range is exact in both ways where its bound is a float that only integers on the right side of the wanted bound
round to. The integers between the two bounds, at most some 2,000, are matched one by one.
"""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple

RangeOp = Literal["gt", "gte", "lt", "lte"]

EXACT: Final = 2**53  # integers of a smaller magnitude are floats of their own
_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1


class IntegerRange(NamedTuple):
    """The values that pass: those in ``single``, and those within ``bounds``, of which an engine may compare floats.

    Empty ``bounds`` contain nothing: an engine would clip those beyond 64 bits to the outermost integers.
    """

    bounds: dict[str, float]
    single: range


def integer_range(op: RangeOp, value: int) -> IntegerRange:
    """The range of the 64-bit integers n for which ``n op value`` holds."""
    if -EXACT < value < EXACT:
        return IntegerRange({op: float(value)}, range(0))
    if op in ("gt", "gte"):
        least = value + 1 if op == "gt" else value
        bound = float(least)
        while int(bound) + int(math.nextafter(bound, -math.inf)) < 2 * least:  # some smaller integer rounds to it
            bound = math.nextafter(bound, math.inf)
        return IntegerRange({"gte": bound} if bound <= _MOST else {}, range(least, min(int(bound), _MOST + 1)))
    most = value - 1 if op == "lt" else value
    bound = float(most)
    while int(bound) + int(math.nextafter(bound, math.inf)) > 2 * most:
        bound = math.nextafter(bound, -math.inf)
    return IntegerRange({"lte": bound} if bound >= _LEAST else {}, range(max(int(bound), _LEAST - 1) + 1, most + 1))
