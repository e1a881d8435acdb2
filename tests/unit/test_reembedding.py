"""The second index of a collection: built behind all other work, and kept in step with the first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.two_models import Killed, Reembed, ended, furnished, killed
from winnow.core.errors import Conflict, UpstreamRejected
from winnow.core.principal import LOCAL
from winnow.core.search import SearchRequest
from winnow.operations import reembed as reembedding
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.ports import IndexRef, Point
from winnow.vectors.keywords import FIRST, NEWEST


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Reembed]:
    async with furnished(tmp_path) as built:
        yield built


async def test_every_document_is_built_out_of_the_catalog_and_the_old_index_is_left_alone(house: Reembed) -> None:
    house.old.embedded.clear()
    assert (await house.start()).state == "building"
    await house.work()
    status = await reembedding.status(house.resources, LOCAL, "c")
    assert (status.state, status.progress.documents, status.progress.done, status.progress.lacking) == (
        "ready",
        3,
        3,
        0,
    )
    await house.require_both(a=(1, ["alpha"]), b=(1, ["beta"]), c=(1, ["gamma"]))
    assert house.old.embedded == []
    assert sorted(house.new.embedded) == ["alpha", "beta", "gamma"]


async def test_serving_points_are_not_written_again(house: Reembed, monkeypatch: pytest.MonkeyPatch) -> None:
    upsert, written = house.store.upsert, set()

    async def watched(index: IndexRef, points: Sequence[Point]) -> None:
        if points:
            written.add(index.generation)
        await upsert(index, points)

    monkeypatch.setattr(house.store, "upsert", watched)
    await house.build()
    assert written == {2}


async def test_writes_and_deletions_meanwhile_reach_both(house: Reembed) -> None:
    await house.start()
    await house.submit(a="alpha two", d="delta")
    await house.delete("b")
    await house.work()
    await house.require_both(a=(2, ["alpha two"]), c=(1, ["gamma"]), d=(1, ["delta"]))
    assert (await reembedding.status(house.resources, LOCAL, "c")).state == "ready"


async def test_they_reach_both_as_long_as_the_old_index_is_kept_and_nothing_deleted_comes_back(
    house: Reembed,
) -> None:
    await house.build()
    await reembedding.switch_model(house.resources, LOCAL, "c")
    await house.submit(a="alpha two", d="delta")
    await house.delete("b")
    await house.work()
    kept = {"a": (2, ["alpha two"]), "c": (1, ["gamma"]), "d": (1, ["delta"])}
    await house.require_both(**kept)
    await reembedding.rollback(house.resources, LOCAL, "c")
    await house.delete("c")
    await house.work()
    del kept["c"]
    await house.require_both(**kept)
    status = await reembedding.status(house.resources, LOCAL, "c")
    assert (status.state, status.progress.lacking, status.collection.serving.generation) == ("kept", 0, 1)


async def test_a_batch_that_began_before_the_start_is_brought_over_afterwards(house: Reembed) -> None:
    await house.submit(d="delta")
    claims = await house.catalog.queue.claim("early", limit=8, lease_seconds=60)
    pipeline = house.pipeline(house.old)
    get = house.catalog.collections.get
    early = await get("c")
    await house.start()

    async def before(_: str) -> Any:
        return early

    house.catalog.collections.get = before  # type: ignore[method-assign]
    await pipeline.run(claims)
    house.catalog.collections.get = get  # type: ignore[method-assign]
    assert "d" not in await house.texts(2)
    await house.work()
    await house.require_both(a=(1, ["alpha"]), b=(1, ["beta"]), c=(1, ["gamma"]), d=(1, ["delta"]))


async def test_a_document_that_fails_is_named_stays_searchable_and_stops_the_switch(house: Reembed) -> None:
    house.new.fail_on = ("beta", UpstreamRejected("model said no"))
    status = await house.build()
    assert (status.state, status.progress.lacking, status.progress.failed) == ("building", 1, 1)
    assert [(each.document_id, each.message) for each in status.progress.failures] == [("b", "model said no")]
    assert (await house.catalog.documents.get("c", "b")).state == "indexed"
    with pytest.raises(Conflict, match=r"1 documents.*--force"):
        await reembedding.switch_model(house.resources, LOCAL, "c")
    answer = await house.resources.search.run(SearchRequest("c", "beta", top_n=1), LOCAL)
    assert answer.results[0].candidate.document_id == "b"
    assert (await reembedding.switch_model(house.resources, LOCAL, "c", force=True)).collection.serving.generation == 2


async def test_where_the_second_model_is_not_configured_the_work_waits_and_nothing_fails(house: Reembed) -> None:
    await house.start()
    await house.submit(d="delta")
    await house.worker_of(house.old).work_once()
    assert (await house.catalog.documents.get("c", "d")).state == "pending"
    status = await reembedding.status(house.resources, LOCAL, "c")
    assert (status.progress.lacking, status.progress.failures) == (3, ())
    house.clock.advance(60)
    await house.work()
    assert (await reembedding.status(house.resources, LOCAL, "c")).progress.done == 4


async def test_a_killed_batch_resumes_without_embedding_twice(house: Reembed, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.start()
    with monkeypatch.context() as patch:
        patch.setattr(house.catalog.queue, "commit", killed)
        with pytest.raises(Killed):
            await house.work()
    house.clock.advance(3600)
    await house.work()
    assert sorted(house.new.embedded) == ["alpha", "beta", "gamma"]
    assert (await reembedding.status(house.resources, LOCAL, "c")).state == "ready"


async def test_a_new_document_whose_batch_was_killed_is_embedded_once_by_either_model(
    house: Reembed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.build()
    for model in (house.old, house.new):
        model.embedded.clear()
    await house.submit(d="delta")
    claims = await house.catalog.queue.claim("killed", limit=8, lease_seconds=60)
    with monkeypatch.context() as patch:
        patch.setattr(house.catalog.queue, "commit", killed)
        with pytest.raises(Killed):
            await house.pipeline(house.old, house.new).run(claims)
    house.clock.advance(3600)
    await house.work()
    assert (house.old.embedded, house.new.embedded) == (["delta"], ["delta"])


async def test_no_vector_of_another_text_is_taken_though_the_id_be_the_same(house: Reembed) -> None:
    await house.start()
    (index,) = [each for each in await house.store.indexes() if each.generation == 2]
    (point,) = (await house.points(1))["a"]
    foreign = (await house.new.embed(["something else"], "document")).vectors[0]
    chunk = replace(point.chunk, text="something else")
    await house.store.upsert(index, [replace(point, chunk=chunk, dense=foreign, tokens=None)])
    await house.work()
    await house.require_both(a=(1, ["alpha"]), b=(1, ["beta"]), c=(1, ["gamma"]))


async def test_a_collection_of_an_earlier_tokenizer_is_searched_with_it_and_changed_with_its_own_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = Reembed(tmp_path)
    built.resources = built.process(built.old, None)
    with monkeypatch.context() as earlier:
        earlier.setattr(built.store, "keyword_tokenizer", FIRST)
        await ensure_collection(built.resources, LOCAL, "c", CollectionSpec(max_tokens=32, overlap=0))
    await built.submit(a="копии файлов")
    await built.work()
    assert await hits(built, "файлов") == ["a"]
    assert await hits(built, "файл") == []

    assert (await built.build()).state == "ready"
    status = await reembedding.switch_model(built.resources, LOCAL, "c")
    assert status.collection.serving.identity.model == built.old.info.model
    assert status.collection.serving.identity.keyword_tokenizer == NEWEST
    assert await hits(built, "файл") == ["a"]
    with pytest.MonkeyPatch.context() as quick:
        quick.setattr(reembedding, "earlier_searches_end", ended)
        await reembedding.drop(built.resources, LOCAL, "c")
    with pytest.raises(Conflict, match="no model to change to"):
        await built.start()
    await built.store.close()
    await built.catalog.close()


async def hits(built: Reembed, query: str) -> list[str]:
    answer = await built.resources.search.run(SearchRequest("c", query, mode="sparse"), LOCAL)
    return [result.candidate.document_id for result in answer.results]
