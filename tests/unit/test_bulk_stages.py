"""The stages of a bulk job one after the other, without Ray: what they hand on, drop and tell."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from indexer.bulk import claiming
from indexer.bulk.claiming import Claiming
from indexer.bulk.coordinator import Coordinator
from indexer.bulk.embedding import Embedding
from indexer.bulk.options import for_models, for_stores
from indexer.bulk.work import Work, packed, unpacked
from indexer.bulk.writing import Writing
from tests.catalogs import new_catalog
from tests.fakes import EMBEDDER, STORE
from tests.support.house import House
from winnow.core.errors import UpstreamRejected
from winnow.core.settings import Settings, load_settings
from winnow.core.types import Document
from winnow.operations.resources import Adapters
from winnow.ports import Catalog, Embeddings, IndexRef, Outcome
from winnow.search.embedders import identity_of
from winnow.testing.models import FakeEmbedder

LEASE = 60.0
OWNER = "the-job"
NEXT_DIMENSIONS = 32


class Embedder(FakeEmbedder):
    """Counts what it embeds, and refuses what it is told to."""

    def __init__(self, dimensions: int = 64) -> None:
        super().__init__(dimensions)
        self.embedded: list[str] = []
        self.at_once = 0
        self.most_at_once = 0

    async def embed(self, texts: Sequence[str], kind: Any, *, instruct: str | None = None) -> Embeddings:
        if any("refused" in text for text in texts):
            raise UpstreamRejected("not this one")
        self.embedded += texts
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.01)  # so that others can come in between, if they may
        self.at_once -= 1
        return await super().embed(texts, kind, instruct=instruct)


class Handle:
    """Looks like the handle of an actor."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=getattr(self._coordinator, name))


class Stages:
    """The stages on one catalog and one store."""

    def __init__(self, folder: Path) -> None:
        self.house = House(folder, embedder=Embedder())
        self.embedder, self.next = self.house.embedder, Embedder(NEXT_DIMENSIONS)
        self.store, self.clock, self.catalog = self.house.store, self.house.clock, self.house.catalog
        self.collection = self.house.collection
        self.coordinator = Coordinator(8)
        self.folder, self.others = folder, list[Catalog]()
        self.settings = load_settings(
            embedding=EMBEDDER,
            next_embedding={**EMBEDDER, "dimensions": NEXT_DIMENSIONS},
            rerank={"provider": "none"},
            vectors=STORE,
            indexing={"lease_seconds": LEASE, "max_attempts": 3},
        )

    def open(self) -> None:
        run(self.house.open())
        run(self.coordinator.equip(for_stores(self.settings), for_models(self.settings)))
        handle = Handle(self.coordinator)
        adapters = Adapters(self.opened, lambda _: self.store, self.build_embedder, self.build_embedder)
        self.embed = Embedding(handle, adapters)
        self.claim = Claiming(handle, OWNER, adapters)
        self.write = Writing(handle, OWNER, adapters)

    def build_embedder(self, settings: Settings) -> Embedder:
        return self.embedder if settings.embedding == self.settings.embedding else self.next

    def second_index(self) -> None:
        """Begin to embed the collection anew."""
        identity = identity_of(self.next, self.store.keyword_tokenizer)
        self.collection = run(self.catalog.collections.begin_reembed("c", identity))
        index = self.collection.beside
        assert index is not None
        run(self.store.create(index.ref, index.schema({})))

    async def opened(self, _: Any) -> Catalog:
        self.others.append(new_catalog(self.folder, self.clock))
        return self.others[-1]

    def close(self) -> None:
        for catalog in (self.catalog, *self.others):
            run(catalog.close())

    def submit(self, *documents: Document) -> str:
        return run(self.catalog.documents.submit("c", documents)).job_id

    def claimed(self) -> list[Any]:
        """Tables of all work there is."""
        return [table for table in until_idle(self) if unpacked(table) != [None]]

    def through(self, tables: Sequence[Any]) -> list[Outcome]:
        """Embed and write."""
        return [outcome for table in tables for done in unpacked(self.write(self.embed(table))) for outcome in done]

    def renew(self) -> None:
        """What the first stage does every third of a lease."""
        self.claim._loop.run(self.claim._renew())

    def state(self, document_id: str) -> str:
        return run(self.catalog.documents.get("c", document_id)).state

    def keys(self, index: IndexRef | None = None) -> set[tuple[str, int, int]]:
        """Of the serving index, unless another is named."""

        async def read(index: IndexRef) -> set[tuple[str, int, int]]:
            return {(key.document_id, key.revision, key.chunk_index) async for key in self.store.keys(index)}

        return run(read(index or self.collection.serving.ref))


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def until_idle(house: Stages) -> Iterator[Any]:
    """The first stage ends when it rests for the first time."""
    rest = house.coordinator.rest

    async def rest_and_end(seconds: float) -> None:
        await house.coordinator.end()
        await rest(seconds)

    house.coordinator.rest = rest_and_end  # type: ignore[method-assign]
    yield from house.claim(packed([0]))
    house.coordinator.rest = rest  # type: ignore[method-assign]
    house.coordinator._ended = False


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Stages]:
    built = Stages(tmp_path)
    built.open()
    yield built
    built.close()


