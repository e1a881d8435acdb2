"""Searches: the request, candidates, results and what each stage reports, as types independent of HTTP and vendors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from winnow.core.boosts import BoostScore
from winnow.core.calibration import Answerable
from winnow.core.exact import Level
from winnow.core.facets import FacetCounts, Facets
from winnow.core.marks import Span
from winnow.core.ordering import Ordering
from winnow.core.packing import Duplicate, Excerpt, Packing, PackTotals
from winnow.core.types import Chunk, Filter, JsonValue, Metadata, WhichIndex

SearchMode: TypeAlias = Literal["hybrid", "dense", "sparse", "instant"]
Speed: TypeAlias = Literal["instant", "full"]
GroupBy: TypeAlias = Literal["document", "chunk"]
ScoreKind: TypeAlias = Literal["relevance", "retrieval"]
StageStatus: TypeAlias = Literal["ok", "cached", "skipped", "timeout", "failed"]


class ArmScore(NamedTuple):
    """The rank from 1 that an arm or stage gave a candidate, and the score there. A tuple: a search makes hundreds."""

    rank: int
    score: float


class Candidate(NamedTuple):
    """A chunk out of the first stage, its scores, and how exactly the query names it. A tuple as ``ArmScore`` is."""

    point_id: str
    document_id: str
    revision: int
    chunk: Chunk
    title: str
    url: str
    metadata: Metadata
    dense: ArmScore | None
    sparse: ArmScore | None
    fused: ArmScore
    level: int = Level.NONE


@dataclass(frozen=True, slots=True)
class RerankOptions:
    """The options of the second stage for one search.

    Attributes:
        top_k: the number of candidates to score; ``None`` takes the configured depth.
        on_failure: ``degrade`` returns the first stage's order, ``fail`` raises.
    """

    enabled: bool = True
    top_k: int | None = None
    instruct: str | None = None
    on_failure: Literal["degrade", "fail"] = "degrade"


class ArmWeights(NamedTuple):
    """Weights of the two arms in the fusion, both above 0; only their ratio counts."""

    dense: float
    sparse: float


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search, validated. Times are milliseconds.

    ``words`` is what the keyword arm looks for in place of the query, where rules of the collection changed it.
    """

    collection: str
    query: str
    top_k: int = 100
    top_n: int = 10
    mode: SearchMode = "hybrid"
    filter: Filter | None = None
    rerank: RerankOptions = RerankOptions()
    weights: ArmWeights | None = None
    instruct: str | None = None
    min_relevance: float | None = None
    group_by: GroupBy = "document"
    return_documents: bool = True
    highlight: bool = True
    budget_ms: float | None = None
    explain: bool = False
    index: WhichIndex = "serving"
    tenant: str | None = None
    facets: Facets | None = None
    packing: Packing | None = None
    cursor: str | None = None
    ordering: Ordering | None = None
    language: str | None = None
    words: str | None = None


class Result(NamedTuple):
    """One result of a search. A tuple as ``ArmScore`` is.

    Attributes:
        rank: from 1.
        candidate: the chunk and its first-stage scores.
        relevance_score: second-stage score in [0, 1]; ``None`` where the second stage did not score it.
        rerank: rank and score after the second stage, ``None`` as above.
        highlights: spans of ``text`` that match the query.
        excerpt: the text that is returned, where it is another than the chunk's.
        duplicates: documents whose results were folded into this one; ``None`` where they are not looked for.
        pinned: whether a rule of the collection put it here.
        boost: its place by boosts, where the search has some.
    """

    rank: int
    candidate: Candidate
    relevance_score: float | None
    rerank: ArmScore | None
    highlights: tuple[Span, ...] = ()
    excerpt: Excerpt | None = None
    duplicates: tuple[Duplicate, ...] | None = None
    pinned: bool = False
    boost: BoostScore | None = None

    @property
    def text(self) -> str:
        """The text that is returned."""
        return self.candidate.chunk.text if self.excerpt is None else self.excerpt.text

    @property
    def span(self) -> tuple[int, int]:
        """Start and end of ``text`` in the document's canonical text, without what is repeated from before it."""
        place = self.candidate.chunk if self.excerpt is None else self.excerpt
        return place.start, place.end


@dataclass(frozen=True, slots=True)
class StageReport:
    """The report of one stage.

    Attributes:
        ms: wall time in milliseconds.
        reason: why the status is not ``ok``; ``None`` where there is nothing to explain.
        degraded: whether the stage gave less than it would have with more time, tokens or a sound model.
        details: further figures (``candidates``, ``scored``, ``tokens``, ``cached``,
            ``coverage`` …), JSON values only.
    """

    status: StageStatus
    ms: float = 0.0
    model: str | None = None
    provider: str | None = None
    reason: str | None = None
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """The answer to a search: results sorted by the score that ``score_kind`` names.

    ``pack`` reports on the request's ``packing``, where it has one, and ``packed`` sums up where tokens are counted.
    ``next`` is the cursor of the next page; ``None`` at the end. ``rules`` are those that acted, where
    the search is to be explained.
    """

    id: str
    request: SearchRequest
    results: tuple[Result, ...]
    score_kind: ScoreKind
    degraded: bool
    embed: StageReport
    retrieve: StageReport
    rerank: StageReport
    took_ms: float
    answerable: Answerable | None = None
    facets: Mapping[str, FacetCounts] | None = None
    pack: StageReport | None = None
    packed: PackTotals | None = None
    speed: Speed = "full"
    next: str | None = None
    rules: Sequence[Mapping[str, JsonValue]] | None = None
