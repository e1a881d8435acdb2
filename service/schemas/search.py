"""Searches on the wire: requests, and the models that document the answers, which ``service.answer`` writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from service.schemas.analytics import SessionOption
from service.schemas.boosts import BoostScoreView
from service.schemas.calibration import AnswerableView
from service.schemas.common import Body, Parameters, View, json_parameter
from service.schemas.facets import FacetParameters, FacetsBody, FacetView
from service.schemas.ordering import OrderingBody, OrderingParameters
from service.schemas.packing import DuplicateView, ExpandedView, PackingOptions
from service.schemas.paging import PagingOptions
from winnow.core.errors import InvalidFilter
from winnow.core.exact import Exactness
from winnow.core.filters import parse_filter
from winnow.core.search import GroupBy, RerankOptions, ScoreKind, SearchMode, SearchRequest, Speed, StageStatus
from winnow.core.types import FieldType
from winnow.search.limits import MAX_TOP_N

DEFAULT_TOP_N: Final = 10


class RerankBody(Body):
    """How the second stage runs."""

    enabled: bool = True
    top_k: int | None = Field(None, ge=1, le=1000, description="candidates that are scored; configured by default")
    instruct: str | None = Field(None, max_length=2048, description="the second stage's own task instruction")
    on_failure: Literal["degrade", "fail"] = Field(
        "degrade", description="degrade: answer in the first stage's order and say so; fail: answer with an error"
    )


_CONFIGURED: Final = RerankBody()


def _switch(value: Any) -> Any:
    """Read ``true`` and ``false`` as the stage switched on and off, and null as the default."""
    if value is None:
        return {}
    return {"enabled": value} if isinstance(value, bool) else value


RerankChoice = Annotated[RerankBody, BeforeValidator(_switch, json_schema_input_type=RerankBody | bool | None)]


class SearchOptions(PackingOptions):
    """The scalar parameters of a search, in the body and in the query string.

    Each is a field of ``SearchRequest`` by the same name, or one of a feature's own.
    """

    top_k: int = Field(100, ge=1, le=1000, description="candidates from the first stage")
    top_n: int | None = Field(None, ge=1, le=100, description="results, at most top_k; 10 by default")
    mode: SearchMode = "hybrid"
    instruct: str | None = Field(None, max_length=2048, description="the query's task instruction")
    min_relevance: float | None = Field(
        None, ge=0, le=1, description="applied to relevance_score only, and not to exact results"
    )
    group_by: GroupBy = Field("document", description="document: the best chunk of each; chunk: every chunk")
    return_documents: bool = Field(True, description="whether results carry the chunk's text")
    highlight: bool = True
    budget_ms: float | None = Field(None, gt=0, le=600_000, description="time limit of the whole search")
    explain: bool = False
    language: str | None = Field(
        None, max_length=35, description="of the query, as de or pt-BR: rules of this language act, and those of none"
    )
    tenant: str | None = Field(
        None, description="whose documents; by default the caller's own tenant, or those of none"
    )
    index: Literal["serving", "other"] = Field(
        "serving", description="other: the second index of a collection whose model is being changed, to compare"
    )


_SCALARS: Final = tuple(SearchOptions.model_fields)
_OWN: Final = tuple(name for name in _SCALARS if name not in PackingOptions.model_fields)


class SearchBody(SearchOptions, FacetsBody, OrderingBody, PagingOptions, SessionOption, Body):
    """A search as JSON."""

    query: str
    filter: dict[str, Any] | None = Field(
        None, description="{type: eq|ne|gt|gte|lt|lte|in|nin|exists, key, value} or {type: and|or, filters} or not"
    )
    rerank: RerankChoice = Field(default_factory=lambda: _CONFIGURED)

    def to_request(self, collection: str, fields: Mapping[str, FieldType], *, most: int | None = None) -> SearchRequest:
        """The domain's form; ``most`` bounds the number of results of a caller who asks for none.

        Raises:
            InvalidFilter: the filter is malformed, or names an undeclared field.
        """
        given, rerank = vars(self), vars(self.rerank)
        options = {name: given[name] for name in _OWN}
        if self.top_n is None:
            fills = self.max_tokens is not None and not self.expand
            options["top_n"] = min(MAX_TOP_N if fills else DEFAULT_TOP_N, self.top_k, most or self.top_k)
        options["facets"], options["cursor"] = self.to_facets(), self.cursor
        options["ordering"] = self.to_ordering()
        options["packing"] = self.to_packing()
        options["index"] = "serving" if self.index == "serving" else "beside"
        tree = None if self.filter is None else parse_filter(self.filter, fields)
        return SearchRequest(collection, self.query, filter=tree, rerank=RerankOptions(**rerank), **options)


class SearchParameters(SearchOptions, FacetParameters, OrderingParameters, PagingOptions, SessionOption, Parameters):
    """A search as a query string, for browsers and curl."""

    q: str = Field(description="the query", examples=["copy a file"])
    filter: str | None = Field(
        None, description="a filter as JSON", examples=['{"type": "eq", "key": "lang", "value": "en"}']
    )
    rerank: bool = True

    def to_body(self) -> SearchBody:
        """The same search in its other form.

        Raises:
            InvalidFilter: the filter is not JSON.
            InvalidQuery: the ranges of facets are not.
        """
        options = {
            **self.model_dump(include=set(_SCALARS)),
            **self.facet_options(),
            **self.ordering_options(),
            "cursor": self.cursor,
            "session": self.session,
            "analytics": self.analytics,
        }
        filter_ = json_parameter("filter", self.filter, InvalidFilter)
        return SearchBody.model_construct(
            **options, query=self.q, filter=filter_, rerank=RerankBody(enabled=self.rerank)
        )


class ArmScoreView(View):
    """Rank from 1 and score on the arm's own scale."""

    rank: int
    score: float


