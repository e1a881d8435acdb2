"""Comparison of the catalog with the points, and the repair of differences.

The catalog is authoritative: a document's ledger entry names the points that serve searches. The keys of all points are
sorted by document on disk and read side by side with the ledger, so memory stays bounded.

Writes go on meanwhile, so the comparison only finds suspects. Each suspect is read again: its entry, then its points,
then its entry. Every write happens between a claim and a commit, both of which move the entry's token; if the token is
the same before and after, and no work is due, nothing was written in between and the finding is certain.

Repairs go through the ledger as well (``LedgerAudit.repair``), so they never race with a worker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Final, Literal, TypeAlias

from winnow.core.principal import Principal
from winnow.core.tenancy import tenant_of
from winnow.core.types import Collection, Counts
from winnow.operations.audit import audited
from winnow.operations.external_sort import SortedKeys
from winnow.operations.rebuild import LostIndex, find_lost
from winnow.ports import Catalog, IndexRef, LedgerEntry, PointKey, VectorStore

DamageKind: TypeAlias = Literal["missing", "stale", "doubled", "orphaned", "miscounted"]

LEDGER_PAGE: Final = 1000
SUSPECTS: Final = 64  # documents read again at once
FETCH: Final = 64  # points read at once: they come with their vectors
LOOKS: Final = 3  # a document that changes each time it is read has pending work, which is not damage
REPAIR_BATCH: Final = 500
REPORT_EVERY: Final = 20_000


@dataclass(frozen=True, slots=True)
class InspectionProgress:
    """Progress in points listed or in documents compared."""

    doing: Literal["listing", "comparing"]
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Damage:
    """A difference between the catalog and the points of one document.

    Attributes:
        kind: ``missing``: the ledger names points that do not exist; ``stale``: points of another revision than the
            indexed one; ``doubled``: points of the indexed revision that the ledger does not name; ``orphaned``:
            points of a document that does not exist; ``miscounted``: its count differs from its list of points.
        points: number of points concerned.
        generation: number of the index concerned; a collection under re-embedding has two.
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
        waiting: documents with pending work, which are not compared.
        damaged: documents with damage, counted for each index.
        found: the same by kind of damage.
        unconverted: documents that were stored before texts were converted; they are sound, and read again when their
            source is indexed the next time.
        earlier_tokenizer: whether the index keeps the keyword tokenizer of an earlier version, which is sound as well.
        lost: indexes that are missing or cannot be opened, by number, each with the reason; they are not compared.
        filling: documents that an index which was lost lacks still.
        mended: documents that are being repaired.
        jobs: the jobs of the repairs.
    """

    collection: str
    generations: list[int] = field(default_factory=list)
    documents: int = 0
    points: int = 0
    waiting: int = 0
    damaged: int = 0
    found: Counter[DamageKind] = field(default_factory=Counter)
    unconverted: int = 0
    earlier_tokenizer: bool = False
    lost: dict[int, str] = field(default_factory=dict)
    filling: int = 0
    mended: int = 0
    jobs: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether no damage was found."""
        return not (self.damaged or self.lost or self.filling)


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


async def inspect_collection(
    catalog: Catalog,
    store: VectorStore,
    principal: Principal,
    name: str,
    *,
    repair: bool,
    make_again: Callable[[Sequence[LostIndex]], Awaitable[Collection]] | None = None,
) -> AsyncGenerator[InspectionProgress | Damage | Report, None]:
    """Yield progress and findings as they come, and the report at the end; with ``repair``, have damage repaired.

    Lost indexes are a part of the report; ``make_again`` replaces them where ``repair`` asks for it.

    Of a principal that is bound to a tenant only this one's documents and points are counted, compared and repaired.

    Raises:
        CollectionNotFound: the collection does not exist.
    """
    principal.require("operate", collection=name)
    collection = await catalog.collections.get(name)
    report = Report(
        name,
        unconverted=await catalog.audit.unconverted(name, tenant=principal.tenant),
        earlier_tokenizer=collection.serving.identity.keyword_tokenizer != store.keyword_tokenizer,
    )
    lost = await find_lost(store, [collection])
    report.lost = {each.index.generation: each.reason for each in lost}
    if lost and repair and make_again is not None:
        collection = await make_again(lost)
    await _follow_rebuild(catalog, collection, report, repair=repair)
    for index in collection.indexes:
        if index.generation in report.lost:
            continue
        report.generations.append(index.generation)
        growing = index.generation == collection.newer_generation
        judge_index = partial(judge, generation=index.generation, growing=growing)
        inspection = _IndexInspection(catalog, store, report, index.ref, judge_index, repair, principal.tenant)
        async for news in inspection.run():
            yield news
    if repair:
        async with audited(catalog.trail, principal, "index.repair", collection=name) as details:
            details.update(documents=report.mended, jobs=report.jobs)
    yield report


async def _follow_rebuild(catalog: Catalog, collection: Collection, report: Report, *, repair: bool) -> None:
    """Report how far an index that was lost is filled; its job is among those of a repair."""
    if collection.rebuild is None or await catalog.rebuilds.end(collection.name):
        return
    progress = await catalog.rebuilds.progress(collection.name)
    if progress is not None:
        report.filling = progress.total - progress.done
        if repair:
            report.mended += report.filling
            report.jobs.append(collection.rebuild.job_id)