def paragraphs(*words: str) -> str:
    return "\n\n".join(" ".join([word] * 24) for word in words)


def test_documents_become_points_and_are_indexed(house: Stages) -> None:
    job_id = house.submit(Document("a", paragraphs("one", "two")), Document("b", "beta"))
    outcomes = house.through(house.claimed())
    assert {outcome.claim.document.id: outcome.embedded for outcome in outcomes} == {"a": 2, "b": 1}
    assert house.keys() == {("a", 1, 0), ("a", 1, 1), ("b", 1, 0)}
    job = run(house.catalog.jobs.get(job_id))
    assert (job.status, job.indexed, job.chunks_embedded) == ("done", 2, 3)
    assert run(house.coordinator.under_way()) == frozenset()


def test_unchanged_chunks_are_used_again_and_stale_ones_removed(house: Stages) -> None:
    house.submit(Document("a", paragraphs("one", "two", "three")))
    house.through(house.claimed())
    house.embedder.embedded.clear()
    house.submit(Document("a", paragraphs("one", "TWO")))
    house.through(house.claimed())
    assert len(house.embedder.embedded) == 1
    assert house.keys() == {("a", 2, 0), ("a", 2, 1)}


def test_a_deletion_passes_through_without_an_embedder(house: Stages) -> None:
    house.submit(Document("a", "alpha"), Document("b", "beta"))
    house.through(house.claimed())
    house.embedder.embedded.clear()
    run(house.catalog.documents.tombstone("c", ["a"]))
    house.through(house.claimed())
    assert house.keys() == {("b", 1, 0)}
    assert house.embedder.embedded == []


def test_while_a_collection_has_two_indexes_both_are_written(house: Stages) -> None:
    house.submit(Document("a", "alpha"))
    house.through(house.claimed())
    house.second_index()
    house.submit(Document("b", "beta"))
    house.through(house.claimed())
    both = {("a", 1, 0), ("b", 1, 0)}
    assert house.keys() == house.keys(house.collection.beside.ref) == both
    assert len(house.embedder.embedded) == len(house.next.embedded) == 2
    assert run(house.catalog.audit.reembed_progress("c")).lacking == 0


def test_a_refused_document_does_not_take_its_batch_with_it(house: Stages) -> None:
    house.submit(Document("a", "alpha"), Document("bad", "refused"), Document("b", "beta"))
    outcomes = house.through(house.claimed())
    assert {outcome.claim.document.id: outcome.error for outcome in outcomes} == {
        "a": None,
        "b": None,
        "bad": "not this one",
    }
    assert [house.state(name) for name in ("a", "b", "bad")] == ["indexed", "indexed", "pending"]


def test_a_document_that_nothing_can_be_made_of_fails_by_name(house: Stages) -> None:
    house.submit(Document("a", "<!-- nothing -->", "markdown", canonical=False), Document("b", "beta"))
    house.through(house.claimed())
    stored = run(house.catalog.documents.get("c", "a"))
    assert (stored.state, stored.error_code) == ("failed", "invalid_document")
    assert house.state("b") == "indexed"


