"""From a test collection to a report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from winnow.core.errors import InvalidSource
from winnow.core.types import Document
from winnow.evaluation.dataset import Dataset
from winnow.evaluation.report import Evaluation, build_report
from winnow.evaluation.runs import MODES, Progress, Searcher, run_queries


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """How indexing ended: id -> reason for each document that cannot be found now."""

    failures: dict[str, str]


class IndexDocuments(Protocol):
    """Makes documents searchable in the collection that is evaluated; documents already there cost nothing."""

    async def __call__(self, documents: Iterable[Document]) -> IndexSummary: ...


async def evaluate(
    dataset: Dataset,
    *,
    index: IndexDocuments,
    searcher: Searcher,
    collection: str,
    concurrency: int = 1,
    progress: Progress | None = None,
) -> Evaluation:
    """Index the dataset and answer its queries in each of the four modes, one mode after the other.

    Args:
        dataset: documents, queries and judgments.
        index: makes the documents searchable in ``collection``.
        searcher: answers; build it from ``evaluation.runs.for_measurement(settings)`` for honest latencies.
        collection: name of the collection that ``index`` fills.
        concurrency: searches under way at once.
        progress: told after every query.

    Raises:
        InvalidSource: a document was not indexed, so no figure would be true.
    """
    summary = await index(dataset.documents)
    if summary.failures:
        name, reason = next(iter(summary.failures.items()))
        raise InvalidSource(
            f"{len(summary.failures)} of {len(dataset.documents)} documents of {dataset.name} were not indexed, "
            f"the first is {name!r}: {reason}; mend or remove them, the figures would be too low"
        )
    runs = [
        await run_queries(searcher, collection, dataset.queries, mode, concurrency=concurrency, progress=progress)
        for mode in MODES
    ]
    return build_report(dataset, runs)
