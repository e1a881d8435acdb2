"""Whether catalog and points agree, and how what does not is mended.

The catalog is the truth: of every document its ledger entry names the points that serve searches. The keys of all
points are spooled to disk, sorted by document, and read side by side with the ledger, so memory stays bounded.

Writes go on meanwhile, so the comparison only finds suspects. A suspect is looked at again: its entry, then its points
themselves, then its entry. Every write happens between a claim and a commit, both of which move the entry's token; with
the same token before and after, and no work due, nothing was written in between and the finding is certain.

Mending goes through the ledger as well (``LedgerAudit.repair``): nothing is deleted behind a worker's back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from winnow.operations.external_sort import SortedKeys
from winnow.ports import Catalog, IndexRef, LedgerEntry, PointKey, VectorStore

DamageKind: TypeAlias = Literal["missing", "stale", "doubled", "orphaned", "miscounted"]

LEDGER_PAGE: Final = 1000
SUSPECTS: Final = 64  # documents looked at again at once
FETCH: Final = 64  # points read at once: they come with their vectors
LOOKS: Final = 3  # a document that changes each time it is looked at has pending work, which is not damage
MEND_BATCH: Final = 500
REPORT_EVERY: Final = 20_000


@dataclass(frozen=True, slots=True)
class InspectionProgress:
    """How far it has come, in points listed or in documents compared."""

    doing: Literal["listing", "comparing"]
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with one document.

    Attributes:
        kind: ``missing``: the ledger names points that are not there; ``stale``: points of another revision than the
            indexed one; ``doubled``: points of the indexed revision that the ledger does not name; ``orphaned``:
            points of a document that there is not; ``miscounted``: its count differs from its list of points.
        points: how many points it is about.
        generation: number of the index that it is about; a collection under re-embedding has two.
    """

    kind: DamageKind
    document_id: str
    points: int
    generation: int = 1


@dataclass(slots=True)
class Report:
    """The findings in a collection's index, or in both indexes while its model is being changed, and the repairs.

    Attributes:
        generations: numbers of the indexes.
        waiting: documents with work before them; no damage, and looked at when that is done.
        damaged: documents with damage, counted for each index.
        found: the same by kind of damage.
        jobs: that mend them.
    """

    collection: str
    generations: list[int] = field(default_factory=list)
    documents: int = 0
    points: int = 0
    waiting: int = 0
    damaged: int = 0
    found: Counter[DamageKind] = field(default_factory=Counter)
    mended: int = 0
    jobs: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether no damage was found."""
        return not self.damaged


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A document whose points and entry seemed to disagree; ``points`` by id, as far as any were seen."""

    document_id: str
    points: Mapping[str, PointKey]
    looks: int = 0


def judge(
    document_id: str, entry: LedgerEntry | None, points: Sequence[PointKey], generation: int, *, growing: bool = False
) -> list[Damage]:
    """Compare a document's ledger entry with its points in the index of number ``generation``. Pure.

    A ``growing`` index is the newer one of two, which holds a document only once the document's entry says so.
    """
    if entry is not None and entry.waits:
        return []
    if entry is None or entry.state == "deleting":  # or a deletion that has failed
        return [Damage("orphaned", document_id, len(points), generation)] if points else []
    expected = set(entry.points)
    in_place = {key.id for key in points if key.id in expected and key.revision == entry.indexed_revision}
    others = [key for key in points if key.id not in in_place]
    doubled = sum(key.revision == entry.indexed_revision for key in others)
    sizes: dict[DamageKind, int] = {
        "missing": 0 if growing and entry.built != generation else len(expected - in_place),
        "stale": len(others) - doubled,
        "doubled": doubled,
        "miscounted": abs(entry.n_chunks - len(entry.points)),
    }
    return [Damage(kind, document_id, size, generation) for kind, size in sizes.items() if size]


class Inspection:
    """One pass over a collection.

    Args:
        repair: have the damage that is found repaired.
    """

    def __init__(self, catalog: Catalog, store: VectorStore, *, repair: bool) -> None:
        self._catalog = catalog
        self._store = store
        self._repair = repair

    async def run(self, collection: str) -> AsyncGenerator[InspectionProgress | Damage | Report, None]:
        """Yield progress and findings as they come, and the report at the end.

        Raises:
            CollectionNotFound: the collection does not exist.
        """
        row = await self._catalog.collections.get(collection)
        report = Report(collection)
        for index in row.indexes:
            report.generations.append(index.generation)
            growing = index.generation == row.newer_generation
            one = _IndexInspection(self._catalog, self._store, report, index.ref, growing=growing, repair=self._repair)
            async for news in one.run():
                yield news
        yield report


