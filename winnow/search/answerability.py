"""Whether a calibrated collection has an answer to a query."""

from __future__ import annotations

from collections.abc import Sequence

from winnow.core.calibration import Answerable, Calibration, Sight
from winnow.core.search import Result, StageReport
from winnow.core.types import Index
from winnow.ports import Reranker, RerankerInfo

OTHER_MODELS = "calibrated with other models: run winnow calibrate again"


def models_of(index: Index, reranker: RerankerInfo) -> str:
    """The models and the tokenizer that the scores of an index rest on."""
    identity = index.identity
    embedding = f"{identity.model}@{identity.revision}/{identity.dimensions}/{identity.token_dimensions}"
    return f"{embedding} {identity.keyword_tokenizer} {reranker.provider}/{reranker.model}"


def answerable(
    calibration: Calibration | None, index: Index, reranker: Reranker | None, embed: StageReport, best: Sequence[Result]
) -> Answerable | str | None:
    """The judgment on an answer with relevance scores, whose first results before any threshold are ``best``.

    ``None`` without a calibration, a sentence where it was made with other models.
    """
    if calibration is None or reranker is None:
        return None
    if calibration.models != models_of(index, reranker.info):
        return OTHER_MODELS
    probability = calibration.probability(_sight(best, embed))
    return Answerable(round(probability, 4), calibration.threshold, calibration.calibrated_on)


def _sight(best: Sequence[Result], embed: StageReport) -> Sight | None:
    if not best or best[0].relevance_score is None:
        return None
    first, *others = best
    candidate = first.candidate
    return Sight(
        score=first.relevance_score or 0.0,
        behind=[each.relevance_score for each in others if each.relevance_score is not None],
        coverage=float(embed.details.get("coverage", 1.0)),
        dense=candidate.dense.rank if candidate.dense else None,
        sparse=candidate.sparse.rank if candidate.sparse else None,
    )
