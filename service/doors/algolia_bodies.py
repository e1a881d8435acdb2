"""The bodies of Algolia's search API (Algolia's REST reference, "Search multiple indices" and "Search parameters").

A query's options are members of its object or, from older clients, a query string under ``params``, whose values are
JSON unless they are plain texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import orjson
from fastapi import Request
from pydantic import Field, model_validator

from service.doors.bodies import ForeignBody
from service.schemas.analytics import SessionName
from service.wire import loads

MOST_HITS: Final = 100
MOST_QUERIES: Final = 50
_TAGS: Final = ("highlightPreTag", "highlightPostTag", "snippetEllipsisText")
_TEXTS: Final = frozenset({"query", "filters", "facetQuery", *_TAGS, "userToken"})


async def lenient_json(request: Request) -> Any:
    """The decoded body, whatever its content type: browsers send ``text/plain``, which needs no preflight."""
    return loads(await request.body())


class AlgoliaOptions(ForeignBody):
    """The options of a query that are followed; others change how Algolia ranks, and are ignored."""

    query: str = Field("", max_length=8192)
    page: int = Field(0, ge=0)
    hitsPerPage: int = Field(20, ge=0, le=1000)  # noqa: N815 - Algolia's names
    filters: str = ""
    facetFilters: Any = None  # noqa: N815
    numericFilters: Any = None  # noqa: N815
    tagFilters: Any = None  # noqa: N815
    facets: list[str] = Field(default_factory=list, max_length=32)
    maxValuesPerFacet: int = Field(100, ge=1, le=1000)  # noqa: N815
    attributesToRetrieve: list[str] = Field(["*"])  # noqa: N815
    attributesToHighlight: list[str] | None = None  # noqa: N815
    attributesToSnippet: list[str] = Field([])  # noqa: N815
    highlightPreTag: str = Field("<em>", max_length=64)  # noqa: N815
    highlightPostTag: str = Field("</em>", max_length=64)  # noqa: N815
    snippetEllipsisText: str = Field("…", max_length=64)  # noqa: N815
    analytics: bool = True
    clickAnalytics: bool = False  # noqa: N815
    userToken: SessionName | None = None  # noqa: N815

    @model_validator(mode="before")
    @classmethod
    def _with_params(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        given = {key: each for key, each in value.items() if key != "params"}
        params = value.get("params")
        options = _from_string(params) if isinstance(params, str) else params if isinstance(params, dict) else {}
        merged = {**options, **given}
        for key in ("facets", "attributesToRetrieve", "attributesToHighlight", "attributesToSnippet"):
            if isinstance(merged.get(key), str):
                merged[key] = [each.strip() for each in merged[key].split(",") if each.strip()]
        return {key: each for key, each in merged.items() if each is not None}


class AlgoliaQuery(AlgoliaOptions):
    """One query of several. ``type`` is ``facet`` where values of a facet are looked for."""

    indexName: str  # noqa: N815
    type: Literal["default", "facet"] = "default"
    facet: str = ""
    facetQuery: str = Field("", max_length=256)  # noqa: N815
    maxFacetHits: int = Field(10, ge=1, le=100)  # noqa: N815


class AlgoliaQueries(ForeignBody):
    """Several queries at once."""

    requests: list[AlgoliaQuery] = Field(max_length=MOST_QUERIES)
    strategy: Literal["none", "stopIfEnoughMatches"] = "none"


class AlgoliaFacetSearch(AlgoliaOptions):
    """A look for values of a facet."""

    facetQuery: str = Field("", max_length=256)  # noqa: N815
    maxFacetHits: int = Field(10, ge=1, le=100)  # noqa: N815


def _from_string(params: str) -> Mapping[str, Any]:
    return {key: value if key in _TEXTS else _value(value) for key, value in parse_qsl(params, keep_blank_values=True)}


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
