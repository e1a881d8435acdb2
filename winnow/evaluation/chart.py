"""Geometry of the report's bar chart: numbers in, coordinates out. Drawn as SVG by ``templates/report.html``."""

from __future__ import annotations

from dataclasses import dataclass

from winnow.evaluation.metrics import METRICS
from winnow.evaluation.report import RunReport

WIDTH, HEIGHT = 920, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 18, 34
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_GAP_BARS, _GAP_GROUPS = 8, 44


@dataclass(frozen=True, slots=True)
class Bar:
    """One metric of one run: the bar, and ``low``/``high`` of its error bar, in SVG units."""

    run: str
    metric: str
    label: str
    tooltip: str
    x: float
    y: float
    width: float
    height: float
    low: float
    high: float

    @property
    def middle(self) -> float:
        """Where the error bar stands."""
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Mark:
    """A tick or a group's name, and where it stands on its axis."""

    label: str
    at: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars grouped by metric, one per run."""

    bars: tuple[Bar, ...]
    ticks: tuple[Mark, ...]
    groups: tuple[Mark, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    base: int = HEIGHT - _BOTTOM


def draw_chart(runs: tuple[RunReport, ...]) -> Chart:
    """Lay out a group of bars for each metric, on an axis from 0 to 1."""
    group = (WIDTH - _LEFT - _RIGHT) / len(METRICS)
    width = (group - _GAP_GROUPS - _GAP_BARS * (len(runs) - 1)) / len(runs)
    bars = [
        _bar(run, metric, _LEFT + group * column + _GAP_GROUPS / 2 + (width + _GAP_BARS) * row, width)
        for column, metric in enumerate(METRICS)
        for row, run in enumerate(runs)
    ]
    return Chart(
        bars=tuple(bars),
        ticks=tuple(Mark(f"{value:.1f}", _height_of(value)) for value in _TICKS),
        groups=tuple(Mark(metric, _LEFT + group * (column + 0.5)) for column, metric in enumerate(METRICS)),
    )


def _bar(run: RunReport, metric: str, x: float, width: float) -> Bar:
    value = run.estimates[metric]
    top = _height_of(value.mean)
    return Bar(
        run=run.name,
        metric=metric,
        label=f"{value.mean:.3f}",
        tooltip=f"{run.name}: {metric} {value.mean:.4f}, 95 % interval {value.low:.4f} to {value.high:.4f}",
        x=x,
        y=top,
        width=width,
        height=_height_of(0.0) - top,
        low=_height_of(value.low),
        high=_height_of(value.high),
    )


def _height_of(value: float) -> float:
    return HEIGHT - _BOTTOM - value * (HEIGHT - _TOP - _BOTTOM)
