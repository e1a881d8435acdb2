"""Filters as gRPC messages of Qdrant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import RestToGrpc

from winnow.vectors.filters import FilterTranslator


def _combine(**parts: Sequence[Any]) -> Any:
    """A filter; conditions hold fields or whole filters."""
    conditions: dict[str, Any] = {
        kind: [each if isinstance(each, wire.Condition) else wire.Condition(filter=each) for each in some]
        for kind, some in parts.items()
    }
    return wire.Filter(**conditions)


def match_any(path: str, values: Sequence[Any]) -> Any:
    """A condition: the field holds one of these strings, or one of these integers."""
    if values and not isinstance(values[0], str):
        match = wire.Match(integers=wire.RepeatedIntegers(integers=values))
    else:
        match = wire.Match(keywords=wire.RepeatedStrings(strings=values))
    return wire.Condition(field=wire.FieldCondition(key=path, match=match))


def _in_period(path: str, bounds: Mapping[str, Any]) -> Any:
    moments = {op: RestToGrpc.convert_datetime(moment) for op, moment in bounds.items()}
    return wire.Condition(field=wire.FieldCondition(key=path, datetime_range=wire.DatetimeRange(**moments)))


FILTERS: Final[FilterTranslator[Any]] = FilterTranslator(
    combine=_combine,
    is_empty=lambda path: wire.Condition(is_empty=wire.IsEmptyCondition(key=path)),
    matches_any=match_any,
    in_range=lambda path, bounds: wire.Condition(field=wire.FieldCondition(key=path, range=wire.Range(**bounds))),
    in_period=_in_period,
    matches_nothing=lambda: wire.Condition(has_id=wire.HasIdCondition(has_id=[])),
)