class _IndexInspection:
    """The pass over one index of a collection; ``growing`` as in ``judge``."""

    def __init__(
        self, catalog: Catalog, store: VectorStore, report: Report, index: IndexRef, *, growing: bool, repair: bool
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._report = report
        self._index = index
        self._growing = growing
        self._repair = repair
        self._suspects: list[_Suspect] = []
        self._damaged: dict[str, int] = {}  # documents to be repaired, each with the highest revision of its points

    async def run(self) -> AsyncIterator[InspectionProgress | Damage]:
        with SortedKeys() as keys:
            async for progress in self._list(keys):
                yield progress
            async for news in self._compare(keys):
                yield news

    async def _list(self, keys: SortedKeys) -> AsyncIterator[InspectionProgress]:
        total = await self._store.count(self._index)
        yield InspectionProgress("listing", 0, total)
        listed = 0
        async for key in self._store.keys(self._index):
            await keys.add(key)
            listed += 1
            if listed % REPORT_EVERY == 0:
                yield InspectionProgress("listing", listed, max(total, listed))
        self._report.points += listed

    async def _compare(self, keys: SortedKeys) -> AsyncIterator[InspectionProgress | Damage]:
        report = self._report
        total = (await self._catalog.documents.counts(report.collection)).documents
        compared = 0
        async for document_id, entry, points in _side_by_side(self._entries(), keys.groups()):
            compared += 1
            if len(report.generations) == 1:
                report.documents += entry is not None
                report.waiting += entry is not None and entry.waits
            if self._judge(document_id, entry, points):
                self._suspects.append(_Suspect(document_id, {key.id: key for key in points}))
            if len(self._suspects) >= SUSPECTS:
                for damage in await self._look_again():
                    yield damage
            if compared % REPORT_EVERY == 0:
                yield InspectionProgress("comparing", compared, max(total, compared))
        while self._suspects:
            for damage in await self._look_again():
                yield damage
        await self._mend()

    def _judge(self, document_id: str, entry: LedgerEntry | None, points: Sequence[PointKey]) -> list[Damage]:
        return judge(document_id, entry, points, self._index.generation, growing=self._growing)

    async def _entries(self) -> AsyncIterator[LedgerEntry]:
        after, page = "", await self._catalog.audit.entries(self._report.collection, limit=LEDGER_PAGE)
        while page:
            for entry in page:
                yield entry
            after = page[-1].id
            page = await self._catalog.audit.entries(self._report.collection, after=after, limit=LEDGER_PAGE)

    async def _look_again(self) -> list[Damage]:
        """Settle the suspects that did not change while they were read; returns the damage that is certain."""
        suspects, self._suspects = self._suspects, []
        before = await self._entries_of(suspects)
        present = await self._points_of(suspects, before)
        after = await self._entries_of(suspects)
        certain: list[Damage] = []
        for suspect in suspects:
            each = suspect.document_id
            if before.get(each) == after.get(each):
                certain += self._settle(each, after.get(each), present.get(each, ()))
            elif suspect.looks + 1 < LOOKS:
                self._suspects.append(replace(suspect, looks=suspect.looks + 1))
            else:
                self._report.waiting += 1
        if len(self._damaged) >= MEND_BATCH:
            await self._mend()
        return certain

    def _settle(self, document_id: str, entry: LedgerEntry | None, points: Sequence[PointKey]) -> list[Damage]:
        found = self._judge(document_id, entry, points)
        if found:
            self._report.damaged += 1
            self._report.found.update(damage.kind for damage in found)
            if self._repair:
                self._damaged[document_id] = max((key.revision for key in points), default=0)
        return found

    async def _entries_of(self, suspects: Sequence[_Suspect]) -> dict[str, LedgerEntry]:
        among = [suspect.document_id for suspect in suspects]
        found = await self._catalog.audit.entries(self._report.collection, limit=len(among), among=among)
        return {entry.id: entry for entry in found}

    async def _points_of(
        self, suspects: Sequence[_Suspect], entries: Mapping[str, LedgerEntry]
    ) -> dict[str, list[PointKey]]:
        """The points of suspects as they are now: those that were seen, and those that the ledger names."""
        wanted = {each for suspect in suspects for each in suspect.points}
        wanted |= {each for entry in entries.values() for each in entry.points}
        ids = sorted(wanted)
        present: dict[str, list[PointKey]] = {}
        for begin in range(0, len(ids), FETCH):
            for point in (await self._store.fetch(self._index, ids[begin : begin + FETCH])).values():
                key = PointKey(point.id, point.document_id, point.revision, point.chunk.index)
                present.setdefault(key.document_id, []).append(key)
        return present

    async def _mend(self) -> None:
        if not self._damaged:
            return
        submission = await self._catalog.audit.repair(self._report.collection, dict(self._damaged))
        self._report.mended += submission.accepted - submission.unchanged
        self._report.jobs.append(submission.job_id)
        self._damaged.clear()


async def _side_by_side(
    entries: AsyncIterator[LedgerEntry], groups: AsyncIterator[tuple[str, list[PointKey]]]
) -> AsyncIterator[tuple[str, LedgerEntry | None, list[PointKey]]]:
    """Join two streams that are sorted by document id; each document comes once, with what there is of it."""
    entry = await anext(entries, None)
    group = await anext(groups, None)
    while entry is not None or group is not None:
        if group is None or (entry is not None and entry.id < group[0]):
            assert entry is not None
            yield entry.id, entry, []
            entry = await anext(entries, None)
        elif entry is None or group[0] < entry.id:
            yield group[0], None, group[1]
            group = await anext(groups, None)
        else:
            yield entry.id, entry, group[1]
            entry, group = await anext(entries, None), await anext(groups, None)
