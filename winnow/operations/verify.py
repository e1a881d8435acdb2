"""Whether catalog and points agree, and how what does not is mended.

The catalog is the truth: of every document its ledger entry names the points that serve searches. The keys of all
points are spooled to disk, sorted by document, and read side by side with the ledger, so memory stays bounded.

Writes go on meanwhile, so the comparison only finds suspects. A suspect is looked at again: its entry, then its points
themselves, then its entry. Every write happens between a claim and a commit, both of which move the entry's token; with
the same token before and after, and no work due, nothing was written in between and the finding stands.

Mending goes through the ledger as well (``LedgerAudit.repair``): nothing is deleted behind a worker's back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from winnow.core.types import Collection
from winnow.operations.external_sort import KeySpool
from winnow.ports import Catalog, IndexRef, LedgerEntry, PointKey, VectorStore, index_of, other_index_of

DamageKind: TypeAlias = Literal["missing", "stale", "doubled", "orphaned", "miscounted"]

LEDGER_PAGE: Final = 1000
SUSPECTS: Final = 64  # documents looked at again at once
FETCH: Final = 64  # points read at once: they come with their vectors
LOOKS: Final = 3  # a document that changes each time it is looked at has work, and that is no damage
MEND_BATCH: Final = 500
REPORT_EVERY: Final = 20_000


@dataclass(frozen=True, slots=True)
class Progress:
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
    """What was found in a collection's index, or in both that it has while it is embedded anew; and what was done.

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


@dataclass(slots=True)
class _Suspect:
    """A document whose points and entry seemed to disagree; ``points`` by id, as far as any were seen."""

    document_id: str
    points: Mapping[str, PointKey]
    looks: int = 0


@dataclass(frozen=True, slots=True)
class Side:
    """One index of a collection. ``growing``: the newer of two, which holds a document once its entry says so."""

    index: IndexRef
    growing: bool = False

    def must_hold(self, entry: LedgerEntry) -> bool:
        """Whether the points of the document have to be here."""
        return not self.growing or entry.built == self.index.generation


def sides_of(collection: Collection) -> list[Side]:
    """The indexes of a collection: the serving one, and the one beside it if there is one."""
    indexes = [index_of(collection), other_index_of(collection)]
    newer = collection.newer_generation
    return [Side(index, index.generation == newer) for index in indexes if index is not None]


def judge(document_id: str, entry: LedgerEntry | None, points: Sequence[PointKey], side: Side) -> list[Damage]:
    """Compare what the ledger says of one document with its points in one index. Pure."""
    generation = side.index.generation
    if entry is not None and entry.waits:
        return []
    if entry is None or entry.state == "deleting":  # or a deletion that has failed
        return [Damage("orphaned", document_id, len(points), generation)] if points else []
    expected = set(entry.points)
    in_place = {key.id for key in points if key.id in expected and key.revision == entry.indexed_revision}
    others = [key for key in points if key.id not in in_place]
    doubled = sum(key.revision == entry.indexed_revision for key in others)
    sizes: dict[DamageKind, int] = {
        "missing": len(expected - in_place) if side.must_hold(entry) else 0,
        "stale": len(others) - doubled,
        "doubled": doubled,
        "miscounted": abs(entry.n_chunks - len(entry.points)),
    }
    return [Damage(kind, document_id, size, generation) for kind, size in sizes.items() if size]


