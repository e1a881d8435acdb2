"""Facets on the wire: the parameters of a search, and the counts in its answer."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from service.schemas.common import Parameters, View, json_parameter
from winnow.core.errors import InvalidQuery
from winnow.core.facets import DEFAULT_VALUES, MAX_FACETS, MAX_VALUES, Facets

Bound = int | float | str | None
Ranges = Annotated[dict[str, list[Bound]], Field(max_length=MAX_FACETS)]

RANGES_DESCRIPTION: Final = (
    "bounds in ascending order by field: n bounds make n - 1 ranges, each with its start and without its end; null as "
    "the first or last leaves that side open"
)


class FacetOptions(BaseModel):
    """The scalar parameters of facets, in the body and in the query string."""

    disjunctive: bool = Field(
        False, description="the conditions of filter on a facet's own field do not narrow that facet's counts"
    )
    facet_limit: int = Field(DEFAULT_VALUES, ge=1, le=MAX_VALUES, description="the most values of a facet")


class FacetsBody(FacetOptions):
    """The facets of a search as JSON."""

    facets: list[str] | None = Field(
        None, max_length=MAX_FACETS, description="declared fields whose values are counted", examples=[["lang"]]
    )
    facet_ranges: Ranges | None = Field(None, description=RANGES_DESCRIPTION, examples=[{"year": [2000, 2010, 2020]}])

    def to_facets(self) -> Facets | None:
        """The domain's form; ``None`` where nothing is counted."""
        if not self.facets and not self.facet_ranges:
            return None
        ranges = {key: tuple(bounds) for key, bounds in (self.facet_ranges or {}).items()}
        return Facets(tuple(dict.fromkeys(self.facets or ())), ranges, self.disjunctive, self.facet_limit)


class FacetParameters(FacetOptions):
    """The facets of a search in a query string."""

    facets: list[str] | None = Field(None, max_length=MAX_FACETS, description="fields, repeated or with commas between")
    facet_ranges: str | None = Field(None, description="as in the body, as JSON", examples=['{"year": [2000, 2010]}'])

    def facet_options(self) -> dict[str, Any]:
        """The fields of ``FacetsBody``.

        Raises:
            InvalidQuery: the ranges are not JSON of their shape.
        """
        ranges = json_parameter("facet_ranges", self.facet_ranges)
        if ranges is not None and not _are_ranges(ranges):
            message = 'facet_ranges is an object of lists, like {"year": [2000, 2010, 2020]}'
            raise InvalidQuery(message, location=("facet_ranges",))
        options = {"disjunctive": self.disjunctive, "facet_limit": self.facet_limit}
        keys = None if self.facets is None else [key for each in self.facets for key in each.split(",")]
        return {**options, "facets": keys, "facet_ranges": ranges}


def _are_ranges(value: object) -> bool:
    if not isinstance(value, dict) or not all(isinstance(bounds, list) for bounds in value.values()):
        return False
    return all(each is None or isinstance(each, int | float | str) for bounds in value.values() for each in bounds)


class ValueSearchParameters(Parameters):
    """A look for values of one field."""

    q: str = Field("", max_length=256, description="how the value begins; upper and lower case are the same")
    limit: int = Field(10, ge=1, le=MAX_VALUES)
    filter: str | None = Field(None, description="a filter as JSON, as in a search")
    tenant: str | None = Field(None, description="as in a search")


class FacetValueView(View):
    """A value and the number of documents that have it."""

    value: str | int | float | bool
    count: int


class FacetRangeView(View):
    """The documents with a value in a range, which has its start and not its end; null where a side is open."""

    start: Bound = Field(None, alias="from")
    end: Bound = Field(None, alias="to")
    count: int


class FacetView(View):
    """The counts of one field: values by count, ranges in their order."""

    values: list[FacetValueView] | None = Field(None, description="only of fields in facets")
    ranges: list[FacetRangeView] | None = Field(None, description="only of fields in facet_ranges")
    omitted: int | None = Field(None, description="values that facet_limit left out; only where there are some")
    exact: bool = Field(description="whether every document that matches was counted, or only the best candidates")


class FoundValuesView(View):
    """Values of a field, by count."""

    field: str
    values: list[FacetValueView]
    omitted: int | None = Field(None, description="values that limit left out; only where there are some")
    exact: bool = Field(description="as in the facets of a search")
