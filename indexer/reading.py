"""Reads sources in batches and keeps track of which documents they hold."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from indexer.sources.base import Failure, Source
from winnow.core.types import Document

BATCH_DOCUMENTS: Final = 256
BATCH_CHARS: Final = 4_000_000
BATCH_SECONDS: Final = 1.0


async def read_batches(source: Source) -> AsyncIterator[tuple[list[Document], list[Failure]]]:
    """Read a source some hundred documents at a time, or what comes within a second."""
    documents: list[Document] = []
    failures: list[Failure] = []
    count, chars, until = 0, 0, 0.0
    async with aclosing(source.read()) as items:
        async for item in items:
            if not count:
                until = time.monotonic() + BATCH_SECONDS
            count += 1
            if isinstance(item, Failure):
                failures.append(item)
            else:
                documents.append(item)
                chars += len(item.text)
            if count >= BATCH_DOCUMENTS or chars >= BATCH_CHARS or time.monotonic() > until:
                yield documents, failures
                documents, failures, count, chars = [], [], 0, 0
    if count:
        yield documents, failures


@dataclass
class Inventory:
    """The documents and failures that a run has found in its sources.

    Attributes:
        origins: by document id, the label of the source that it was first found in.
        failures: in the order in which they occurred.
    """

    origins: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    _unreadable: set[str] = field(default_factory=set)
    _incomplete: set[str] = field(default_factory=set)  # labels of sources with a failure that names no document

    def add_unreadable(self, source: Source, failures: Sequence[Failure]) -> None:
        """Record the items of a source that could not be read."""
        self.failures += failures
        self._unreadable |= {failure.document_id for failure in failures}
        if "" in self._unreadable:
            self._unreadable.remove("")
            self._incomplete.add(source.label)

    def lacks(self, document_id: str) -> bool:
        """Whether a document was neither found nor named by a failure."""
        return document_id not in self.origins and document_id not in self._unreadable

    def missing_from(self, source: Source, lacking: Sequence[str]) -> Sequence[str]:
        """Of documents that an earlier run found in ``source`` and that this run lacks, those to delete.

        None of them, and a failure that says so, if parts of the source that could not be read may hold them.
        """
        if not lacking or source.label not in self._incomplete:
            return lacking
        message = f"{len(lacking):,} documents were not found; they are kept, as unreadable parts may contain them"
        self.failures.append(Failure(source.label, "kept_missing", message))
        return ()
