"""The port of the catalog through which lost indexes are filled again."""

from __future__ import annotations

from typing import Protocol

from winnow.core.rebuild import RebuildProgress
from winnow.core.types import Collection


class RebuildCatalog(Protocol):
    """The record of lost indexes and the queueing of their documents. Every method is one transaction.

    Each may be repeated, by any process: together they end in the same place.
    """

    async def begin(self, name: str, generation: int) -> Collection:
        """Record that the serving index of this number is lost, with a job; from the commit on it is not searched.

        A rebuild that is recorded already stays as it is. Nothing is recorded if another index serves.

        Raises:
            CollectionNotFound: the collection does not exist.
        """

    async def restart(self, name: str) -> Collection:
        """Begin to queue from the first document again: the index was lost once more."""

    async def queue(self, name: str, *, limit: int = 1000) -> int:
        """Queue the next documents of a rebuild to be written again; return how many documents were looked at.

        A document becomes ``pending`` with a higher revision, in the rebuild's job. One that waits already keeps its
        place; what a worker is writing is refused at its commit and written again. A document whose newest revision
        failed is tried once more, and one whose change was cancelled loses the older revision, whose text is gone.
        """

    async def queue_second(self, name: str) -> None:
        """Have every document written to the index beside the serving one again; ``built`` of all is forgotten."""

    async def progress(self, name: str) -> RebuildProgress | None:
        """How far the rebuild is; ``None`` where there is none."""

    async def end(self, name: str) -> bool:
        """Forget the rebuild if all documents are queued and none of its job is pending; tell whether there is none."""