class ChunkView(View):
    """The place of the text in the document: offsets into its canonical text in code points, ``end`` exclusive."""

    index: int
    start: int
    end: int
    headings: list[str]
    anchor: str = Field(description="fragment of the nearest heading, as in the result's url")
    prefix: str = Field(
        description="start of the result's text that is repeated from before the span: a table's header"
    )
    page: int | None = Field(None, description="of a PDF, from 1")
    slide: int | None = Field(None, description="of a presentation, from 1")
    sheet: str | None = Field(None, description="of a workbook")
    row: int | None = Field(None, description="of a sheet, from 1")


class SpanView(View):
    """Characters of ``text`` that match the query, ``end`` exclusive."""

    start: int
    end: int


class ResultStages(View):
    """Rank and score of the result in each arm and stage; null where it was not found or scored."""

    dense: ArmScoreView | None
    sparse: ArmScoreView | None
    fused: ArmScoreView
    rerank: ArmScoreView | None
    boost: BoostScoreView | None = Field(None, description="only with boosts")


class ResultView(View):
    """One result."""

    rank: int
    document_id: str
    title: str
    url: str
    chunk: ChunkView
    text: str | None = Field(description="null with return_documents=false")
    highlights: list[SpanView]
    metadata: dict[str, Any]
    exact: Exactness | None = Field(
        None,
        description="what the query is the name of: the document's title or its last part, its id, a heading or an "
        "identifier in the text; such results come first, in this order, and pass min_relevance",
    )
    pinned: bool | None = Field(None, description="true where a rule of the collection put the result first")
    relevance_score: float | None = Field(description="second stage, 0 to 1; null if it did not score the result")
    retrieval_score: float = Field(description="first stage, on the scale of the fusion")
    stages: ResultStages
    expanded: ExpandedView | None = Field(None, description="only with expand, max_tokens or tokenizer")
    tokens: int | None = Field(None, description="of the text; only with max_tokens or tokenizer")
    duplicates: list[DuplicateView] | None = Field(None, description="only where duplicates are folded")


class StageView(View):
    """The report of one stage, which may have further members."""

    model_config = ConfigDict(extra="allow")

    status: StageStatus
    ms: float
    reason: str | None = None


class EmbedStage(StageView):
    """The embedder's report."""

    model: str | None
    cached: bool


class RetrieveStage(StageView):
    """The first stage's report."""

    engine: str
    candidates: int


class RerankStage(StageView):
    """The second stage's report."""

    model: str | None
    provider: str | None
    scored: int
    tokens: int


class Stages(View):
    """The reports of all stages."""

    embed: EmbedStage
    retrieve: RetrieveStage
    rerank: RerankStage
    pack: StageView | None = Field(None, description="only with expand, max_tokens or tokenizer")


class SearchView(View):
    """The answer to a search; exact results first, then by the score that ``score_kind`` names."""

    id: str
    collection: str
    query: str
    results: list[ResultView]
    score_kind: ScoreKind
    speed: Speed = Field(description="instant: names and keywords, without a model; full: of all other modes")
    degraded: bool = Field(description="a stage failed or ran out of time, so the answer is of lower quality")
    stages: Stages
    took_ms: float
    next: str | None = Field(None, description="cursor of the next page; null at the end")
    answerable: AnswerableView | None = Field(None, description="only of a calibrated collection")
    search_id: str | None = Field(
        None, description="signed; events of visitors name it; only where analytics are enabled"
    )
    facets: dict[str, FacetView] | None = Field(None, description="only of a search that asks for facets")
    explain: dict[str, Any] | None = Field(None, description="only with explain=true")
    tokenizer: str | None = Field(None, description="what counted the tokens; only with max_tokens or tokenizer")
    tokens: int | None = Field(None, description="of all texts together")
    left_out: int | None = Field(None, description="results whose texts did not fit, not even in part")
