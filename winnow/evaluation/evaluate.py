"""Evaluating a test collection: index it, run its queries in each mode, build the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from winnow.core.errors import InvalidSource
from winnow.core.types import Document
from winnow.evaluation.dataset import Dataset
from winnow.evaluation.report import Evaluation, build_report
from winnow.evaluation.runs import MODES, OnQuery, Searcher, run_queries


class IndexDocuments(Protocol):
    """Makes documents searchable in the evaluated collection; returns the reason of each failure by document id."""

    async def __call__(self, documents: Sequence[Document]) -> Mapping[str, str]: ...


async def evaluate(
    dataset: Dataset,
    *,
    index: IndexDocuments,
    searcher: Searcher,
    collection: str,
    concurrency: int = 1,
    progress: OnQuery | None = None,
) -> Evaluation:
    """Index the dataset and answer its queries in each of the four modes, one mode after the other.

    Args:
        dataset: documents, queries and judgments.
        index: makes the documents searchable in ``collection``.
        searcher: answers the queries; open it with ``runs.for_measurement(settings)`` for honest latencies.
        collection: name of the collection that ``index`` fills.
        concurrency: searches at a time.
        progress: called after every query.

    Raises:
        InvalidSource: a document was not indexed, so the metrics would be wrong.
    """
    failures = await index(dataset.documents)
    if failures:
        name, reason = next(iter(failures.items()))
        raise InvalidSource(
            f"{len(failures)} of {len(dataset.documents)} documents of {dataset.name} were not indexed, "
            f"the first is {name!r}: {reason}; fix or remove them, the metrics would be too low"
        )
    runs = [
        await run_queries(searcher, collection, dataset.queries, mode, concurrency=concurrency, progress=progress)
        for mode in MODES
    ]
    return build_report(dataset, runs)
