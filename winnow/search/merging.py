"""Answers of several searches merged into one list of results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from winnow.core.facets import FacetCounts
from winnow.core.packing import PackTotals
from winnow.core.search import Result, ScoreKind, SearchAnswer, SearchRequest, StageReport

_RANK_CONSTANT: Final = 60  # of reciprocal rank fusion (Cormack et al. 2009, https://doi.org/10.1145/1571941.1572114)


class FoundResult(NamedTuple):
    """A result, the search that found it, and the score that orders it among those of other searches.

    ``search`` is the position of that search among the requests.
    """

    request: SearchRequest
    result: Result
    score: float
    search: int


@dataclass(frozen=True, slots=True)
class ManyAnswers:
    """The answer to several searches.

    Attributes:
        answers: of each search, in the order of the requests.
        results: of all of them, best first; each chunk, or document where searches group by document, once.
        score_kind: ``relevance`` where the second stage scored every search; else results are ordered by the sum of
            1 / (60 + rank) over the searches that found them.
        took_ms: wall time in milliseconds.
        facets: over all searches; each document counts once.
        next: the cursor of the next page; ``None`` at the end.
    """

    id: str
    answers: tuple[SearchAnswer, ...]
    results: tuple[FoundResult, ...]
    score_kind: ScoreKind
    took_ms: float
    pack: StageReport | None = None
    packed: PackTotals | None = None
    facets: Mapping[str, FacetCounts] | None = None
    next: str | None = None

    @property
    def degraded(self) -> bool:
        """Whether one of the searches was, or the texts around the results could not be read."""
        return any(answer.degraded for answer in self.answers) or (self.pack is not None and self.pack.status != "ok")


def merge_answers(answers: Sequence[SearchAnswer]) -> tuple[ScoreKind, list[FoundResult]]:
    """What orders the results of all answers, and the results, each once, best first."""
    if all(answer.score_kind == "relevance" for answer in answers):
        return "relevance", _by_relevance(answers)
    return "retrieval", _by_ranks(answers)


def renumbered(results: Iterable[FoundResult], first: int = 1) -> tuple[FoundResult, ...]:
    """The results with ranks from ``first``."""
    return tuple(each._replace(result=each.result._replace(rank=rank)) for rank, each in enumerate(results, first))


def _by_relevance(answers: Iterable[SearchAnswer]) -> list[FoundResult]:
    """Each result once, with the best of its scores; those that the second stage did not look at come last."""
    best: dict[tuple[object, ...], FoundResult] = {}
    for each in _all(answers):
        score = -1.0 if each.result.relevance_score is None else each.result.relevance_score
        key = result_identity(each)
        if key not in best or score > best[key].score:
            best[key] = each._replace(score=score)
    return _ordered(best.values())


def _by_ranks(answers: Iterable[SearchAnswer]) -> list[FoundResult]:
    """Each result once, by reciprocal rank fusion; it is shown as the search shows it that ranks it highest."""
    fused: dict[tuple[object, ...], FoundResult] = {}
    for each in _all(answers):
        key, score = result_identity(each), 1 / (_RANK_CONSTANT + each.result.rank)
        known = fused.get(key)
        if known is None:
            fused[key] = each._replace(score=score)
        else:
            shown = known if known.result.rank <= each.result.rank else each
            fused[key] = shown._replace(score=known.score + score)
    return _ordered(fused.values())


def _all(answers: Iterable[SearchAnswer]) -> Iterable[FoundResult]:
    return (
        FoundResult(answer.request, result, 0.0, search)
        for search, answer in enumerate(answers)
        for result in answer.results
    )


def result_identity(found: FoundResult) -> tuple[str, str, int | None]:
    """What two results of different searches have in common if they are one: collection, document and chunk."""
    candidate = found.result.candidate
    part = candidate.chunk.index if found.request.group_by == "chunk" else None
    return found.request.collection, candidate.document_id, part


def _ordered(found: Iterable[FoundResult]) -> list[FoundResult]:
    """Best first; ties by rank, then collection, then document, so that the order is the same every time."""
    return sorted(
        found,
        key=lambda each: (
            -each.score,
            each.result.rank,
            each.request.collection,
            each.result.candidate.document_id,
        ),
    )
