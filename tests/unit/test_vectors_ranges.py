"""Ranges over 64-bit integers on engines that compare floats, or turn the bounds into integers."""

from __future__ import annotations

from collections.abc import Callable
from operator import ge, gt, le, lt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.vectors.ranges import RangeOp, integer_range

LEAST, MOST = -(2**63), 2**63 - 1
OPERATORS: dict[RangeOp, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
INTEGERS = st.one_of(
    st.integers(LEAST, MOST),
    st.builds(
        lambda base, off: min(max(base + off, LEAST), MOST),
        st.sampled_from([LEAST, -(2**62), -(2**53), 0, 2**53, 2**60, 2**62, MOST]),
        st.integers(-3000, 3000),
    ),
)


def passes(op: RangeOp, bound: int, value: int, *, as_float: bool) -> bool:
    """What an engine makes of the range: it compares floats, or clips the bound to an integer of 64 bits."""
    found = integer_range(op, bound)
    inside = bool(found.bounds)
    for name, limit in found.bounds.items():
        other = float(value) if as_float else value
        inside = OPERATORS[name](other, limit if as_float else min(max(int(limit), LEAST), MOST))
    return inside or value in found.single


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("as_float", [True, False])
@given(bound=INTEGERS, off=st.integers(-2100, 2100))
def test_a_range_is_exact_whichever_way_an_engine_compares(op: RangeOp, as_float: bool, bound: int, off: int) -> None:
    value = min(max(bound + off, LEAST), MOST)
    assert passes(op, bound, value, as_float=as_float) == OPERATORS[op](value, bound)


@given(op=st.sampled_from(sorted(OPERATORS)), bound=INTEGERS)
def test_few_values_are_matched_one_by_one(op: RangeOp, bound: int) -> None:
    assert len(integer_range(op, bound).single) <= 2048
