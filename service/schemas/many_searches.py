"""Several searches as one, on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from service.schemas.common import Body, View
from service.schemas.facets import FacetsBody, FacetView
from service.schemas.paging import PagingOptions
from service.schemas.search import RerankBody, RerankChoice, ResultView, SearchBody, SearchOptions, Stages, StageView
from winnow.core.search import ScoreKind, SearchRequest
from winnow.core.types import FieldType


class ManySearchesBody(SearchOptions, FacetsBody, PagingOptions, Body):
    """A search over several collections, for several queries. Every other option is that of a search."""

    collections: Annotated[list[str], Field(min_length=1, max_length=64)]
    queries: list[str] | None = Field(None, min_length=1, max_length=16, description="in place of query")
    query: str | None = None
    filter: dict[str, Any] | None = Field(None, description="as in a search; every collection must have its fields")
    rerank: RerankChoice = Field(default_factory=RerankBody)

    @model_validator(mode="after")
    def _asks_something(self) -> ManySearchesBody:
        if (self.queries is None) == (self.query is None):
            raise ValueError("give either query or queries")
        return self

    def to_requests(
        self, collection: str, fields: Mapping[str, FieldType], *, most: int | None = None
    ) -> list[SearchRequest]:
        """The searches of one collection; ``most`` as in ``SearchBody.to_request``.

        Raises:
            InvalidFilter: the filter is malformed, or names an undeclared field.
        """
        options = {name: getattr(self, name) for name in SearchOptions.model_fields}
        queries = self.queries if self.query is None else [self.query]
        return [
            SearchBody.model_construct(**options, query=query, filter=self.filter, rerank=self.rerank).to_request(
                collection, fields, most=most
            )
            for query in queries or ()
        ]


class ManyResultView(ResultView):
    """One result, with the collection and the query that found it."""

    collection: str
    query: str


class OneOfManyView(View):
    """What one of the searches did."""

    id: str
    collection: str
    query: str
    score_kind: ScoreKind
    degraded: bool
    stages: Stages
    took_ms: float


class ManySearchesView(View):
    """The answer: one list of results, each document or chunk once, and the report of each search.

    Results are ordered by ``relevance_score`` where the second stage scored every search (``score_kind`` is
    ``relevance``), else by reciprocal rank fusion of the searches.
    """

    id: str
    results: list[ManyResultView]
    score_kind: ScoreKind
    degraded: bool = Field(description="a stage of one of the searches failed or ran out of time")
    searches: list[OneOfManyView]
    facets: dict[str, FacetView] | None = Field(None, description="over all searches; only where facets are asked for")
    pack: StageView | None = Field(None, description="only with expand, max_tokens or tokenizer")
    took_ms: float
    next: str | None = Field(None, description="cursor of the next page; null at the end")
    tokenizer: str | None = Field(None, description="what counted the tokens; only with max_tokens or tokenizer")
    tokens: int | None = Field(None, description="of all texts together")
    left_out: int | None = Field(None, description="results whose texts did not fit, not even in part")