class Inspection:
    """One pass over a collection.

    Args:
        repair: have what is found mended.
    """

    def __init__(self, catalog: Catalog, store: VectorStore, *, repair: bool) -> None:
        self._catalog = catalog
        self._store = store
        self._repair = repair

    async def run(self, collection: str) -> AsyncGenerator[Progress | Damage | Report, None]:
        """Yield progress and findings as they come, and the report at the end.

        Raises:
            CollectionNotFound: there is no such collection.
        """
        row = await self._catalog.collections.get(collection)
        report = Report(collection)
        for side in sides_of(row):
            report.generations.append(side.index.generation)
            with KeySpool() as spool:
                async for progress in self._list(side.index, spool, report):
                    yield progress
                async for news in self._compare(side, spool, report):
                    yield news
        yield report

    async def _list(self, index: IndexRef, spool: KeySpool, report: Report) -> AsyncIterator[Progress]:
        total = await self._store.count(index)
        yield Progress("listing", 0, total)
        listed = 0
        async for key in self._store.keys(index):
            await spool.add(key)
            listed += 1
            if listed % REPORT_EVERY == 0:
                yield Progress("listing", listed, max(total, listed))
        report.points += listed

    async def _compare(self, side: Side, spool: KeySpool, report: Report) -> AsyncIterator[Progress | Damage]:
        total = (await self._catalog.documents.counts(report.collection)).documents
        suspects: list[_Suspect] = []
        damaged: dict[str, int] = {}
        compared = 0
        async for document_id, entry, points in _side_by_side(self._entries(report.collection), spool.groups()):
            compared += 1
            if len(report.generations) == 1:
                report.documents += entry is not None
                report.waiting += entry is not None and entry.waits
            if judge(document_id, entry, points, side):
                suspects.append(_Suspect(document_id, {key.id: key for key in points}))
            if len(suspects) >= SUSPECTS:
                suspects, found = await self._look_again(side, report, suspects, damaged)
                for damage in found:
                    yield damage
            if compared % REPORT_EVERY == 0:
                yield Progress("comparing", compared, max(total, compared))
        while suspects:
            suspects, found = await self._look_again(side, report, suspects, damaged)
            for damage in found:
                yield damage
        await self._mend(report, damaged)

    async def _entries(self, collection: str) -> AsyncIterator[LedgerEntry]:
        after, page = "", await self._catalog.audit.entries(collection, limit=LEDGER_PAGE)
        while page:
            for entry in page:
                yield entry
            after = page[-1].id
            page = await self._catalog.audit.entries(collection, after=after, limit=LEDGER_PAGE)

    async def _look_again(
        self, side: Side, report: Report, suspects: Sequence[_Suspect], damaged: dict[str, int]
    ) -> tuple[list[_Suspect], list[Damage]]:
        """Settle what stood still while it was looked at; returns what did not, and what is certain."""
        before = await self._entries_of(report.collection, suspects)
        present = await self._points_of(side.index, suspects, before)
        after = await self._entries_of(report.collection, suspects)
        moved: list[_Suspect] = []
        certain: list[Damage] = []
        for suspect in suspects:
            each = suspect.document_id
            if before.get(each) != after.get(each):
                suspect.looks += 1
                if suspect.looks < LOOKS:
                    moved.append(suspect)
                else:
                    report.waiting += 1
                continue
            points = present.get(each, ())
            found = judge(each, after.get(each), points, side)
            if found:
                certain += found
                report.damaged += 1
                report.found.update(damage.kind for damage in found)
                damaged[each] = max((key.revision for key in points), default=0)
        if self._repair and len(damaged) >= MEND_BATCH:
            await self._mend(report, damaged)
        elif not self._repair:
            damaged.clear()
        return moved, certain

    async def _entries_of(self, collection: str, suspects: Sequence[_Suspect]) -> dict[str, LedgerEntry]:
        among = [suspect.document_id for suspect in suspects]
        found = await self._catalog.audit.entries(collection, limit=len(among), among=among)
        return {entry.id: entry for entry in found}

    async def _points_of(
        self, index: IndexRef, suspects: Sequence[_Suspect], entries: Mapping[str, LedgerEntry]
    ) -> dict[str, list[PointKey]]:
        """The points of suspects as they are now: those that were seen, and those that the ledger names."""
        wanted = {each for suspect in suspects for each in suspect.points}
        wanted |= {each for entry in entries.values() for each in entry.points}
        ids = sorted(wanted)
        present: dict[str, list[PointKey]] = {}
        for begin in range(0, len(ids), FETCH):
            for point in (await self._store.fetch(index, ids[begin : begin + FETCH])).values():
                key = PointKey(point.id, point.document_id, point.revision, point.chunk.index)
                present.setdefault(key.document_id, []).append(key)
        return present

    async def _mend(self, report: Report, damaged: dict[str, int]) -> None:
        if not (self._repair and damaged):
            return
        submission = await self._catalog.audit.repair(report.collection, dict(damaged))
        report.mended += submission.accepted - submission.unchanged
        report.jobs.append(submission.job_id)
        damaged.clear()


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
