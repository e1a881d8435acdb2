"""What ``stack.py`` measured, the ratios that count, and the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Milliseconds = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Searches:
    """Searches of one kind: milliseconds of each and of its stages together, seconds of all, CPU ms a search."""

    times: Milliseconds
    stages: Milliseconds
    seconds: float
    cpu: Mapping[str, float]

    @classmethod
    def joined(cls, parts: Sequence[Searches]) -> Searches:
        """Several runs as one."""
        return cls(
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.stages for part in parts]),
            sum(part.seconds for part in parts),
            {name: median(part.cpu[name] for part in parts) for name in parts[0].cpu},
        )

    def p(self, percent: float) -> float:
        """A percentile of the milliseconds."""
        return float(np.percentile(self.times, percent))

    @property
    def per_second(self) -> float:
        """Searches a second."""
        return len(self.times) / self.seconds

    @property
    def over_stages(self) -> float:
        """The median search over HTTP ÷ the median sum of its stages."""
        return self.p(50) / float(np.median(self.stages))


@dataclass(frozen=True, slots=True)
class StackFigures:
    """The stack with instant models.

    Attributes:
        searches: by the number of clients.
        samples: of the service's CPU by part, while one client searched.
        chunks_per_s: while indexing.
        indexing: CPU ms a chunk by process.
    """

    searches: Mapping[int, Searches]
    samples: Mapping[str, int]
    chunks_per_s: float
    indexing: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SetUp:
    """One set-up with the bundled models: runs by one client and by eight, CPU seconds of indexing by process."""

    runs: Sequence[tuple[Searches, Searches]]
    indexing: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PairFigures:
    """Both set-ups with the bundled models; ratios are taken within a round, then their median."""

    server: SetUp
    edge: SetUp

    @property
    def p50(self) -> float:
        """Median search, server ÷ edge."""
        return median(s[0].p(50) / e[0].p(50) for s, e in zip(self.server.runs, self.edge.runs, strict=True))

    @property
    def searches_per_s(self) -> float:
        """Searches a second by eight clients, server ÷ edge."""
        return median(s[1].per_second / e[1].per_second for s, e in zip(self.server.runs, self.edge.runs, strict=True))

    @property
    def indexing(self) -> float:
        """CPU seconds of indexing, server ÷ edge."""
        return sum(self.server.indexing.values()) / sum(self.edge.indexing.values())


@dataclass(frozen=True, slots=True)
class Row:
    """A figure with its target."""

    name: str
    value: float
    bound: float
    at_least: bool = False

    def to_markdown(self, where: str) -> str:
        """A row of the table."""
        met = self.value >= self.bound if self.at_least else self.value <= self.bound
        sign = "≥" if self.at_least else "≤"
        return f"| {self.name} | {where} | **{self.value:,.2f}** | {sign} {self.bound:,} | {'yes' if met else 'no'} |"


_HEAD: Final = ["", "| figure | Qdrant | value | target | met |", "|---|---|---:|---:|---|"]


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything. ``qdrant`` is the server's version, or ``stub``."""

    qdrant: str
    dataset: str
    documents: int
    stack: StackFigures
    pair: PairFigures | None

    def to_json(self) -> dict[str, Any]:
        """The figures for programs."""
        single = self.stack.searches[1]
        stack = {
            "p50_ms": round(single.p(50), 2),
            "p95_ms": round(single.p(95), 2),
            "cpu_ms_a_search": round(single.cpu["service"], 2),
            "searches_per_s": {str(clients): round(run.per_second, 1) for clients, run in self.stack.searches.items()},
            "chunks_per_s": round(self.stack.chunks_per_s, 1),
        }
        ratios = None
        if self.pair is not None:
            ratios = {"p50": round(self.pair.p50, 3), "searches_per_s": round(self.pair.searches_per_s, 3)}
        return {"qdrant": self.qdrant, "stack": stack, "server_over_edge": ratios}

    def to_markdown(self, about: Mapping[str, str]) -> str:
        """The figures for people."""
        lines = [f"{self.documents} documents of {self.dataset}; Qdrant: {self.qdrant}.", ""]
        lines += [f"- {key}: {value}" for key, value in about.items()]
        lines += [*_HEAD, *(row.to_markdown(self.qdrant) for row in self._rows())]
        lines += self._searches() + self._processes() + self._parts()
        return "\n".join(lines)

    def _rows(self) -> list[Row]:
        one, many = self.stack.searches[1], self.stack.searches[32]
        rows = [
            Row("instant models: search p50, ms", one.p(50), 7.0),
            Row("instant models: CPU of the service a search, ms", one.cpu["service"], 3.5),
            Row("instant models: p95 ÷ p50 with 32 clients", many.p(95) / many.p(50), 3.0),
            Row("instant models: p50 over HTTP ÷ its stages", one.over_stages, 1.1),
            Row("instant models: indexing, chunks/s", self.stack.chunks_per_s, 2500, at_least=True),
        ]
        if self.pair is not None:
            rows += [
                Row("bundled models: search p50, server ÷ edge", self.pair.p50, 1.2),
                Row("bundled models: searches/s with 8 clients, server ÷ edge", self.pair.searches_per_s, 0.85, True),
                Row("bundled models: CPU of indexing, server ÷ edge", self.pair.indexing, 1.1),
                Row("edge: p50 over HTTP ÷ its stages", self._edge_single().over_stages, 1.1),
            ]
        return rows

    def _edge_single(self) -> Searches:
        assert self.pair is not None
        return Searches.joined([single for single, _ in self.pair.edge.runs])

    def _searches(self) -> list[str]:
        lines = ["", "| set-up | clients | p50 ms | p95 ms | searches/s | CPU ms a search, service |"]
        lines += ["|---|---:|---:|---:|---:|---:|"]
        runs = [("instant models", clients, run) for clients, run in self.stack.searches.items()]
        if self.pair is not None:
            for name, set_up in (("bundled, server", self.pair.server), ("bundled, edge", self.pair.edge)):
                for index, clients in ((0, 1), (1, 8)):
                    runs.append((name, clients, Searches.joined([pair[index] for pair in set_up.runs])))
        for name, clients, run in runs:
            figures = f"{run.p(50):.2f} | {run.p(95):.2f} | {run.per_second:.1f} | {run.cpu['service']:.2f}"
            lines.append(f"| {name} | {clients} | {figures} |")
        return lines

    def _processes(self) -> list[str]:
        single = self.stack.searches[1].cpu
        lines = ["", "| instant models, process | CPU ms a search | CPU ms a chunk indexed |", "|---|---:|---:|"]
        return lines + [f"| {name} | {single[name]:.2f} | {self.stack.indexing[name]:.2f} |" for name in single]

    def _parts(self) -> list[str]:
        total, cpu = sum(self.stack.samples.values()), self.stack.searches[1].cpu["service"]
        lines = ["", "| instant models, part of the service | share | CPU ms a search |", "|---|---:|---:|"]
        for name, count in sorted(self.stack.samples.items(), key=lambda item: -item[1]):
            lines.append(f"| {name} | {count / total:.1%} | {cpu * count / total:.2f} |")
        return lines
