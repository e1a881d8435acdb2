"""The report for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from winnow.evaluation.bootstrap import Estimate
from winnow.evaluation.metrics import METRICS
from winnow.evaluation.report import Comparison, Evaluation, RunReport


def render_table(evaluation: Evaluation) -> RenderableType:
    """A table of the runs, then what the second stage changed and where the time went."""
    table = Table(title=f"{evaluation.dataset}: {evaluation.documents} documents, {evaluation.queries} queries")
    table.add_column("run")
    for metric in METRICS:
        table.add_column(metric, justify="right")
    table.add_column("p50 ms", justify="right")
    for run in evaluation.runs:
        table.add_row(run.name, *_cells(run), f"{run.p50_ms:.1f}")
    lines = [Text("Second lines are 95 % bootstrap intervals over the queries.", style="dim")]
    lines += [Text(describe(comparison)) for comparison in evaluation.comparisons]
    lines += [Text(_stages(evaluation))] if evaluation.stages else []
    return Group(table, *lines)


def describe(comparison: Comparison) -> str:
    """One sentence: what ``run`` gains over ``against``, how sure that is, and for how many queries."""
    difference = comparison.difference
    verdict = "" if comparison.significant else "; the interval holds 0: the difference may be chance"
    return (
        f"{comparison.run} against {comparison.against}: nDCG@10 {difference.mean:+.3f} "
        f"[{difference.low:+.3f}, {difference.high:+.3f}]{verdict}. "
        f"{comparison.helped} queries better, {comparison.hurt} worse, "
        f"{len(comparison.changes) - comparison.helped - comparison.hurt} unchanged."
    )


def _cells(run: RunReport) -> list[str]:
    return [_with_interval(run.estimates[metric]) for metric in METRICS]


def _with_interval(value: Estimate) -> str:
    return f"{value.mean:.3f}\n[dim]{value.low:.3f}–{value.high:.3f}[/dim]"


def _stages(evaluation: Evaluation) -> str:
    parts = [
        f"{stage.name} {stage.ms:.1f} ms" + (f" ({stage.model})" if stage.model else "") for stage in evaluation.stages
    ]
    degraded = f"; {evaluation.degraded:.1%} of the answers degraded" if evaluation.degraded else ""
    return "Two stages, median: " + ", ".join(parts) + degraded