def test_what_killed_an_embedder_is_put_back_and_counted_until_it_fails(house: Stages) -> None:
    house.submit(Document("a", "alpha"))
    for _ in range(3):
        house.clock.advance(60)
        [table] = house.claimed()
        [work] = unpacked(table)
        run(house.coordinator.begin(work.number))  # by a process that dies
        house.through([table])
    stored = run(house.catalog.documents.get("c", "a"))
    assert (stored.state, stored.error_code) == ("failed", "worker_lost")
    assert house.embedder.embedded == []


def test_what_was_tried_before_is_embedded_with_nothing_beside_it(
    house: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "SLICE_CHUNKS", 1)  # a message for each document
    house.submit(*(Document(name, "some text") for name in "abcd"))
    house.claimed()
    house.clock.advance(LEASE + 1)
    with ThreadPoolExecutor(4) as threads:
        assert len(list(threads.map(house.embed, house.claimed()))) == 4
    assert len(house.embedder.embedded) == 4
    assert house.embedder.most_at_once == 1


def test_work_whose_lease_is_lost_is_dropped(house: Stages) -> None:
    house.submit(Document("a", "alpha"))
    tables = house.claimed()
    house.clock.advance(LEASE + 1)
    [theirs] = run(house.catalog.queue.claim("another", limit=8, lease_seconds=LEASE))
    assert house.through(tables) == []
    assert house.keys() == set()
    assert run(house.coordinator.under_way()) == frozenset()
    assert run(house.catalog.queue.commit([Outcome(theirs)])) == [True]


def test_of_a_batch_that_is_lost_in_part_the_rest_is_written(house: Stages) -> None:
    house.submit(Document("a", "alpha"), Document("b", "beta"))
    tables = house.claimed()
    [work] = unpacked(tables[0])
    gone = next(claim for claim in work.batch.claims if claim.document.id == "a")
    run(house.catalog.queue.commit([Outcome(gone, error="another was quicker", error_code="internal_error")]))
    outcomes = house.through(tables)
    assert [outcome.claim.document.id for outcome in outcomes] == ["b"]
    assert house.keys() == {("b", 1, 0)}


def test_a_document_changed_on_its_way_is_handed_on(house: Stages) -> None:
    house.submit(Document("a", "alpha"))
    tables = house.claimed()
    house.submit(Document("a", "alpha two"))
    house.through(tables)
    assert house.state("a") == "pending"
    house.through(house.claimed())
    assert house.keys() == {("a", 2, 0)}


def test_a_source_that_runs_again_begins_with_as_many_empty_batches_as_it_has_sent(house: Stages) -> None:
    house.submit(Document("a", "alpha"))
    house.claimed()
    house.clock.advance(LEASE + 1)
    tables = list(until_idle(house))
    assert [unpacked(table) == [None] for table in tables] == [True, False]
    assert [outcome.claim.document.id for outcome in house.through(tables)] == ["a"]


def test_work_is_cut_into_messages_of_bounded_size(house: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claiming, "SLICE_CHUNKS", 3)
    house.submit(
        Document("a", paragraphs("one", "two")),
        Document("b", paragraphs("three", "four")),
        Document("c", paragraphs("five", "six", "seven", "eight")),
        Document("d", paragraphs("nine")),
    )
    tables = house.claimed()
    works: list[Work] = [work for table in tables for work in unpacked(table)]
    assert [[claim.document.id for claim in work.batch.claims] for work in works] == [["a"], ["b"], ["c"], ["d"]]
    house.through(tables)
    assert {house.state(name) for name in "abcd"} == {"indexed"}


def test_leases_are_renewed_while_a_batch_is_under_way_and_no_longer(house: Stages) -> None:
    house.submit(Document("a", "alpha"), Document("b", "beta"))
    tables = house.claimed()
    for _ in range(3):
        house.clock.advance(LEASE * 0.9)
        house.renew()
    assert len(house.through(tables)) == 2
    house.submit(Document("a", "alpha two"))
    [table] = house.claimed()
    run(house.coordinator.leave(unpacked(table)[0].number))
    for _ in range(2):
        house.clock.advance(LEASE * 0.9)
        house.renew()
    assert house.through([table]) == []
