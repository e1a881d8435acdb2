"""Metrics of the sources that collections keep: the outcome of their last runs. Ids name them, not addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from winnow.ports import KeptSource


def source_families(sources: Sequence[KeptSource]) -> Iterator[Metric]:
    """All families; a source that never ran has no samples."""
    complete = GaugeMetricFamily(
        "winnow_source_ok", "1 if the last run of a kept source read everything.", labels=["source"]
    )
    ended = GaugeMetricFamily(
        "winnow_source_last_run_timestamp_seconds", "When the last run of a kept source ended.", labels=["source"]
    )
    documents = GaugeMetricFamily(
        "winnow_source_documents", "Documents of the last run of a kept source.", labels=["source", "outcome"]
    )
    for source in sources:
        if (last := source.last) is None:
            continue
        complete.add_metric([source.id], float(last.status == "ok"))
        ended.add_metric([source.id], last.ended_at.timestamp())
        for outcome, count in last.documents.items():
            documents.add_metric([source.id, outcome], count)
    yield from (complete, ended, documents)
