"""What every catalog does with collections."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contracts.catalog_data import LEASE, FakeClock, doc, make_collection, success
from winnow.core.acl import AccessRules
from winnow.core.errors import CollectionNotFound, JobNotFound
from winnow.core.types import Chunking, Counts, Document
from winnow.ports import Catalog


class CollectionContract:
    """Collections: made once, replaced, taken out of service, purged."""

    async def test_a_new_collection_is_stored_with_all_it_has(self, catalog: Catalog, clock: FakeClock) -> None:
        made = await catalog.collections.create(make_collection())
        assert made == replace(make_collection(), created_at=clock.now)
        assert await catalog.collections.get("docs") == made

    async def test_an_existing_name_keeps_what_is_stored(self, catalog: Catalog) -> None:
        first = await catalog.collections.create(make_collection())
        again = await catalog.collections.create(replace(make_collection(uid="other"), fields={}))
        assert again == first

    async def test_an_unknown_collection_is_not_found(self, catalog: Catalog) -> None:
        with pytest.raises(CollectionNotFound, match="nowhere"):
            await catalog.collections.get("nowhere")
        with pytest.raises(CollectionNotFound):
            await catalog.collections.update(make_collection("nowhere"))
        with pytest.raises(CollectionNotFound):
            await catalog.documents.submit("nowhere", [doc("a")])
        with pytest.raises(CollectionNotFound):
            await catalog.documents.tombstone("nowhere", ["a"])
        with pytest.raises(CollectionNotFound):
            await catalog.documents.list("nowhere")
        with pytest.raises(CollectionNotFound):
            await catalog.documents.counts("nowhere")
        with pytest.raises(CollectionNotFound):
            [stored async for stored in catalog.documents.scan("nowhere")]
        with pytest.raises(CollectionNotFound):
            [found async for found in catalog.documents.scan_keys("nowhere")]

    async def test_collections_are_listed_by_name(self, catalog: Catalog) -> None:
        for name in ("b", "a", "B"):
            await catalog.collections.create(make_collection(name))
        assert [collection.name for collection in await catalog.collections.list()] == ["B", "a", "b"]

    async def test_collections_come_with_their_counts(self, catalog: Catalog) -> None:
        for name in ("full", "empty", "doomed"):
            await catalog.collections.create(make_collection(name))
        await catalog.documents.submit("full", [doc("a"), doc("b"), doc("c")])
        claims = await catalog.queue.claim("worker", limit=2, lease_seconds=LEASE)
        await catalog.queue.commit([success(claim, 3) for claim in claims])
        await catalog.documents.tombstone("full", ["a"])
        await catalog.documents.submit("doomed", [doc("a")])
        await catalog.collections.mark_deleting("doomed")
        empty, full = await catalog.collections.list_with_counts()
        assert full == (await catalog.collections.get("full"), Counts(2, 3, pending=1, indexed=1, deleting=1))
        assert empty == (await catalog.collections.get("empty"), Counts())
        assert await catalog.collections.get_with_counts("full") == full
        assert await catalog.collections.get_with_counts("empty") == empty
        with pytest.raises(CollectionNotFound):
            await catalog.collections.get_with_counts("doomed")

    async def test_an_update_replaces_what_may_change_and_nothing_else(self, catalog: Catalog) -> None:
        made = await catalog.collections.create(make_collection())
        wanted = replace(made, fields={"lang": "keyword"}, rerank_instruct="order it", metadata={})
        changed = await catalog.collections.update(
            replace(wanted, serving=replace(made.serving, uid="ignored", generation=2))
        )
        assert changed == wanted
        assert await catalog.collections.get("docs") == changed

    async def test_once_access_is_in_use_it_stays_so(self, catalog: Catalog) -> None:
        made = await catalog.collections.create(make_collection())
        assert (await catalog.collections.mark_access("docs")).access == AccessRules("public", in_use=True)
        changed = await catalog.collections.update(replace(made, access=AccessRules("none")))
        assert changed.access == AccessRules("none", in_use=True)
        with pytest.raises(CollectionNotFound):
            await catalog.collections.mark_access("nowhere")

    async def test_a_collection_that_awaits_its_model_gets_one_once(self, catalog: Catalog) -> None:
        made = await catalog.collections.create(replace(make_collection(), awaits_model=True))
        assert made.awaits_model
        identity = replace(made.serving.identity, model="chosen")
        wanted = replace(made, serving=replace(made.serving, identity=identity), chunking=Chunking(100, 10))
        settled = await catalog.collections.settle_model(wanted)
        assert settled == replace(wanted, awaits_model=False)
        later = replace(wanted, serving=replace(made.serving, identity=replace(identity, model="other")))
        assert await catalog.collections.settle_model(later) == settled
        with pytest.raises(CollectionNotFound):
            await catalog.collections.settle_model(make_collection("nowhere"))

    async def test_a_collection_with_documents_keeps_what_they_are_embedded_with(self, catalog: Catalog) -> None:
        made = await catalog.collections.create(replace(make_collection(), awaits_model=True))
        await catalog.documents.submit("docs", [Document("a", "text")])
        identity = replace(made.serving.identity, model="chosen")
        settled = await catalog.collections.settle_model(
            replace(made, serving=replace(made.serving, identity=identity))
        )
        assert settled == replace(made, awaits_model=False)

    async def test_a_collection_being_deleted_is_not_found_but_listed_as_unfinished(self, catalog: Catalog) -> None:
        made = await catalog.collections.create(make_collection())
        marked = await catalog.collections.mark_deleting("docs")
        assert marked == replace(made, status="deleting")
        assert await catalog.collections.list() == []
        assert await catalog.collections.list(deleting=True) == [marked]
        with pytest.raises(CollectionNotFound):
            await catalog.collections.get("docs")
        with pytest.raises(CollectionNotFound):
            await catalog.collections.mark_deleting("docs")

    async def test_the_name_is_free_again_at_once(self, catalog: Catalog) -> None:
        await catalog.collections.create(make_collection(uid="old"))
        await catalog.documents.submit("docs", [doc("a")])
        await catalog.collections.mark_deleting("docs")
        made = await catalog.collections.create(make_collection(uid="new"))
        assert made.uid == "new"
        assert await catalog.documents.counts("docs") == Counts()
        await catalog.collections.purge("old")
        assert (await catalog.collections.get("docs")).uid == "new"

    async def test_a_purge_removes_documents_and_jobs(self, catalog: Catalog) -> None:
        await catalog.collections.create(make_collection())
        job_id = (await catalog.documents.submit("docs", [doc("a"), doc("b")])).job_id
        await catalog.collections.mark_deleting("docs")
        await catalog.collections.purge("uid-docs")
        assert await catalog.collections.list(deleting=True) == []
        with pytest.raises(JobNotFound):
            await catalog.jobs.get(job_id)
        await catalog.collections.create(make_collection())
        assert await catalog.documents.counts("docs") == Counts()

    async def test_a_purge_spares_a_collection_in_service(self, catalog: Catalog) -> None:
        await catalog.collections.create(make_collection())
        await catalog.documents.submit("docs", [doc("a")])
        await catalog.collections.purge("uid-docs")
        await catalog.collections.purge("unknown")
        assert (await catalog.documents.counts("docs")).documents == 1

    async def test_work_of_a_collection_being_deleted_is_neither_claimed_nor_committed(self, catalog: Catalog) -> None:
        await catalog.collections.create(make_collection())
        await catalog.documents.submit("docs", [doc("a"), doc("b")])
        claims = await catalog.queue.claim("worker", limit=1, lease_seconds=LEASE)
        await catalog.collections.mark_deleting("docs")
        assert await catalog.queue.backlog() == 0
        assert list(await catalog.queue.claim("other", limit=10, lease_seconds=LEASE)) == []
        assert list(await catalog.queue.commit([success(claim) for claim in claims])) == [False]
        assert await catalog.queue.renew("worker", claims, lease_seconds=LEASE) == 0
