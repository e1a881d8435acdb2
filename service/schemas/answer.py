"""Searches on the wire: the answers. These models document; ``service.answer`` writes."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from service.schemas.common import View
from winnow.core.types import ScoreKind, StageStatus


class ArmScoreView(View):
    """Rank from 1 and score on the arm's own scale."""

    rank: int
    score: float


class ChunkView(View):
    """The position of the text in the document: character offsets, ``end`` exclusive."""

    index: int
    start: int
    end: int
    headings: list[str]


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
    relevance_score: float | None = Field(description="second stage, 0 to 1; null if it did not score the result")
    retrieval_score: float = Field(description="first stage, on the scale of the fusion")
    stages: ResultStages


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


class SearchView(View):
    """The answer to a search; results are sorted by the score that ``score_kind`` names."""

    id: str
    collection: str
    query: str
    results: list[ResultView]
    score_kind: ScoreKind
    degraded: bool = Field(description="a stage failed or ran out of time, so the answer is of lower quality")
    stages: Stages
    took_ms: float
    explain: dict[str, Any] | None = Field(None, description="only with explain=true")