@dataclass(slots=True)
class _IndexInspection:
    """One pass over an index of a collection.

    Attributes:
        judge: compares one document's entry with its points in this index.
        tenant: whose documents are looked at; ``None`` for all.
        suspects: documents to be read again, each with the ids of its points.
        looks: how often a suspect changed while it was read.
        damaged: documents to be repaired, each with the highest revision of its points.
    """

    catalog: Catalog
    store: VectorStore
    report: Report
    index: IndexRef
    judge: Callable[[str, LedgerEntry | None, Sequence[PointKey]], list[Damage]]
    repair: bool
    tenant: str | None
    suspects: dict[str, list[str]] = field(default_factory=dict)
    looks: Counter[str] = field(default_factory=Counter)
    damaged: dict[str, int] = field(default_factory=dict)

    async def run(self) -> AsyncIterator[InspectionProgress | Damage]:
        total = await self.store.count(self.index) if self.tenant is None else (await self._counts()).chunks
        yield InspectionProgress("listing", 0, total)
        listed = 0
        with closing(SortedKeys()) as keys:
            async for key in self.store.keys(self.index):
                if self.tenant not in (None, tenant_of(key.document_id)):
                    continue
                await keys.add(key)
                listed += 1
                if listed % REPORT_EVERY == 0:
                    yield InspectionProgress("listing", listed, max(total, listed))
            self.report.points += listed
            async for news in self._compare(keys):
                yield news

    async def _compare(self, keys: SortedKeys) -> AsyncIterator[InspectionProgress | Damage]:
        report = self.report
        total = (await self._counts()).documents
        compared = 0
        async for document_id, entry, points in _side_by_side(self._entries(), keys.groups()):
            compared += 1
            if len(report.generations) == 1:
                report.documents += entry is not None
                report.waiting += entry is not None and entry.waits
            if self.judge(document_id, entry, points):
                self.suspects[document_id] = [key.id for key in points]
            if len(self.suspects) >= SUSPECTS:
                for damage in await self._look_again():
                    yield damage
            if compared % REPORT_EVERY == 0:
                yield InspectionProgress("comparing", compared, max(total, compared))
        while self.suspects:
            for damage in await self._look_again():
                yield damage
        await self._repair_damaged()

    async def _counts(self) -> Counts:
        return await self.catalog.documents.counts(self.report.collection, tenant=self.tenant)

    async def _entries(self) -> AsyncIterator[LedgerEntry]:
        after = ""
        while page := await self.catalog.audit.entries(self.report.collection, after=after, limit=LEDGER_PAGE):
            for entry in page:
                if self.tenant in (None, tenant_of(entry.id)):
                    yield entry
            after = page[-1].id

    async def _look_again(self) -> list[Damage]:
        """Settle the suspects that did not change while they were read; returns the damage that is certain."""
        suspects, self.suspects = self.suspects, {}
        before = await self._entries_of(suspects)
        present = await self._points_of(suspects, before)
        after = await self._entries_of(suspects)
        certain: list[Damage] = []
        for document_id, ids in suspects.items():
            if before.get(document_id) == after.get(document_id):
                certain += self._settle(document_id, after.get(document_id), present.get(document_id, ()))
            elif self.looks[document_id] + 1 < LOOKS:
                self.looks[document_id] += 1
                self.suspects[document_id] = ids
            else:
                self.report.waiting += 1
        await self._repair_damaged(at_least=REPAIR_BATCH)
        return certain

    def _settle(self, document_id: str, entry: LedgerEntry | None, points: Sequence[PointKey]) -> list[Damage]:
        found = self.judge(document_id, entry, points)
        if found:
            self.report.damaged += 1
            self.report.found.update(damage.kind for damage in found)
            if self.repair:
                self.damaged[document_id] = max((key.revision for key in points), default=0)
        return found

    async def _entries_of(self, suspects: Mapping[str, object]) -> dict[str, LedgerEntry]:
        found = await self.catalog.audit.entries(self.report.collection, limit=len(suspects), among=list(suspects))
        return {entry.id: entry for entry in found}

    async def _points_of(
        self, suspects: Mapping[str, Sequence[str]], entries: Mapping[str, LedgerEntry]
    ) -> dict[str, list[PointKey]]:
        """The current points of suspects: those that were seen, and those that the ledger names."""
        ids = sorted({*chain(*suspects.values()), *chain(*(entry.points for entry in entries.values()))})
        present: dict[str, list[PointKey]] = {}
        for begin in range(0, len(ids), FETCH):
            for point in (await self.store.fetch(self.index, ids[begin : begin + FETCH])).values():
                key = PointKey(point.id, point.document_id, point.revision, point.chunk.index)
                present.setdefault(key.document_id, []).append(key)
        return present

    async def _repair_damaged(self, at_least: int = 1) -> None:
        if len(self.damaged) < at_least:
            return
        submission = await self.catalog.audit.repair(self.report.collection, dict(self.damaged))
        self.report.mended += submission.accepted - submission.unchanged
        self.report.jobs.append(submission.job_id)
        self.damaged.clear()


async def _side_by_side(
    entries: AsyncIterator[LedgerEntry], groups: AsyncIterator[tuple[str, list[PointKey]]]
) -> AsyncIterator[tuple[str, LedgerEntry | None, list[PointKey]]]:
    """Join two streams that are sorted by document id; each document comes once, with its entry and its points."""
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
