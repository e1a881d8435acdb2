"""What was measured, the ratios that count, and the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from load import Latency


@dataclass(frozen=True, slots=True)
class SystemFigures:
    """One system in one round."""

    documents_per_second: float
    latency: Latency
    searches_per_second: float


@dataclass(frozen=True, slots=True)
class Round:
    """Everything once. ``encoder`` is documents a second through the bare encoder."""

    winnow: SystemFigures
    txtai: SystemFigures
    encoder: float


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio that is to be at least, or at most, ``bound``."""

    name: str
    of: Callable[[Round], float]
    bound: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        """Whether ``value`` is on the right side."""
        return value >= self.bound if self.at_least else value <= self.bound


def targets(*, avx2: bool) -> tuple[Target, ...]:
    """The targets on a CPU with VNNI, or with AVX2 alone."""
    indexing, latency, rate = (2.5, 0.65, 3.0) if avx2 else (4.5, 0.45, 4.0)
    return (
        Target(
            "indexing, Winnow ÷ txtai", lambda r: r.winnow.documents_per_second / r.txtai.documents_per_second, indexing
        ),
        Target("indexing, Winnow ÷ bare encoder", lambda r: r.winnow.documents_per_second / r.encoder, 0.8),
        Target(
            "search p50, Winnow (two stages) ÷ txtai (one stage)",
            lambda r: r.winnow.latency.p50_ms / r.txtai.latency.p50_ms,
            latency,
            at_least=False,
        ),
        Target(
            "searches/s with 8 clients, Winnow ÷ txtai",
            lambda r: r.winnow.searches_per_second / r.txtai.searches_per_second,
            rate,
        ),
    )


ROWS: tuple[tuple[str, Callable[[SystemFigures], float]], ...] = (
    ("indexing, documents/s", lambda s: s.documents_per_second),
    ("search one at a time, p50 ms", lambda s: s.latency.p50_ms),
    ("search one at a time, p99 ms", lambda s: s.latency.p99_ms),
    ("searches/s with 8 clients", lambda s: s.searches_per_second),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """All rounds. ``txtai_indexing`` says in which of its two ways txtai indexed: the faster one."""

    dataset: str
    documents: int
    txtai_indexing: str
    rounds: list[Round]
    targets: tuple[Target, ...]

    def to_json(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "about": dict(about),
            "dataset": self.dataset,
            "documents": self.documents,
            "txtai_indexing": self.txtai_indexing,
            "ratios": {
                target.name: {
                    "median": round(self._median(target.of), 3),
                    "rounds": [round(target.of(item), 3) for item in self.rounds],
                    "target": f"{'≥' if target.at_least else '≤'} {target.bound}",
                    "met": target.met(self._median(target.of)),
                }
                for target in self.targets
            },
            "rounds": [asdict(item) for item in self.rounds],
        }

    def to_markdown(self, about: Mapping[str, Any]) -> str:
        """Everything, for people."""
        lines = [f"{self.documents} documents of {self.dataset}, medians of {len(self.rounds)} rounds.", ""]
        lines += [f"- {key}: {value}" for key, value in about.items()]
        lines += ["", "| ratio | median | rounds | target | met |", "|---|---:|---|---:|---|"]
        lines += [self._ratio(target) for target in self.targets]
        lines += ["", "| | Winnow | txtai | bare encoder |", "|---|---:|---:|---:|"]
        for name, of in ROWS:
            ours, theirs = median(of(r.winnow) for r in self.rounds), median(of(r.txtai) for r in self.rounds)
            encoder = f"{median(r.encoder for r in self.rounds):.1f}" if "indexing" in name else ""
            lines.append(f"| {name} | {ours:.1f} | {theirs:.1f} | {encoder} |")
        lines += ["", f"txtai indexed {self.txtai_indexing}, the faster of its two ways here."]
        return "\n".join(lines)

    def _ratio(self, target: Target) -> str:
        value = self._median(target.of)
        rounds = ", ".join(f"{target.of(item):.2f}" for item in self.rounds)
        bound = f"{'≥' if target.at_least else '≤'} {target.bound}"
        return f"| {target.name} | **{value:.2f}** | {rounds} | {bound} | {'yes' if target.met(value) else 'no'} |"

    def _median(self, of: Callable[[Round], float]) -> float:
        return median(of(item) for item in self.rounds)
