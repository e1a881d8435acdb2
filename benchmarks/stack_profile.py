"""``winnow`` with a sampler of its own CPU time by part: ``python benchmarks/stack_profile.py REPORT serve …``.

SIGUSR2 starts sampling, a second one ends it and writes ``{part: samples}`` to REPORT. A sample is taken each
millisecond of the process's CPU time and belongs to the innermost frame of the main thread whose file is of a part.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

SECONDS: Final = 0.001
PARTS: Final = (  # the first that a path contains
    ("winnow/search/fusion", "fusion"),
    ("winnow/search/highlight", "highlights"),
    ("winnow/search/query_cache", "query cache"),
    ("winnow/search", "search"),
    ("winnow/vectors", "vector store"),
    ("qdrant_client", "vector store"),
    ("/grpc/", "vector store"),
    ("winnow/models", "models"),
    ("aiohttp", "models"),
    ("yarl", "models"),
    ("service/answer", "answer"),
    ("service/wire", "answer"),
    ("winnow/operations/metrics", "metrics"),
    ("prometheus_client", "metrics"),
    ("structlog", "log"),
    ("/logging/", "log"),
    ("winnow/catalog", "catalog"),
    ("indexer/", "worker"),
    ("service/middleware", "web framework"),
    ("service/", "web framework"),
    ("fastapi", "web framework"),
    ("starlette", "web framework"),
    ("uvicorn", "HTTP server"),
    ("winnow/core/retry", "retries"),
)


class Sampler:
    """Counts samples while it is on."""

    def __init__(self, report: Path) -> None:
        self._report = report
        self._counts: Counter[str] = Counter()
        self._known: dict[str, str | None] = {}
        self._on = False

    def toggle(self, _signal: int, _frame: FrameType | None) -> None:
        """Start, or end and write the report."""
        self._on = not self._on
        signal.setitimer(signal.ITIMER_PROF, *((SECONDS, SECONDS) if self._on else (0, 0)))
        if not self._on:
            self._report.write_text(json.dumps(self._counts), encoding="utf-8")
            self._counts.clear()

    def sample(self, _signal: int, frame: FrameType | None) -> None:
        """Count one sample."""
        while frame is not None:
            file = frame.f_code.co_filename
            if file not in self._known:
                self._known[file] = next((name for path, name in PARTS if path in file), None)
            if part := self._known[file]:
                self._counts[part] += 1
                return
            frame = frame.f_back
        self._counts["event loop"] += 1


def main() -> None:
    """Be the command ``winnow`` with the arguments after the first."""
    sampler = Sampler(Path(sys.argv[1]))
    signal.signal(signal.SIGUSR2, sampler.toggle)
    signal.signal(signal.SIGPROF, sampler.sample)
    from winnow.cli.main import main as winnow  # noqa: PLC0415 - the handlers are there first

    sys.argv = ["winnow", *sys.argv[2:]]
    winnow(sys.argv[1:])


if __name__ == "__main__":
    main()
