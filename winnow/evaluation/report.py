"""The results of an evaluation and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from winnow.core.types import FloatArray
from winnow.evaluation.dataset import Dataset
from winnow.evaluation.metrics import METRICS, NDCG, MeanEstimate, estimate_mean, score_rankings
from winnow.evaluation.runs import HYBRID, TWO_STAGE, ModeRun

STAGES = ("embed", "retrieve", "rerank")


@dataclass(frozen=True, slots=True)
class RunReport:
    """One way to search: its metrics and its median latency.

    Attributes:
        scores: metric -> value per query, shape (queries,).
        estimates: metric -> mean with its 95 % interval.
    """

    name: str
    scores: Mapping[str, FloatArray]
    estimates: Mapping[str, MeanEstimate]
    p50_ms: float
    degraded: float


@dataclass(frozen=True, slots=True)
class StageSummary:
    """One stage over all queries of a run: median milliseconds, model or engine, and number of queries by status."""

    name: str
    ms: float
    statuses: Mapping[str, int]
    model: str | None = None
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class QueryChange:
    """The change of one query's nDCG@10 by the second stage."""

    query_id: str
    text: str
    before: float
    after: float

    @property
    def gain(self) -> float:
        """After minus before: above 0 the second stage helped."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class RunComparison:
    """``run`` minus ``against`` in nDCG@10, paired by query; ``changes`` has the greatest gain first."""

    run: str
    against: str
    difference: MeanEstimate
    changes: tuple[QueryChange, ...]

    @property
    def helped(self) -> int:
        """Queries that ``run`` answers better."""
        return sum(change.gain > 0 for change in self.changes)

    @property
    def hurt(self) -> int:
        """Queries that ``run`` answers worse."""
        return sum(change.gain < 0 for change in self.changes)

    @property
    def unchanged(self) -> int:
        """Queries that both answer equally well."""
        return len(self.changes) - self.helped - self.hurt

    @property
    def significant(self) -> bool:
        """Whether the 95 % interval of the difference leaves out 0."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of one evaluation. ``stages`` are those of the run with both stages."""

    dataset: str
    documents: int
    queries: int
    runs: tuple[RunReport, ...]
    stages: tuple[StageSummary, ...]
    comparisons: tuple[RunComparison, ...] = field(default=())

    @property
    def degraded(self) -> float:
        """Share of two-stage answers, in [0, 1], that fell back to the first stage's order."""
        return next((run.degraded for run in self.runs if run.name == TWO_STAGE), 0.0)


def build_report(dataset: Dataset, runs: Sequence[ModeRun]) -> Evaluation:
    """Score ``runs`` and compare the two stages with the first one alone."""
    reports = {run.name: _report_run(dataset, run) for run in runs}
    two_stage = next((run for run in runs if run.name == TWO_STAGE), None)
    comparisons: tuple[RunComparison, ...] = ()
    if two_stage is not None and HYBRID in reports:
        comparisons = (_compare(dataset, reports[TWO_STAGE], reports[HYBRID]),)
    return Evaluation(
        dataset=dataset.name,
        documents=len(dataset.documents),
        queries=len(dataset.queries),
        runs=tuple(reports.values()),
        stages=tuple(_summarise_stage(two_stage, stage) for stage in STAGES) if two_stage else (),
        comparisons=comparisons,
    )


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The report as ``winnow eval --json`` prints it. Metrics are in [0, 1], times in milliseconds."""
    return {
        "dataset": evaluation.dataset,
        "documents": evaluation.documents,
        "queries": evaluation.queries,
        "runs": {run.name: _run_to_json(run) for run in evaluation.runs},
        "stages": {
            **{stage.name: _stage_to_json(stage) for stage in evaluation.stages},
            "degraded": evaluation.degraded,
        },
        "comparisons": {f"{item.run}-{item.against}": _comparison_to_json(item) for item in evaluation.comparisons},
    }


def _report_run(dataset: Dataset, run: ModeRun) -> RunReport:
    answers = run.answers.values()
    judgments = {key: dataset.judgments[key] for key in dataset.queries}
    scores = score_rankings({key: answer.documents for key, answer in run.answers.items()}, judgments)
    return RunReport(
        name=run.name,
        scores=scores,
        estimates={metric: estimate_mean(scores[metric]) for metric in METRICS},
        p50_ms=float(np.median([answer.ms for answer in answers])),
        degraded=float(np.mean([answer.degraded for answer in answers])),
    )


def _summarise_stage(run: ModeRun, name: str) -> StageSummary:
    reports = [answer.stages[name] for answer in run.answers.values()]
    return StageSummary(
        name=name,
        ms=float(np.median([report.ms for report in reports])),
        statuses=run.statuses(name),
        model=next((report.model for report in reports if report.model), None),
        engine=next((report.details["engine"] for report in reports if "engine" in report.details), None),
    )


def _compare(dataset: Dataset, run: RunReport, against: RunReport) -> RunComparison:
    before, after = against.scores[NDCG], run.scores[NDCG]
    changes = [
        QueryChange(query_id, text, float(old), float(new))
        for (query_id, text), old, new in zip(dataset.queries.items(), before, after, strict=True)
    ]
    return RunComparison(
        run=run.name,
        against=against.name,
        difference=estimate_mean(after - before),
        changes=tuple(sorted(changes, key=lambda change: -change.gain)),
    )


def _run_to_json(run: RunReport) -> dict[str, Any]:
    return {
        **{metric: round(run.estimates[metric].mean, 4) for metric in METRICS},
        "ci95": {metric: _interval(run.estimates[metric]) for metric in METRICS},
        "p50_ms": round(run.p50_ms, 2),
    }


def _stage_to_json(stage: StageSummary) -> dict[str, Any]:
    ran = {"engine": stage.engine} if stage.engine else {"model": stage.model}
    return {**ran, "ms": round(stage.ms, 2), "statuses": dict(stage.statuses)}


def _comparison_to_json(comparison: RunComparison) -> dict[str, Any]:
    return {
        NDCG: {
            "difference": round(comparison.difference.mean, 4),
            "ci95": _interval(comparison.difference),
            "significant": comparison.significant,
        },
        "helped": comparison.helped,
        "hurt": comparison.hurt,
        "unchanged": comparison.unchanged,
    }


def _interval(value: MeanEstimate) -> list[float]:
    return [round(value.low, 4), round(value.high, 4)]
