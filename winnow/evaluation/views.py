"""The report for a terminal and as an HTML page, which needs no script, font or picture from elsewhere."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from winnow.evaluation.metrics import METRICS, MeanEstimate
from winnow.evaluation.report import Evaluation, RunComparison

LISTED = 15  # queries that the second stage changed most


def render_table(evaluation: Evaluation) -> RenderableType:
    """A table of the runs, then the effect of the second stage and the time of each stage."""
    table = Table(title=f"{evaluation.dataset}: {evaluation.documents} documents, {evaluation.queries} queries")
    table.add_column("run")
    for name in (*METRICS, "p50 ms"):
        table.add_column(name, justify="right")
    for run in evaluation.runs:
        cells = (_with_interval(run.estimates[metric]) for metric in METRICS)
        table.add_row(run.name, *cells, f"{run.p50_ms:.1f}")
    lines = [Text("Second lines are 95 % bootstrap intervals over the queries.", style="dim")]
    lines += [Text(describe(comparison)) for comparison in evaluation.comparisons]
    lines += [Text(_stages(evaluation))] if evaluation.stages else []
    return Group(table, *lines)


def render_html(evaluation: Evaluation) -> str:
    """A chart of the runs, the effect of the second stage, and the queries that it changed most."""
    environment = Environment(
        loader=PackageLoader("winnow.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    comparison = next(iter(evaluation.comparisons), None)
    changes = comparison.changes if comparison is not None else ()
    helped = [change for change in changes if change.gain > 0]
    hurt = [change for change in reversed(changes) if change.gain < 0]
    return environment.get_template("report.html").render(
        evaluation=evaluation,
        metrics=METRICS,
        comparison=comparison,
        sentence=describe(comparison) if comparison else "",
        lists=(("Helped most", helped[:LISTED]), ("Hurt most", hurt[:LISTED])),
    )


def describe(comparison: RunComparison) -> str:
    """One sentence: the gain of ``run`` over ``against``, its interval, and the number of queries that changed."""
    difference = comparison.difference
    verdict = "" if comparison.significant else "; the interval contains 0, so the difference may be chance"
    return (
        f"{comparison.run} against {comparison.against}: nDCG@10 {difference.mean:+.3f} "
        f"[{difference.low:+.3f}, {difference.high:+.3f}]{verdict}. "
        f"{comparison.helped} queries better, {comparison.hurt} worse, {comparison.unchanged} unchanged."
    )


def _with_interval(value: MeanEstimate) -> str:
    return f"{value.mean:.3f}\n[dim]{value.low:.3f}–{value.high:.3f}[/dim]"


def _stages(evaluation: Evaluation) -> str:
    parts = [
        f"{stage.name} {stage.ms:.1f} ms" + (f" ({stage.model})" if stage.model else "") for stage in evaluation.stages
    ]
    degraded = f"; {evaluation.degraded:.1%} of the answers degraded" if evaluation.degraded else ""
    return "Two stages, median: " + ", ".join(parts) + degraded
