"""The indexes of names that instant searches ask: filled from catalog and store on first use, then kept current.

Each process has its own, in memory. It reads which revision of which document is indexed from the catalog, and the
chunks from the vector store; afterwards it asks the catalog what has changed: at once where this process wrote
something, else once a second. Searches never wait for a filling that takes long: they say how far it is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final

from winnow.core.clock import Clock, utc_now
from winnow.core.errors import WinnowError
from winnow.core.types import IndexRef
from winnow.ports import Catalog, IndexedDocument, OpenTypeahead, Point, TypeaheadIndex, VectorStore
from winnow.search.name_entries import entries_of

PATIENCE: Final = 0.25  # seconds for which a search waits for changes, or for the filling of a small index
POLL: Final = 1.0  # seconds after which other processes' changes are looked for
MARGIN: Final = timedelta(seconds=10)  # of clocks of other machines, and of transactions that take long
FORGOTTEN: Final = 300.0  # seconds without a look after which all entries are compared: deletions may be forgotten
MOST: Final = 64  # collections whose names are kept
_PAGE: Final = 1000
_POINTS: Final = 2000  # read at a time

log = logging.getLogger(__name__)


class NameIndex:
    """The names of one collection, and how far they are read.

    Attributes:
        ref: the index of the chunks that the names lead to.
        names: the index itself.
        has_access: whether one of the documents has a tenant or an access list.
        done: documents that were compared since filling began.
    """

    def __init__(
        self,
        ref: IndexRef,
        name: str,
        catalog: Catalog,
        store: VectorStore,
        names: TypeaheadIndex,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self.names = names
        self._patience = patience
        self.has_access = False
        self.done = 0
        self.ref = ref
        self._name = name
        self._catalog = catalog
        self._store = store
        self._clock: Clock = utc_now
        self._revisions: dict[str, int] = {}
        self._has_news = False  # that are not published
        self._is_filled = False
        self._since = self._clock()
        self._looked = 0.0  # by time.monotonic
        self._writes = -1
        self._work: asyncio.Task[None] | None = None

    @property
    def is_current(self) -> bool:
        """Whether all documents that were indexed up to now are there, as far as this process knows without asking."""
        return self._is_current(self._catalog.writes())

    async def is_ready(self, patience: float | None = None) -> bool:
        """Whether all documents that were indexed up to now are there; waits a moment for what is missing.

        Args:
            patience: how long, in seconds.
        """
        patience = self._patience if patience is None else patience
        writes = self._catalog.writes()
        if self._is_current(writes):
            return True
        begun_before = self._work
        await self._wait(patience)
        if begun_before is not None and self._work is None and self._is_filled and self._writes != writes:
            await self._wait(patience)  # what was going on had not seen the newest change
        return self._is_filled

    async def close(self) -> None:
        """End the work and free the memory."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        await asyncio.to_thread(self.names.close)

    def _is_current(self, writes: int) -> bool:
        return self._is_filled and writes == self._writes and time.monotonic() - self._looked < POLL

    async def _wait(self, patience: float) -> None:
        if self._work is None:
            self._work = asyncio.create_task(self._follow())
            self._work.add_done_callback(self._ended)
        try:
            await asyncio.wait_for(asyncio.shield(self._work), patience)
        except TimeoutError:
            return

    def _ended(self, work: asyncio.Task[None]) -> None:
        self._work = None
        if not work.cancelled() and (error := work.exception()) is not None:
            level = logging.WARNING if isinstance(error, WinnowError) else logging.ERROR
            log.log(level, "cannot read the names of %s: %s", self._name, error, exc_info=error)

    async def _follow(self) -> None:
        writes, looked, began = self._catalog.writes(), time.monotonic(), self._clock()
        if not self._is_filled or looked - self._looked > FORGOTTEN:
            await self._compare_all()
        else:
            changes = await self._catalog.audit.changes(self._name, self._since - MARGIN)
            kept = {each.id for each in changes.changed}
            await self._take(changes.changed, [each for each in changes.removed if each not in kept])
        if self._has_news:
            await asyncio.to_thread(self.names.publish)
            self._has_news = False
        self._writes, self._looked, self._since, self._is_filled = writes, looked, began, True

    async def _compare_all(self) -> None:
        """Take every document whose revision is not known yet, and forget those that are gone."""
        self.done, after, seen = 0, "", set[str]()
        while page := await self._catalog.audit.entries(self._name, after=after, limit=_PAGE):
            await self._take([IndexedDocument(each.id, each.indexed_revision, each.points) for each in page], ())
            seen.update(each.id for each in page)
            after = page[-1].id
            self.done += len(page)
        await self._take((), [each for each in self._revisions if each not in seen])

    async def _take(self, changed: Sequence[IndexedDocument], removed: Collection[str]) -> None:
        gone = [*removed, *(each.id for each in changed if each.revision is None)]
        gone = [each for each in gone if self._revisions.pop(each, None) is not None]
        if gone:
            self._has_news = True
            await asyncio.to_thread(self.names.replace, gone, ())
        new = [each for each in changed if each.revision is not None and self._revisions.get(each.id) != each.revision]
        for some in _portions(new):
            wanted = [point for each in some for point in each.points]
            points = await self._store.read_with_access(self.ref, wanted)
            self.has_access = self.has_access or any(point.access for point in points.values())
            self._has_news = True
            await asyncio.to_thread(self._write, some, points)

    def _write(self, documents: Sequence[IndexedDocument], points: Mapping[str, Point]) -> None:
        """In a thread: whoever searches goes on."""
        ids = [each.id for each in documents]
        mine = [[points[id_] for id_ in each.points if id_ in points] for each in documents]
        self.names.replace(ids, (entry for some in mine for entry in entries_of(some)))
        for document, some in zip(documents, mine, strict=True):
            if document.revision is not None and len(some) == len(document.points):
                self._revisions[document.id] = document.revision  # else it is being changed, and comes again


class NameIndexes:
    """The indexes of names of this process, by the index of the collection whose chunks they lead to.

    Args:
        catalog: tells which revisions are indexed.
        store: holds the chunks.
        open_: makes an empty index.
        patience: seconds for which a search waits for a filling or for changes.
    """

    def __init__(
        self, catalog: Catalog, store: VectorStore, open_: OpenTypeahead, *, patience: float = PATIENCE
    ) -> None:
        self._patience = patience
        self._catalog = catalog
        self._store = store
        self._open = open_
        self._known: OrderedDict[IndexRef, NameIndex] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, ref: IndexRef, name: str) -> NameIndex:
        """The names of a collection, by the index that is searched; empty at first."""
        known = self._known.get(ref)
        if known is None:
            known = self._known[ref] = NameIndex(
                ref, name, self._catalog, self._store, self._open(), patience=self._patience
            )
            if len(self._known) > MOST:
                self._drop(self._known.popitem(last=False)[1])
        else:
            self._known.move_to_end(ref)
        return known

    async def close(self) -> None:
        """Free all of them."""
        await asyncio.gather(*self._closing, *(each.close() for each in self._known.values()))
        self._known.clear()

    def _drop(self, index: NameIndex) -> None:
        closing = asyncio.create_task(index.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def _portions(documents: Sequence[IndexedDocument]) -> Iterator[list[IndexedDocument]]:
    """Documents in portions of some thousand points."""
    portion: list[IndexedDocument] = []
    size = 0
    for each in documents:
        portion.append(each)
        size += len(each.points)
        if size >= _POINTS:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
