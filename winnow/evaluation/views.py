"""An evaluation as JSON, for a terminal, and as an HTML page without scripts, fonts or pictures from elsewhere."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from winnow.core.text import counted
from winnow.evaluation.clicks import LEAST_CLICKS, ClickJudgments
from winnow.evaluation.evaluate import Evaluation, RunComparison
from winnow.evaluation.metrics import METRICS, NDCG, MeanEstimate
from winnow.evaluation.position_bias import METHOD
from winnow.evaluation.runs import HYBRID, TWO_STAGE

_RANKS = 20  # propensities that are shown
LISTED = 15  # queries that the second stage changed most


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The report as ``winnow eval --json`` prints it. Metrics are in [0, 1], times in milliseconds."""
    runs = {
        run.name: {
            **{metric: round(run.estimates[metric].mean, 4) for metric in METRICS},
            "ci95": {metric: _interval(run.estimates[metric]) for metric in METRICS},
            "p50_ms": round(run.p50_ms, 2),
        }
        for run in evaluation.runs
    }
    stages = {
        stage.name: {
            **({"engine": stage.engine} if stage.engine else {"model": stage.model}),
            "ms": round(stage.ms, 2),
            "statuses": dict(stage.statuses),
        }
        for stage in evaluation.stages
    }
    comparison = evaluation.comparison
    difference = {
        "difference": round(comparison.difference.mean, 4),
        "ci95": _interval(comparison.difference),
        "significant": comparison.significant,
    }
    counts = {"helped": comparison.helped, "hurt": comparison.hurt, "unchanged": comparison.unchanged}
    return {
        "dataset": evaluation.dataset,
        "documents": evaluation.documents,
        "queries": evaluation.queries,
        "runs": runs,
        "stages": {**stages, "degraded": evaluation.degraded},
        "comparisons": {f"{TWO_STAGE}-{HYBRID}": {NDCG: difference, **counts}},
    }


def render_table(evaluation: Evaluation) -> RenderableType:
    """A table of the runs, then the effect of the second stage and the time of each stage."""
    size = f"{counted(evaluation.documents, 'document')}, {counted(evaluation.queries, 'query')}"
    figures = (Column(name, justify="right") for name in (*METRICS, "p50 ms"))
    table = Table("run", *figures, title=f"{evaluation.dataset}: {size}")
    for run in evaluation.runs:
        means = [run.estimates[metric] for metric in METRICS]
        cells = [f"{each.mean:.3f}\n[dim]{each.low:.3f}–{each.high:.3f}[/dim]" for each in means]
        table.add_row(run.name, *cells, f"{run.p50_ms:.1f}")
    return Group(
        table,
        Text("Second lines are 95 % bootstrap intervals over the queries.", style="dim"),
        Text(describe(evaluation.comparison)),
        Text(_stages(evaluation)),
        *([Text(evaluation.basis)] if evaluation.basis else ()),
    )


def render_html(evaluation: Evaluation) -> str:
    """A chart of the runs, the effect of the second stage, and the queries that it changed most."""
    environment = Environment(
        loader=PackageLoader("winnow.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    changes = evaluation.comparison.changes
    helped = [change for change in changes if change.gain > 0]
    hurt = [change for change in reversed(changes) if change.gain < 0]
    return environment.get_template("report.html").render(
        evaluation=evaluation,
        metrics=METRICS,
        comparison=evaluation.comparison,
        counted=counted,
        sentence=describe(evaluation.comparison),
        lists=(("Helped most", helped[:LISTED]), ("Hurt most", hurt[:LISTED])),
    )


def describe(comparison: RunComparison) -> str:
    """One sentence: the gain by the second stage, its interval, and the number of queries that changed."""
    difference = comparison.difference
    verdict = "" if comparison.significant else "; the interval contains 0, so the difference may be chance"
    return (
        f"{TWO_STAGE} against {HYBRID}: nDCG@10 {difference.mean:+.3f} "
        f"[{difference.low:+.3f}, {difference.high:+.3f}]{verdict}. "
        f"{counted(comparison.helped, 'query')} better, {comparison.hurt:,} worse, {comparison.unchanged:,} unchanged."
    )


def clicks_to_json(judged: ClickJudgments, evaluation: Evaluation) -> dict[str, Any]:
    """What ``winnow eval --from-clicks --json`` adds: the correction by name, what it found, and what it was found in.

    ``judged@10`` is the share of the first ten results of each run that visitors were shown and thereby judged.
    """
    return {
        "method": METHOD,
        "searches": judged.searches,
        "clicks": sum(query.clicks for query in judged.judged),
        "queries": {"judged": len(judged.judged), "too_few_clicks": len(judged.too_few)},
        "least_clicks": LEAST_CLICKS,
        "propensities": [round(each, 4) for each in judged.bias.propensities[:_RANKS]],
        "estimated_from": {"clicks": judged.bias.clicks, "results": judged.bias.results},
        "judged@10": {run.name: round(run.judged, 4) for run in evaluation.runs},
    }


def describe_clicks(judged: ClickJudgments) -> str:
    """Which clicks the judgments come from, and how the bias of their position was corrected."""
    ranks = ", ".join(f"{each:.2f}" for each in judged.bias.propensities[:5])
    source = (
        f"from {counted(judged.bias.clicks, 'click')} on {counted(judged.bias.results, 'result')} that were shown at"
        " several ranks"
        if judged.bias.clicks
        else "assumed as 1/rank, because no clicked result was shown at several ranks"
    )
    return (
        f"Judged by {counted(sum(query.clicks for query in judged.judged), 'click')} on "
        f"{counted(len(judged.judged), 'query')} with {LEAST_CLICKS} distinct ones or more; "
        f"{counted(len(judged.too_few), 'query')} with fewer left out. Position bias is corrected by {METHOD}; "
        f"propensities of the first ranks {ranks}, {source}."
    )


def _interval(value: MeanEstimate) -> list[float]:
    return [round(value.low, 4), round(value.high, 4)]


def _stages(evaluation: Evaluation) -> str:
    parts = [
        f"{stage.name} {stage.ms:.1f} ms" + (f" ({stage.model})" if stage.model else "") for stage in evaluation.stages
    ]
    degraded = f"; {evaluation.degraded:.1%} of the answers degraded" if evaluation.degraded else ""
    return "Two stages, median: " + ", ".join(parts) + degraded
