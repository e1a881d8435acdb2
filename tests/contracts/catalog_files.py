"""What every catalog does with kept files and their attachments."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.contracts.catalog_data import FakeClock, doc, make_collection
from winnow.core.errors import CollectionNotFound, FileNotFound
from winnow.core.tenancy import qualify_id
from winnow.ports import Attachment, AttachmentBatch, Catalog, KeptFile

ONE, TWO, THREE = (f"file-{number * 26}" for number in "123")
PIECES = (b"\0\1", b"\xff" * 1000, b"end")


async def pieces() -> AsyncIterator[bytes]:
    for piece in PIECES:
        yield piece


async def keep(catalog: Catalog, file_id: str = ONE, **changes: object) -> KeptFile:
    """Store a file with something in every field."""
    file = KeptFile(file_id, "a b.txt", 1005, "assistants", "text/plain", collections=("docs", "shop-*"), owner="ann")
    return await catalog.files.keep(replace(file, **changes), pieces())  # type: ignore[arg-type]


def attachment(file_id: str = ONE, **changes: object) -> Attachment:
    made = Attachment(file_id, "a b.txt", 1005, {"lang": "en", "year": 2.5, "open": True})
    return replace(made, **changes)  # type: ignore[arg-type]


class FileContract:
    """Kept files."""

    async def test_a_file_is_found_as_it_was_kept(self, catalog: Catalog, clock: FakeClock) -> None:
        kept = await keep(catalog)
        assert kept.created_at == clock.now
        assert await catalog.files.get(ONE) == kept
        assert [piece async for piece in catalog.files.content(ONE)] == list(PIECES)
        await catalog.files.remove(ONE)
        with pytest.raises(FileNotFound, match="file-1"):
            await catalog.files.get(ONE)
        with pytest.raises(FileNotFound):
            _ = [piece async for piece in catalog.files.content(ONE)]

    async def test_files_are_listed_by_id_and_tenant(self, catalog: Catalog) -> None:
        for file_id in (TWO, ONE, THREE):
            await keep(catalog, file_id, purpose="a" if file_id == ONE else "b")
        await keep(catalog, "file-x", tenant="acme")
        files = catalog.files
        assert [each.id for each in await files.list(tenant="")] == [ONE, TWO, THREE]
        assert [each.id for each in await files.list(tenant="", descending=True, limit=2)] == [THREE, TWO]
        assert [each.id for each in await files.list(tenant="", after=TWO, descending=True)] == [ONE]
        assert [each.id for each in await files.list(tenant="", after=ONE)] == [TWO, THREE]
        assert [each.id for each in await files.list(tenant="", purpose="a")] == [ONE]
        assert [each.id for each in await files.list(tenant="acme")] == ["file-x"]

    async def test_a_file_whose_time_is_over_is_missing(self, catalog: Catalog, clock: FakeClock) -> None:
        await keep(catalog, expires_at=clock.now + timedelta(hours=1))
        assert await catalog.files.expired(limit=5) == []
        clock.advance(3600)
        with pytest.raises(FileNotFound):
            await catalog.files.get(ONE)
        assert await catalog.files.list(tenant="") == []
        assert [each.id for each in await catalog.files.expired(limit=5)] == [ONE]


class AttachmentContract:
    """Attachments of files to collections."""

    async def test_an_attachment_is_claimed_read_and_counted(self, docs: Catalog, clock: FakeClock) -> None:
        file = await keep(docs)
        await docs.files.attach("docs", [attachment()], None)
        (found,) = await docs.files.attachments("docs", tenant="")
        assert found == attachment(created_at=clock.now)
        assert await docs.files.waiting("docs", tenant="") == (1, 0, 0, 1005)
        claim = await docs.files.claim(lease_seconds=60)
        assert claim is not None
        assert (claim.collection, claim.file, claim.attachment.attempts) == ("docs", file, 1)
        assert await docs.files.claim(lease_seconds=60) is None
        await docs.documents.submit("docs", [doc(f"{ONE}#1"), doc(f"{ONE}#2"), doc(TWO)])
        assert await docs.files.settle(claim, "read", error_code="invalid_file", error="1 row")
        (found,) = await docs.files.attachments("docs", tenant="", among=[ONE, TWO])
        assert (found.state, found.error, found.documents) == ("read", "1 row", {"pending": 2})
        assert await docs.files.waiting("docs", tenant="") == (0, 0, 0, 1005)
        assert await docs.files.collections_with(ONE) == ["docs"]

    async def test_a_lease_that_ends_is_given_again_and_the_late_reader_records_nothing(
        self, docs: Catalog, clock: FakeClock
    ) -> None:
        await keep(docs)
        await docs.files.attach("docs", [attachment()], None)
        late = await docs.files.claim(lease_seconds=60)
        clock.advance(61)
        again = await docs.files.claim(lease_seconds=60)
        assert late is not None
        assert again is not None
        assert again.attachment.attempts == 2
        assert not await docs.files.settle(late, "failed")
        await docs.files.put_off(again, seconds=30)
        assert await docs.files.claim(lease_seconds=60) is None
        clock.advance(31)
        assert await docs.files.claim(lease_seconds=60) is not None

    async def test_what_was_not_tried_counts_as_no_attempt(self, docs: Catalog) -> None:
        await docs.files.attach("docs", [attachment()], None)
        for tried in (False, False, True):
            claim = await docs.files.claim(lease_seconds=60)
            assert claim is not None
            assert claim.attachment.attempts == 1
            await docs.files.put_off(claim, seconds=0, tried=tried)
        claim = await docs.files.claim(lease_seconds=60)
        assert claim is not None
        assert claim.attachment.attempts == 2

    async def test_released_leases_are_given_again_and_what_was_read_is_not(self, docs: Catalog) -> None:
        await docs.files.attach("docs", [attachment(), attachment(TWO)], None)
        first = await docs.files.claim(lease_seconds=60)
        second = await docs.files.claim(lease_seconds=60)
        assert first is not None
        assert second is not None
        assert await docs.files.settle(first, "read")
        assert await docs.files.claim(lease_seconds=60) is None
        await docs.files.release()
        again = await docs.files.claim(lease_seconds=60)
        assert again is not None
        assert again.attachment.id == second.attachment.id
        assert await docs.files.claim(lease_seconds=60) is None

    async def test_a_change_while_it_is_read_has_it_read_again(self, docs: Catalog) -> None:
        await docs.files.attach("docs", [attachment()], None)
        claim = await docs.files.claim(lease_seconds=60)
        assert claim is not None
        assert claim.file.filename == "a b.txt"  # as the attachment knows it, where the file itself is gone
        await docs.files.describe("docs", ONE, {"lang": "de"})
        assert not await docs.files.settle(claim, "read")
        again = await docs.files.claim(lease_seconds=60)
        assert again is not None
        assert again.attachment.attributes == {"lang": "de"}
        assert await docs.files.settle(again, "failed", error_code="x", error="y")
        assert await docs.files.waiting("docs", tenant="") == (0, 1, 0, 1005)
        assert await docs.files.detach("docs", ONE)
        assert not await docs.files.detach("docs", ONE)

    async def test_attachments_are_listed_by_id_and_tenant(self, docs: Catalog) -> None:
        theirs = qualify_id("acme", ONE)
        await docs.files.attach("docs", [attachment(each) for each in (THREE, ONE, TWO, theirs)], None)

        async def ids(**options: object) -> list[str]:
            return [each.id for each in await docs.files.attachments("docs", **{"tenant": ""} | options)]  # type: ignore[arg-type]

        assert await ids() == [ONE, TWO, THREE]
        assert await ids(descending=True, limit=2) == [THREE, TWO]
        assert await ids(after=TWO, descending=True) == [ONE]
        assert await ids(among=[TWO, "x"]) == [TWO]
        assert await ids(tenant="acme") == [theirs]

    async def test_a_batch_is_found_and_cancelled(self, docs: Catalog, clock: FakeClock) -> None:
        batch = AttachmentBatch("vsfb_1", "acme", clock.now)
        await docs.files.attach("docs", [attachment(each, batch="vsfb_1") for each in (ONE, TWO)], batch)
        assert await docs.files.batch("docs", "vsfb_1") == batch
        claim = await docs.files.claim(lease_seconds=60)
        assert claim is not None
        assert await docs.files.settle(claim, "read")
        await docs.files.cancel_batch("docs", "vsfb_1")
        assert (await docs.files.batch("docs", "vsfb_1")).cancelled
        states = {each.state for each in await docs.files.attachments("docs", tenant="", batch="vsfb_1")}
        assert states == {"read", "cancelled"}
        assert await docs.files.claim(lease_seconds=60) is None
        with pytest.raises(FileNotFound, match="vsfb_2"):
            await docs.files.batch("docs", "vsfb_2")

    async def test_attachments_go_with_their_collection(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.files.attach("docs", [attachment()], AttachmentBatch("vsfb_1", "", clock.now))
        collection = await docs.collections.mark_deleting("docs")
        assert await docs.files.claim(lease_seconds=60) is None
        assert await docs.files.collections_with(ONE) == []
        await docs.collections.purge(collection.uid)
        await docs.collections.create(make_collection(uid="another"))
        assert await docs.files.attachments("docs", tenant="") == []
        with pytest.raises(CollectionNotFound):
            await docs.files.attach("nothing", [attachment()], None)
