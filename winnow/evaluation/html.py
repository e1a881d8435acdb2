"""The report as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from winnow.evaluation.chart import draw_chart
from winnow.evaluation.metrics import METRICS
from winnow.evaluation.report import Comparison, Evaluation, QueryChange
from winnow.evaluation.table import describe

_LISTED = 15


def render_html(evaluation: Evaluation) -> str:
    """The page: a chart of the runs, what the second stage changed, and the queries it changed most."""
    environment = Environment(
        loader=PackageLoader("winnow.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    comparison = next(iter(evaluation.comparisons), None)
    helped, hurt = _extremes(comparison) if comparison else ((), ())
    return environment.get_template("report.html").render(
        evaluation=evaluation,
        chart=draw_chart(evaluation.runs),
        metrics=METRICS,
        comparison=comparison,
        sentence=describe(comparison) if comparison else "",
        lists=(("Helped most", helped), ("Hurt most", hurt)),
    )


def _extremes(comparison: Comparison) -> tuple[tuple[QueryChange, ...], tuple[QueryChange, ...]]:
    helped = tuple(change for change in comparison.changes if change.gain > 0)
    hurt = tuple(change for change in reversed(comparison.changes) if change.gain < 0)
    return helped[:_LISTED], hurt[:_LISTED]
