"""Searches on the wire: the answers. These models document; ``service.answer`` writes."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from service.schemas.common import with_examples
from winnow.core.types import ScoreKind, StageStatus

_RERANK: Final[JsonDict] = {
    "status": "ok",
    "ms": 4.0,
    "model": "all-MiniLM-L6-v2",
    "provider": "bundled",
    "scored": 50,
    "tokens": 0,
}
_EXAMPLE: Final[JsonDict] = {
    "id": "srch_01JY4W6V0T8Q3N5R7XKZB2C4DF",
    "collection": "python",
    "query": "copy a file and keep its timestamps",
    "results": [
        {
            "rank": 1,
            "document_id": "shutil.copy2",
            "title": "shutil.copy2",
            "url": "https://docs.python.org/3/library/shutil.html#shutil.copy2",
            "chunk": {"index": 0, "start": 0, "end": 68, "headings": ["shutil"]},
            "text": "Copy the file src to the file or directory dst, with its timestamps.",
            "highlights": [{"start": 0, "end": 4}],
            "metadata": {"lang": "en"},
            "relevance_score": 0.94,
            "retrieval_score": 0.031,
            "stages": {
                "dense": {"rank": 3, "score": 0.71},
                "sparse": {"rank": 9, "score": 7.2},
                "fused": {"rank": 4, "score": 0.031},
                "rerank": {"rank": 1, "score": 0.94},
            },
        }
    ],
    "score_kind": "relevance",
    "degraded": False,
    "stages": {
        "embed": {"status": "ok", "ms": 6.1, "model": "all-MiniLM-L6-v2", "cached": False},
        "retrieve": {"status": "ok", "ms": 1.2, "engine": "qdrant-edge", "candidates": 100},
        "rerank": _RERANK,
    },
    "took_ms": 12.4,
}


class ArmScoreView(BaseModel):
    """Rank from 1 and score on the arm's own scale."""

    rank: int
    score: float


class ChunkView(BaseModel):
    """The position of the text in the document: character offsets, ``end`` exclusive."""

    index: int
    start: int
    end: int
    headings: list[str]


class SpanView(BaseModel):
    """Characters of ``text`` that match the query, ``end`` exclusive."""

    start: int
    end: int


class ResultStages(BaseModel):
    """Rank and score of the result in each arm and stage; null where it was not found or scored."""

    dense: ArmScoreView | None
    sparse: ArmScoreView | None
    fused: ArmScoreView
    rerank: ArmScoreView | None


class ResultView(BaseModel):
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


class StageView(BaseModel):
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


class Stages(BaseModel):
    """The reports of all stages."""

    embed: EmbedStage
    retrieve: RetrieveStage
    rerank: RerankStage


class SearchView(BaseModel):
    """The answer to a search; results are sorted by the score that ``score_kind`` names."""

    model_config = with_examples(_EXAMPLE)

    id: str
    collection: str
    query: str
    results: list[ResultView]
    score_kind: ScoreKind
    degraded: bool = Field(description="a stage failed or ran out of time, so the answer is of lower quality")
    stages: Stages
    took_ms: float
    explain: dict[str, Any] | None = Field(None, description="only with explain=true")
