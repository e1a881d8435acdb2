"""The Prometheus metrics of one process. docs/operations/metrics.md lists them; a test compares."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import partial
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from winnow.core.clock import Clock, utc_now
from winnow.core.instruments import INSTRUMENTS, series
from winnow.core.marks import WARNING_CODES
from winnow.core.search import SearchAnswer
from winnow.core.settings import Settings
from winnow.operations.live_metrics import LiveMetrics
from winnow.ports import Outcome

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_SHORT: Final = (0.001, 0.003, 0.01, 0.03, 0.1)
_SHARES: Final = (0.1, 0.2, 0.3, 0.5, 0.75, 0.9, 1.0, 1.1, 1.5, 2.0, 5.0)  # of the budget of a search
_FRESH: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


def search_buckets(budget_ms: float) -> tuple[float, ...]:
    """Upper bounds of the buckets of search times in seconds: dense around the budget and the shares of its stages."""
    budget = budget_ms / 1000
    shares = [float(f"{share * budget:.3g}") for share in _SHARES]
    return (*(each for each in _SHORT if each < shares[0]), *shares)


class Metrics:
    """What is counted as it happens, beside what is read when metrics are asked for (``live``).

    No label holds a query, a document, a collection or a tenant.

    Args:
        registry: holds the metrics; each application has its own.
        budget_ms: of a search; the buckets of times are chosen around it.
        clock: the time of day.

    Attributes:
        live: the state of pools, queues and caches; empty until it is given something to watch.
    """

    def __init__(self, registry: CollectorRegistry, *, budget_ms: float = 3000.0, clock: Clock = utc_now) -> None:
        self._registry = registry
        self._clock = clock
        counter = partial(Counter, registry=registry)
        timer = partial(Histogram, registry=registry)
        times = search_buckets(budget_ms)
        self._stage = timer(
            "winnow_stage_seconds", "Time in one stage of a search.", ("stage", "status"), buckets=times
        )
        self._searches = timer(
            "winnow_search_seconds", "Time of an answered search.", ("score_kind", "speed", "degraded"), buckets=times
        )
        self._search_errors = counter("winnow_search_errors", "Searches that ended with an error, by code.", ("code",))
        self._events = counter(
            "winnow_visitor_events", "Events of visitors: taken, by type, or rejected.", ("outcome",)
        )
        self._documents = counter("winnow_documents", "Documents that were submitted, by outcome.", ("outcome",))
        self._warnings = counter(
            "winnow_document_warnings", "Losses in reading of the documents that were accepted, by code.", ("code",)
        )
        self._fresh = timer(
            "winnow_freshness_seconds", "Time from the submission of a document until it is found.", buckets=_FRESH
        )
        self._requests = timer(
            "winnow_http_request_seconds",
            "Time to answer an HTTP request.",
            ("door", "route", "method", "status"),
            buckets=times,
        )
        self.in_flight = Gauge(
            "winnow_http_requests_in_flight", "HTTP requests that are being answered.", registry=registry
        )
        self._build = Info("winnow_build", "Version, Python, and the adapters in use; always 1.", registry=registry)
        self.live = LiveMetrics(clock)
        for each in (*INSTRUMENTS, self.live):
            registry.register(each)
        ProcessCollector(registry=registry)

    def describe(self, settings: Settings, version: str) -> None:
        """Export the version and the adapters."""
        self._build.info(
            {
                "version": version,
                "python": platform.python_version(),
                "embedding": settings.embedding.provider,
                "rerank": settings.rerank.provider,
                "vectors": settings.vectors.provider,
                "catalog": settings.catalog_url.partition(":")[0].partition("+")[0],
            }
        )

    def observe_search(self, answer: SearchAnswer) -> None:
        """Count an answered search and the time of each stage that ran."""
        series(self._searches, answer.score_kind, answer.speed, str(answer.degraded).lower()).observe(
            answer.took_ms / 1000
        )
        for stage, report in (("embed", answer.embed), ("retrieve", answer.retrieve), ("rerank", answer.rerank)):
            series(self._stage, stage, report.status).observe(report.ms / 1000)

    def observe_search_error(self, code: str) -> None:
        """Count a search that ended with an error of this code."""
        self._search_errors.labels(code).inc()

    def observe_documents(self, outcome: str, count: int = 1) -> None:
        """Count ``count`` documents with one ``outcome``: ``accepted``, ``rejected``, ``indexed`` or ``failed``."""
        self._documents.labels(outcome).inc(count)

    def observe_event(self, outcome: str, count: int = 1) -> None:
        """Count events of visitors: ``click``, ``conversion`` or ``rejected``."""
        self._events.labels(outcome).inc(count)

    def observe_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Count what a worker did with the documents of a batch."""
        now = self._clock()
        for outcome in outcomes:
            if outcome.error is not None:
                self.observe_documents("failed" if outcome.retry_in is None else "retried")
                continue
            self.observe_documents("deleted" if outcome.claim.kind == "delete" else "indexed")
            if outcome.claim.kind == "index" and outcome.claim.submitted_at is not None:
                self._fresh.observe(max(0.0, (now - outcome.claim.submitted_at).total_seconds()))

    def observe_warning(self, code: str) -> None:
        """Count one warning of an accepted document; codes that are not ours are counted together."""
        self._warnings.labels(code if code in WARNING_CODES else "other").inc()

    def observe_http(self, door: str, route: str, method: str, status: int, seconds: float) -> None:
        """Count one HTTP exchange. ``route`` is the route's template, never the path itself."""
        known = method if method in _METHODS else "other"  # a client may send any method
        series(self._requests, door, route, known, str(status)).observe(seconds)

    async def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        await self.live.refresh()
        return generate_latest(self._registry)
