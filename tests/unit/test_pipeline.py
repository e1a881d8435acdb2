"""The write path: what ends up in the index and in the ledger, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from indexer.worker.pipeline import Pipeline
from tests.support.house import House
from winnow.core.errors import StorageFull, UpstreamRejected, UpstreamUnavailable
from winnow.core.settings import IndexingSettings
from winnow.core.types import Document
from winnow.ports import Point
from winnow.search.embedders import Embedders


def paragraphs(*words: str) -> str:
    return "\n\n".join(" ".join([word] * 24) for word in words)


async def test_a_document_becomes_points_and_is_indexed(house: House) -> None:
    job = await house.submit(Document("a", paragraphs("one", "two")))
    await house.work()
    assert await house.keys() == {("a", 1, 0), ("a", 1, 1)}
    stored = await house.catalog.documents.get("c", "a")
    assert (stored.state, stored.chunks) == ("indexed", 2)
    assert (await house.catalog.jobs.get(job)).chunks_embedded == 2


async def test_a_change_embeds_only_changed_chunks_and_leaves_no_stale_point(house: House) -> None:
    await house.submit(Document("a", paragraphs("one", "two", "three")))
    await house.work()
    house.embedder.embedded.clear()
    await house.submit(Document("a", paragraphs("one", "TWO", "three")))
    await house.work()
    assert len(house.embedder.embedded) == 1
    assert "TWO" in house.embedder.embedded[0]
    assert await house.keys() == {("a", 2, 0), ("a", 2, 1), ("a", 2, 2)}
    fetched = await house.store.fetch(house.index, [key.id async for key in house.store.keys(house.index)])
    assert all(point.dense is not None and point.tokens is not None for point in fetched.values())


async def test_a_renamed_document_is_not_embedded_again(house: House) -> None:
    text = paragraphs("one", "two", "three")
    await house.submit(Document("old/name.md", text, "markdown", "Numbers"))
    await house.work()
    house.embedder.embedded.clear()
    job = await house.submit(Document("new/name.md", text, "markdown", "Numbers", "https://e.org/new/name"))
    await house.catalog.documents.tombstone("c", ["old/name.md"])
    await house.work()
    assert house.embedder.embedded == []
    assert (await house.catalog.jobs.get(job)).chunks_embedded == 0
    assert await house.keys() == {("new/name.md", 1, each) for each in range(3)}
    fetched = await house.store.fetch(house.index, [key.id async for key in house.store.keys(house.index)])
    assert {(point.url, point.dense is not None) for point in fetched.values()} == {("https://e.org/new/name", True)}


async def test_a_document_with_the_text_of_one_that_is_gone_is_embedded(house: House) -> None:
    await house.submit(Document("old", "alpha"))
    await house.work()
    await house.catalog.documents.tombstone("c", ["old"])
    await house.work()
    job = await house.submit(Document("new", "alpha"))
    await house.work()
    assert (await house.catalog.jobs.get(job)).chunks_embedded == 1


async def test_a_shorter_revision_takes_the_surplus_away(house: House) -> None:
    await house.submit(Document("a", paragraphs("one", "two", "three")))
    await house.work()
    await house.submit(Document("a", paragraphs("one")))
    await house.work()
    assert await house.keys() == {("a", 2, 0)}


async def test_a_deletion_removes_points_then_the_row(house: House) -> None:
    await house.submit(Document("a", "alpha"), Document("b", "beta"))
    await house.work()
    await house.catalog.documents.tombstone("c", ["a"])
    await house.work()
    assert await house.keys() == {("b", 1, 0)}
    assert (await house.catalog.documents.counts("c")).documents == 1


async def test_what_time_can_heal_is_tried_again(house: House) -> None:
    house.embedder.fail_on = ("alpha", UpstreamUnavailable("down", retry_after=0.0))
    await house.submit(Document("a", "alpha"))
    await house.worker.work_once()
    assert (await house.catalog.documents.get("c", "a")).state == "pending"


async def test_what_time_cannot_heal_has_failed_with_its_reason(house: House) -> None:
    house.embedder.fail_on = ("alpha", UpstreamRejected("model said no"))
    job = await house.submit(Document("a", "alpha"))
    await house.work()
    assert (await house.catalog.documents.get("c", "a")).state == "pending"  # tried again after a pause
    house.clock.advance(60)
    await house.work()
    stored = await house.catalog.documents.get("c", "a")
    assert (stored.state, stored.error_code, stored.error) == ("failed", "upstream_rejected", "model said no")
    assert [failure.document_id for failure in (await house.catalog.jobs.get(job)).failures] == ["a"]


async def test_a_defect_that_one_document_sets_off_spares_the_others(house: House) -> None:
    house.embedder.fail_on = ("poison", RuntimeError("boom"))
    await house.submit(Document("a", "alpha"), Document("p", "poison"), Document("b", "beta"))
    await house.worker.work_once()
    states = {name: (await house.catalog.documents.get("c", name)).state for name in ("a", "p", "b")}
    assert states == {"a": "indexed", "p": "pending", "b": "indexed"}


async def test_a_document_without_readable_text_fails_by_name(house: House) -> None:
    await house.submit(Document("a", "<!-- nothing -->", "markdown", canonical=False))
    await house.work()
    stored = await house.catalog.documents.get("c", "a")
    assert (stored.state, stored.error_code) == ("failed", "invalid_document")


async def test_text_that_the_embedder_cannot_read_is_stored_for_keywords_only(house: House) -> None:
    house.embedder.coverage = 0.1
    await house.submit(Document("a", "战国无双"))
    await house.work()
    (point,) = (await house.store.fetch(house.index, [key.id async for key in house.store.keys(house.index)])).values()
    assert point.dense is None
    assert (await house.store.query(house.index, text="战国无双", limit=5)).sparse


async def test_a_full_disk_keeps_the_document_waiting(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(index: Any, points: Sequence[Point]) -> None:
        raise StorageFull("no space left")

    monkeypatch.setattr(house.store, "upsert", full)
    await house.submit(Document("a", "alpha"))
    await house.worker.work_once()
    stored = await house.catalog.documents.get("c", "a")
    assert stored.state == "pending"


async def test_a_collection_deleted_meanwhile_is_passed_over(house: House) -> None:
    await house.submit(Document("a", "alpha"))
    claims = await house.catalog.queue.claim("w", limit=8, lease_seconds=60)
    await house.catalog.collections.mark_deleting("c")
    pipeline = Pipeline(
        Embedders(house.embedder, keyword_tokenizer=house.store.keyword_tokenizer),
        house.store,
        house.catalog,
        IndexingSettings(max_attempts=2),
    )
    assert list(await pipeline.run(claims)) == []


async def test_a_batch_that_was_overtaken_does_not_count(house: House) -> None:
    await house.submit(Document("a", "alpha"))
    claims = await house.catalog.queue.claim("slow", limit=8, lease_seconds=60)
    await house.submit(Document("a", "alpha two"))
    pipeline = Pipeline(
        Embedders(house.embedder, keyword_tokenizer=house.store.keyword_tokenizer),
        house.store,
        house.catalog,
        IndexingSettings(max_attempts=2),
    )
    await pipeline.run(claims)
    assert (await house.catalog.documents.get("c", "a")).state == "pending"
    await house.work()
    assert await house.keys() == {("a", 2, 0)}


async def test_the_worker_stops_when_asked_and_gives_its_leases_back(house: House) -> None:
    task = asyncio.create_task(house.worker.run())
    job = await house.submit(Document("a", "alpha"))
    house.worker.wake()
    async with asyncio.timeout(10):
        while (await house.catalog.jobs.get(job)).status != "done":
            await asyncio.sleep(0)
    house.worker.stop()
    await asyncio.wait_for(task, 10)


async def test_chunks_that_the_model_cannot_read_are_counted_apart(house: House) -> None:
    house.embedder.coverage = 0.2
    job = await house.submit(Document("a", "alpha"))
    await house.work()
    found = await house.catalog.jobs.get(job)
    assert (found.status, found.indexed, found.chunks_embedded, found.chunks_unread) == ("done", 1, 0, 1)
