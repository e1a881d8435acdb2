"""Facets in answers, as plain dictionaries; ``service.schemas.facets`` documents them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from winnow.core.facets import FacetCounts, FacetValue
from winnow.operations.facets import FoundValues


def render_facets(facets: Mapping[str, FacetCounts]) -> dict[str, Any]:
    """The counts of a search by field."""
    return {key: _counts(each) for key, each in facets.items()}


def render_found(key: str, found: FoundValues) -> dict[str, Any]:
    """Values that were looked for."""
    body: dict[str, Any] = {"field": key, "values": _values(found.values), "exact": found.exact}
    return body | ({"omitted": found.omitted} if found.omitted else {})


def _counts(counts: FacetCounts) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if counts.values is not None:
        body["values"] = _values(counts.values)
    if counts.ranges is not None:
        body["ranges"] = [{"from": each.start, "to": each.end, "count": each.documents} for each in counts.ranges]
    if counts.omitted:
        body["omitted"] = counts.omitted
    return body | {"exact": counts.exact}


def _values(values: Sequence[FacetValue]) -> list[dict[str, Any]]:
    return [{"value": value, "count": count} for value, count in values]
