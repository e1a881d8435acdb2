"""Switching, going back and letting go while a collection is in use; and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.two_models import Reembed, ended, furnished, model_of
from winnow.core.errors import CollectionNotFound, Conflict, IdentityMismatch, IndexRebuilding
from winnow.core.principal import LOCAL
from winnow.core.search import SearchRequest
from winnow.operations import reembed as reembedding
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.operations.index_watch import IndexWatch
from winnow.ports import IndexRef


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Reembed]:
    async with furnished(tmp_path) as built:
        yield built


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let go of an index at once."""
    monkeypatch.setattr(reembedding, "earlier_searches_end", ended)


# --- letting go ----------------------------------------------------------------------------------


async def test_dropped_while_a_batch_runs_nothing_fails(house: Reembed, no_pause: None) -> None:
    await house.start()
    await house.submit(d="delta")
    claims = await house.catalog.queue.claim("w", limit=1, lease_seconds=60)
    assert [claim.document.id for claim in claims] == ["d"]
    begun = await house.catalog.collections.get("c")
    await reembedding.drop(house.resources, LOCAL, "c")
    get, asked = house.catalog.collections.get, 0

    async def once_the_old_row(name: str) -> Any:
        nonlocal asked
        asked += 1
        return begun if asked == 1 else await get(name)

    house.catalog.collections.get = once_the_old_row  # type: ignore[method-assign]
    await house.pipeline(house.old, house.new).run(claims)
    await house.work()
    assert [index.generation for index in await house.store.indexes()] == [1]
    assert (await house.catalog.documents.get("c", "d")).state == "indexed"
    assert (await reembedding.status(house.resources, LOCAL, "c")).state == "none"


async def test_an_index_is_dropped_after_a_switch_and_its_number_is_not_used_again(
    house: Reembed, no_pause: None
) -> None:
    await house.build()
    await reembedding.switch_model(house.resources, LOCAL, "c")
    await reembedding.drop(house.resources, LOCAL, "c")
    assert [index.generation for index in await house.store.indexes()] == [2]
    with pytest.raises(Conflict, match="nothing to drop"):
        await reembedding.drop(house.resources, LOCAL, "c")
    back = house.process(house.new, house.old)
    status = await reembedding.start(back, LOCAL, "c")
    assert status.collection.beside is not None
    assert status.collection.beside.generation == 3


# --- switching -----------------------------------------------------------------------------------


async def test_searches_during_switches_never_mix_two_models_and_none_fails(house: Reembed) -> None:
    await house.build()
    query, seen = house.store.query, []

    async def watched(index: IndexRef, **options: Any) -> Any:
        seen.append((index.generation, options["dense"].shape[0]))
        await asyncio.sleep(0)
        return await query(index, **options)

    house.store.query = watched  # type: ignore[method-assign, assignment]

    async def search() -> tuple[str | None, int]:
        answer = await house.resources.search.run(SearchRequest("c", "alpha", top_n=1), LOCAL)
        assert answer.embed.status in {"ok", "cached"}
        assert not answer.degraded
        (result,) = answer.results
        assert result.candidate.document_id == "a"
        return answer.embed.model, len(answer.results)

    async def change() -> None:
        for _ in range(5):
            await reembedding.switch_model(house.resources, LOCAL, "c")
            await search()
            await reembedding.rollback(house.resources, LOCAL, "c")
            await search()

    async def keep_searching() -> list[tuple[str | None, int]]:
        found = []
        while not changing.done():
            found.append(await search())
            await asyncio.sleep(0.001)
        return found

    changing = asyncio.create_task(change())
    answers = await asyncio.gather(*(keep_searching() for _ in range(4)))
    await changing
    assert set(seen) == {(1, 32), (2, 64)}
    assert {model for some in answers for model, _ in some} == {"fake-32", "fake-64"}


async def test_the_other_index_can_be_searched_before_the_switch(house: Reembed) -> None:
    await house.build()
    for index, model in (("serving", "fake-32"), ("other", "fake-64")):
        answer = await house.resources.search.run(SearchRequest("c", "alpha", index=index), LOCAL)  # type: ignore[arg-type]
        assert answer.embed.model == model


async def test_an_unsound_index_is_not_switched_to(house: Reembed) -> None:
    await house.build()
    (index,) = [each for each in await house.store.indexes() if each.generation == 2]
    await house.store.delete_documents(index, {"b": None})
    with pytest.raises(Conflict, match=r"'b' lacks points.*--repair"):
        await reembedding.switch_model(house.resources, LOCAL, "c")
    assert (await house.catalog.collections.get("c")).serving.generation == 1


# --- refusals ------------------------------------------------------------------------------------


