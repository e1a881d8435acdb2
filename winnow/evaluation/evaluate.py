"""Evaluating a test collection: index it, run its queries in each mode, score the rankings and compare them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from winnow.core.errors import InvalidSource
from winnow.core.text import counted
from winnow.core.types import Document, FloatArray
from winnow.evaluation.dataset import Dataset, Questions
from winnow.evaluation.metrics import METRICS, NDCG, MeanEstimate, estimate_mean, score_rankings
from winnow.evaluation.runs import (
    HYBRID,
    MODES,
    STAGES,
    TWO_STAGE,
    Answered,
    AnswerQuery,
    OnQuery,
    Searcher,
    in_process,
    run_queries,
)


@dataclass(frozen=True, slots=True)
class RunReport:
    """One way to search: its metrics and its median latency.

    Attributes:
        scores: metric -> value per query, shape (queries,).
        estimates: metric -> mean with its 95 % interval.
        judged: the share of the first ten results, over all queries, that have a judgment.
    """

    name: str
    scores: Mapping[str, FloatArray]
    estimates: Mapping[str, MeanEstimate]
    p50_ms: float
    judged: float


@dataclass(frozen=True, slots=True)
class StageSummary:
    """One stage over all queries of a run: median milliseconds, model or engine, and number of queries by status."""

    name: str
    ms: float
    statuses: Mapping[str, int]
    model: str | None
    engine: str | None


@dataclass(frozen=True, slots=True)
class QueryChange:
    """The change of one query's nDCG@10 by the second stage; with a gain above 0 it helped."""

    query_id: str
    text: str
    before: float
    after: float
    gain: float


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two stages minus the first one alone in nDCG@10, paired by query.

    Attributes:
        changes: every query, the greatest gain first.
        helped: number of queries that two stages answer better; ``hurt``: worse; ``unchanged``: equally well.
    """

    difference: MeanEstimate
    changes: tuple[QueryChange, ...]
    helped: int
    hurt: int
    unchanged: int

    @property
    def significant(self) -> bool:
        """Whether the 95 % interval of the difference leaves out 0."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of one evaluation.

    Attributes:
        stages: of the run with both stages.
        degraded: share of its answers, in [0, 1], that fell back to the first stage's order.
        basis: where the judgments come from, in a few sentences; empty for those of a data set.
    """

    dataset: str
    documents: int
    queries: int
    runs: tuple[RunReport, ...]
    stages: tuple[StageSummary, ...]
    degraded: float
    comparison: RunComparison
    basis: str = ""


class IndexDocuments(Protocol):
    """Makes documents searchable in the evaluated collection; returns the reason of each failure by document id."""

    async def __call__(self, documents: Sequence[Document]) -> Mapping[str, str]: ...


async def evaluate(
    dataset: Dataset, *, index: IndexDocuments, searcher: Searcher, collection: str, progress: OnQuery = lambda *_: None
) -> Evaluation:
    """Index the dataset and answer its queries in each of the four modes, one mode after the other.

    Args:
        dataset: documents, queries and judgments.
        index: makes the documents searchable in ``collection``.
        searcher: answers the queries; open it with ``runs.for_measurement(settings)`` for honest latencies.
        collection: name of the collection that ``index`` fills.
        progress: called after every query.

    Raises:
        InvalidSource: a document was not indexed, so the metrics would be wrong.
    """
    failures = await index(dataset.documents)
    if failures:
        name, reason = next(iter(failures.items()))
        raise InvalidSource(
            f"{len(failures)} of {counted(len(dataset.documents), 'document')} of {dataset.name} were not indexed, "
            f"the first is {name!r}: {reason}; fix or remove them, the metrics would be too low"
        )
    return await measure(
        Questions(dataset.queries, dataset.judgments),
        name=dataset.name,
        documents=len(dataset.documents),
        answer=in_process(searcher, collection),
        progress=progress,
    )


async def measure(
    questions: Questions, *, name: str, documents: int, answer: AnswerQuery, progress: OnQuery = lambda *_: None
) -> Evaluation:
    """Answer the queries in each of the four modes, one mode after the other, and score the answers.

    Args:
        questions: queries and judgments.
        name: of what is measured.
        documents: how many documents it has.
        answer: answers a query.
        progress: called after every query.

    Raises:
        WinnowError: a search failed.
    """
    runs = {
        mode.name: list((await run_queries(answer, questions.queries, mode, progress=progress)).values())
        for mode in MODES
    }
    reports = {name: _report(questions, name, answers) for name, answers in runs.items()}
    return Evaluation(
        dataset=name,
        documents=documents,
        queries=len(questions.queries),
        runs=tuple(reports.values()),
        stages=tuple(_summary(runs[TWO_STAGE], stage) for stage in STAGES),
        degraded=float(np.mean([answer.degraded for answer in runs[TWO_STAGE]])),
        comparison=_compare(questions.queries, reports[HYBRID].scores[NDCG], reports[TWO_STAGE].scores[NDCG]),
    )


def _report(questions: Questions, name: str, answers: Sequence[Answered]) -> RunReport:
    rankings = {query: answer.documents for query, answer in zip(questions.queries, answers, strict=True)}
    judgments = {query: questions.judgments[query] for query in questions.queries}
    scores = score_rankings(rankings, judgments)
    estimates = {metric: estimate_mean(scores[metric]) for metric in METRICS}
    first = [(query, document) for query, documents in rankings.items() for document in documents[:10]]
    judged = sum(document in judgments[query] for query, document in first) / max(1, len(first))
    return RunReport(name, scores, estimates, float(np.median([answer.ms for answer in answers])), judged)


def _summary(answers: Sequence[Answered], name: str) -> StageSummary:
    reports = [answer.stages[name] for answer in answers]
    return StageSummary(
        name=name,
        ms=float(np.median([report.ms for report in reports])),
        statuses=Counter(report.status for report in reports),
        model=next((report.model for report in reports if report.model), None),
        engine=next((report.details["engine"] for report in reports if "engine" in report.details), None),
    )


def _compare(queries: Mapping[str, str], before: FloatArray, after: FloatArray) -> RunComparison:
    changes = [
        QueryChange(query_id, text, old, new, new - old)
        for (query_id, text), old, new in zip(queries.items(), before.tolist(), after.tolist(), strict=True)
    ]
    changes.sort(key=lambda change: -change.gain)
    helped, hurt = sum(change.gain > 0 for change in changes), sum(change.gain < 0 for change in changes)
    return RunComparison(estimate_mean(after - before), tuple(changes), helped, hurt, len(changes) - helped - hurt)
