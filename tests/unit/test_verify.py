"""Integrity: every kind of damage is named and mended, and work in progress is never taken for damage."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from tests.conftest import Service
from winnow.core.errors import CollectionNotFound, UpstreamUnavailable
from winnow.core.principal import LOCAL
from winnow.operations.external_sort import SortedKeys
from winnow.operations.verify import Damage, Report, inspect_collection, judge
from winnow.ports import IndexRef, LedgerEntry, Point, PointKey
from winnow.testing.vectors import FakeVectorStore

ENTRY = LedgerEntry("a", "indexed", 2, 2, ("p0", "p1"), 2, 100, waits=False)


def key(point_id: str, revision: int = 2, chunk: int = 0) -> PointKey:
    return PointKey(point_id, "a", revision, chunk)


def kinds(entry: LedgerEntry | None, *points: PointKey, growing: bool = False) -> dict[str, int]:
    return {damage.kind: damage.points for damage in judge("a", entry, points, 2 if growing else 1, growing=growing)}


def test_a_document_whose_points_are_those_of_the_ledger_is_sound() -> None:
    assert kinds(ENTRY, key("p0"), key("p1")) == {}


def test_each_kind_of_damage_has_its_name() -> None:
    assert kinds(ENTRY, key("p0")) == {"missing": 1}
    assert kinds(ENTRY, key("p0"), key("p1"), key("old", revision=1)) == {"stale": 1}
    assert kinds(ENTRY, key("p0"), key("p1"), key("half", revision=3)) == {"stale": 1}
    assert kinds(ENTRY, key("p0"), key("p1"), key("again")) == {"doubled": 1}
    assert kinds(replace(ENTRY, n_chunks=5), key("p0"), key("p1")) == {"miscounted": 3}
    assert kinds(None, key("p0"), key("p1")) == {"orphaned": 2}
    assert kinds(replace(ENTRY, state="deleting"), key("p0")) == {"orphaned": 1}
    assert kinds(ENTRY, key("p0"), key("p1", revision=1)) == {"missing": 1, "stale": 1}


def test_work_that_waits_is_no_damage() -> None:
    for state in ("pending", "indexed", "deleting"):
        assert kinds(replace(ENTRY, state=state, waits=True), key("x"), key("y", revision=9)) == {}


def test_an_index_that_is_being_built_misses_only_what_was_brought_over() -> None:
    assert kinds(ENTRY, growing=True) == {}
    assert kinds(ENTRY, key("p0"), growing=True) == {}
    assert kinds(replace(ENTRY, built=2), key("p0"), growing=True) == {"missing": 1}
    assert kinds(ENTRY, key("old", revision=1), growing=True) == {"stale": 1}


def test_a_document_that_never_was_indexed_has_no_points_to_miss() -> None:
    never = replace(ENTRY, state="failed", indexed_revision=None, points=(), n_chunks=0)
    assert kinds(never) == {}
    assert kinds(never, key("half")) == {"stale": 1}


async def test_keys_come_back_by_document_in_the_order_of_code_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("winnow.operations.external_sort.WRITE_ROWS", 3)
    monkeypatch.setattr("winnow.operations.external_sort.READ_ROWS", 2)
    names = ["b", "a", "Z", "ä", "a", "\U0001f600", "ﬀ", "b", "a"]
    keys = [PointKey(str(uuid.UUID(int=number + 1)), name, 1, number) for number, name in enumerate(names)]
    with closing(SortedKeys()) as stored:
        for each in [*keys, keys[0]]:
            await stored.add(each)
        groups = [group async for group in stored.groups()]
    assert sum(len(points) for _, points in groups) == len(keys)
    assert [name for name, _ in groups] == sorted(set(names))
    assert {each for _, points in groups for each in points} == set(keys)


# --- over a store and a catalog ------------------------------------------------------------------


@pytest.fixture
async def docs(service: Service) -> Service:
    """The collection ``docs`` with ten documents."""
    await service.fill("docs", [{"id": f"d{n}", "text": f"text number {n}"} for n in range(10)])
    return service


async def ref(service: Service) -> IndexRef:
    return (await service.resources.catalog.collections.get("docs")).serving.ref


async def points(service: Service, *document_ids: str) -> list[Point]:
    store, index = service.resources.store, await ref(service)
    ids = [each.id async for each in store.keys(index) if each.document_id in document_ids]
    return list((await store.fetch(index, ids)).values())


async def inspect(service: Service, *, repair: bool = False) -> tuple[Report, list[Damage]]:
    resources = service.resources
    news = [item async for item in inspect_collection(resources.catalog, resources.store, LOCAL, "docs", repair=repair)]
    report = news[-1]
    assert isinstance(report, Report)
    return report, [item for item in news if isinstance(item, Damage)]


async def damage_everything(service: Service) -> None:
    store, index = service.resources.store, await ref(service)
    (point,) = await points(service, "d5")
    strange = [
        replace(point, id=str(uuid.uuid4()), revision=9),
        replace(point, id=str(uuid.uuid4())),
        replace(point, id=str(uuid.uuid4()), document_id="ghost"),
    ]
    await store.delete_documents(index, {"d1": None})
    await store.upsert(index, strange)


async def test_a_fresh_collection_is_sound(docs: Service) -> None:
    report, found = await inspect(docs)
    assert report.sound
    assert (report.documents, report.points, report.waiting, found) == (10, 10, 0, [])


async def test_an_earlier_tokenizer_is_no_damage_and_is_told(docs: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    report, _ = await inspect(docs)
    assert not report.earlier_tokenizer
    monkeypatch.setattr(type(docs.resources.store), "keyword_tokenizer", "bm25:words-9")
    report, _ = await inspect(docs)
    assert (report.sound, report.earlier_tokenizer) == (True, True)


async def test_damage_is_found_and_left_alone_unless_it_is_to_be_mended(docs: Service) -> None:
    await damage_everything(docs)
    for _ in range(2):
        report, found = await inspect(docs)
        assert {(damage.kind, damage.document_id) for damage in found} == {
            ("missing", "d1"),
            ("stale", "d5"),
            ("doubled", "d5"),
            ("orphaned", "ghost"),
        }
        assert (report.damaged, report.mended, report.jobs) == (3, 0, [])
        assert await docs.resources.catalog.queue.backlog() == 0


async def test_what_is_mended_is_sound_afterwards(docs: Service) -> None:
    await damage_everything(docs)
    report, _ = await inspect(docs, repair=True)
    assert (report.damaged, report.mended) == (3, 3)
    waiting, found = await inspect(docs)
    assert (waiting.waiting, found) == (3, [])
    await docs.index()
    report, _ = await inspect(docs)
    assert report.sound
    assert (report.documents, report.points, report.waiting) == (10, 10, 0)
    answer = await docs.client.post("/v1/collections/docs/search", json={"query": "text number 1", "top_k": 20})
    assert len(answer.json()["results"]) == 10


@pytest.mark.parametrize("batch", [1, 2])
async def test_many_damaged_documents_are_mended_in_batches(
    docs: Service, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr("winnow.operations.verify.SUSPECTS", batch)
    monkeypatch.setattr("winnow.operations.verify.REPAIR_BATCH", batch)
    monkeypatch.setattr("winnow.operations.verify.LEDGER_PAGE", 3)
    await docs.resources.store.delete_documents(await ref(docs), {f"d{n}": None for n in range(10)})
    report, found = await inspect(docs, repair=True)
    assert (report.damaged, report.mended, len(found)) == (10, 10, 10)
    assert len(report.jobs) == 10 // batch
    await docs.index()
    assert (await inspect(docs))[0].sound


class BusyStore(FakeVectorStore):
    """A store during whose listing and reading other people's work goes on.

    Attributes:
        meanwhile: what happens, in turn, whenever points are read one by one.
    """

    def __init__(self, store: FakeVectorStore, service: Service, steps: Sequence[str]) -> None:
        super().__init__()
        self._indexes = store._indexes
        self.service, self.steps = service, list(steps)

    async def fetch(self, index: IndexRef, point_ids: Sequence[str]) -> Any:
        found = await super().fetch(index, point_ids)
        if self.steps:
            document = {"id": self.steps.pop(0), "text": f"changed {len(self.steps)}"}
            await self.service.client.post("/v1/collections/docs/documents", json={"documents": [document]})
            await self.service.index()
        return found


async def test_a_document_that_changes_while_it_is_looked_at_is_looked_at_again(docs: Service) -> None:
    store = docs.resources.store
    assert isinstance(store, FakeVectorStore)
    await store.delete_documents(await ref(docs), {"d1": None})
    busy = BusyStore(store, docs, ["d1"])
    news = [item async for item in inspect_collection(docs.resources.catalog, busy, LOCAL, "docs", repair=True)]
    assert [item for item in news if isinstance(item, Damage)] == []
    assert isinstance(news[-1], Report)
    assert news[-1].sound


async def test_a_document_that_never_rests_is_work_and_no_damage(docs: Service) -> None:
    store = docs.resources.store
    assert isinstance(store, FakeVectorStore)
    await store.delete_documents(await ref(docs), {"d1": None})
    busy = BusyStore(store, docs, ["d1"] * 20)
    real = [item async for item in inspect_collection(docs.resources.catalog, busy, LOCAL, "docs", repair=True)]
    report = real[-1]
    assert isinstance(report, Report)
    assert report.sound


async def test_what_is_written_and_deleted_during_the_listing_is_no_damage(docs: Service) -> None:
    resources = docs.resources
    changed = False
    news = []
    async for item in inspect_collection(resources.catalog, resources.store, LOCAL, "docs", repair=True):
        news.append(item)
        if not changed:  # the listing has begun
            changed = True
            new = [{"id": "d3", "text": "changed"}, {"id": "new", "text": "new"}]
            await docs.client.post("/v1/collections/docs/documents", json={"documents": new})
            await docs.client.delete("/v1/collections/docs/documents/d4")
            await docs.index()
    assert isinstance(news[-1], Report)
    assert news[-1].sound


async def test_an_unknown_collection_is_not_found(docs: Service) -> None:
    inspection = inspect_collection(docs.resources.catalog, docs.resources.store, LOCAL, "nope", repair=False)
    with pytest.raises(CollectionNotFound):
        await anext(inspection)


# --- over HTTP -----------------------------------------------------------------------------------


def events(body: str) -> list[tuple[str, Any]]:
    blocks = [block.splitlines() for block in body.replace("\r\n", "\n").strip().split("\n\n")]
    return [(lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))) for lines in blocks]


async def test_the_service_streams_findings_and_the_report(docs: Service) -> None:
    await damage_everything(docs)
    docs.automatic = True
    answer = await docs.client.post("/v1/collections/docs:verify", json={"repair": True})
    news = events(answer.text)
    assert news[0] == ("progress", {"doing": "listing", "done": 0, "total": 12})
    assert ("damage", {"kind": "missing", "tenant": "", "document_id": "d1", "points": 1, "generation": 1}) in news
    assert news[-1][0] == "done"
    assert (news[-1][1]["sound"], news[-1][1]["mended"]) == (False, 3)


async def test_the_service_refuses_what_it_cannot_verify(docs: Service) -> None:
    assert (await docs.client.post("/v1/collections/nope:verify")).status_code == 404
    assert (await docs.client.post("/v1/collections/docs:verify", json={"mend": True})).status_code == 422


async def test_the_stream_ends_with_the_problem_that_broke_it_off(
    docs: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docs.resources.store, "count", AsyncMock(side_effect=UpstreamUnavailable("the store is away")))
    news = events((await docs.client.post("/v1/collections/docs:verify")).text)
    assert news[-1][0] == "problem"
    assert (news[-1][1]["code"], news[-1][1]["status"]) == ("upstream_unavailable", 503)