async def test_a_model_that_reads_less_is_refused(tmp_path: Path) -> None:
    house = Reembed(tmp_path, new=model_of(64, max_tokens=128))
    await ensure_collection(house.resources, LOCAL, "c", CollectionSpec())
    with pytest.raises(IdentityMismatch, match=r"reads 128 tokens at most.*new collection"):
        await house.start()
    assert (await house.catalog.collections.get("c")).beside is None
    await house.catalog.close()


async def test_the_model_in_use_is_refused_also_once_it_was_switched_to(house: Reembed, no_pause: None) -> None:
    same = house.process(house.old, model_of(32))
    with pytest.raises(Conflict, match="built with fake-32 already"):
        await reembedding.start(same, LOCAL, "c")
    await house.build()
    await reembedding.switch_model(house.resources, LOCAL, "c")
    with pytest.raises(Conflict, match="built with fake-64 already"):
        await house.start()
    await reembedding.drop(house.resources, LOCAL, "c")
    with pytest.raises(Conflict, match="built with fake-64 already"):
        await house.start()


async def test_without_a_next_model_there_is_nothing_to_start(house: Reembed) -> None:
    with pytest.raises(Conflict, match="WINNOW_NEXT_EMBEDDING__PROVIDER"):
        await reembedding.start(house.process(house.old, None), LOCAL, "c")


async def test_a_third_model_has_to_wait_until_one_index_is_dropped(house: Reembed) -> None:
    await house.start()
    with pytest.raises(Conflict, match="second index already"):
        await reembedding.start(house.process(house.old, model_of(48)), LOCAL, "c")


async def test_each_step_needs_the_one_before(house: Reembed) -> None:
    for call, says in (
        (reembedding.switch_model, "begin with `winnow reembed -c c`"),
        (reembedding.rollback, "no index from before a switch"),
        (reembedding.drop, "nothing to drop"),
    ):
        with pytest.raises(Conflict, match=says):
            await call(house.resources, LOCAL, "c")
        with pytest.raises(CollectionNotFound):
            await call(house.resources, LOCAL, "none")
    await house.start()
    with pytest.raises(Conflict, match="no index from before"):
        await reembedding.rollback(house.resources, LOCAL, "c")


async def test_a_step_that_is_asked_for_twice_is_not_taken_back(house: Reembed) -> None:
    await house.start()
    await house.work()
    for step, generation in ((reembedding.switch_model, 2), (reembedding.rollback, 1), (reembedding.switch_model, 2)):
        assert (await step(house.resources, LOCAL, "c")).collection.serving.generation == generation
        with pytest.raises(Conflict):
            await step(house.resources, LOCAL, "c")
    assert (await house.resources.catalog.collections.get("c")).serving.generation == 2


async def test_a_start_is_repeatable(house: Reembed) -> None:
    first = await house.start()
    assert (await house.start()).collection == first.collection
    await house.work()
    assert sorted(house.new.embedded) == ["alpha", "beta", "gamma"]


async def test_an_estimate_counts_with_the_next_model_and_changes_nothing(house: Reembed) -> None:
    found = await reembedding.estimate_reembed(house.resources, LOCAL, "c")
    assert (found.chunks, found.tokens) == (3, 3)
    assert (await house.catalog.collections.get("c")).beside is None


# --- losing the second index -----------------------------------------------------------------------


async def test_the_second_index_is_lost_in_mid_building_and_a_switch_waits_for_all_documents(house: Reembed) -> None:
    await house.build()
    collection = await house.catalog.collections.get("c")
    assert collection.beside is not None
    await house.store.drop(collection.beside.ref)
    watch = IndexWatch(house.resources, heals=True)
    assert await watch.look() == {}  # searches go on, and the re-embedding begins again
    assert (await reembedding.status(house.resources, LOCAL, "c")).progress.lacking == 3
    with pytest.raises(Conflict, match="3 documents"):
        await reembedding.switch_model(house.resources, LOCAL, "c")
    assert (await house.resources.search.run(SearchRequest("c", "alpha"), LOCAL)).results
    await house.work()
    await reembedding.switch_model(house.resources, LOCAL, "c")
    await house.require_both(a=(1, ["alpha"]), b=(1, ["beta"]), c=(1, ["gamma"]))


async def test_both_indexes_are_lost_in_mid_building_and_both_are_filled(house: Reembed) -> None:
    await house.start()
    assert await house.worker.work_once()
    collection = await house.catalog.collections.get("c")
    for index in collection.indexes:
        await house.store.drop(index.ref)
    await IndexWatch(house.resources, heals=True).look()
    with pytest.raises(IndexRebuilding):
        await house.resources.search.run(SearchRequest("c", "alpha"), LOCAL)
    await house.work()
    await IndexWatch(house.resources, heals=True).look()
    await house.require_both(a=(2, ["alpha"]), b=(2, ["beta"]), c=(2, ["gamma"]))
    assert (await house.resources.search.run(SearchRequest("c", "alpha"), LOCAL)).results
