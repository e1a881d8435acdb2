"""The Prometheus metrics of one process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from winnow.core.marks import WARNING_CODES
from winnow.core.search import SearchAnswer
from winnow.ports import Outcome

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Metrics:
    """Counters and histograms. No label holds a query, a document or a tenant.

    Args:
        registry: holds the metrics; each application has its own.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        counter = partial(Counter, registry=registry)
        timer = partial(Histogram, buckets=_SECONDS, registry=registry)
        exchange = ("route", "method", "status")
        self._stage = timer("winnow_stage_seconds", "Time in one stage of a search.", ("stage", "status"))
        self._searches = counter("winnow_searches", "Searches that were answered.", ("score_kind", "degraded"))
        self._documents = counter("winnow_documents", "Documents that were submitted, by outcome.", ("outcome",))
        self._warnings = counter(
            "winnow_document_warnings", "Losses in reading of the documents that were accepted, by code.", ("code",)
        )
        self._requests = counter("winnow_http_requests", "HTTP requests answered.", exchange)
        self._request_seconds = timer("winnow_http_request_seconds", "Time to answer an HTTP request.", exchange)

    def observe_search(self, answer: SearchAnswer) -> None:
        """Count an answered search and the time of each stage that ran."""
        self._searches.labels(answer.score_kind, str(answer.degraded).lower()).inc()
        for stage, report in (("embed", answer.embed), ("retrieve", answer.retrieve), ("rerank", answer.rerank)):
            self._stage.labels(stage, report.status).observe(report.ms / 1000)

    def observe_documents(self, outcome: str, count: int = 1) -> None:
        """Count ``count`` documents with one ``outcome``: ``accepted``, ``rejected``, ``indexed`` or ``failed``."""
        self._documents.labels(outcome).inc(count)

    def observe_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Count what a worker did with the documents of a batch."""
        for outcome in outcomes:
            done = "deleted" if outcome.claim.kind == "delete" else "indexed"
            failed = "failed" if outcome.retry_in is None else "retried"
            self.observe_documents(done if outcome.error is None else failed)

    def observe_warning(self, code: str) -> None:
        """Count one warning of an accepted document; codes that are not ours are counted together."""
        self._warnings.labels(code if code in WARNING_CODES else "other").inc()

    def observe_http(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one HTTP exchange. ``route`` is the route's template, never the path itself."""
        known = method if method in _METHODS else "other"  # a client may send any method
        self._requests.labels(route, known, str(status)).inc()
        self._request_seconds.labels(route, known, str(status)).observe(seconds)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
