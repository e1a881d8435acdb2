"""What every catalog does with API keys and the audit trail."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.contracts.catalog_data import FakeClock
from winnow.core.api_key import digest_of, id_of, new_key
from winnow.core.errors import KeyNotFound
from winnow.ports import ApiKey, AuditEvent, Catalog, KeySummary

EVENT = AuditEvent("documents.delete", "key wnw_AbCdEfGh", "acme", "docs", "a", "req_1", details={"job": "job_1"})


def make_key(label: str = "site", **changes: object) -> ApiKey:
    """A key with something in every field."""
    secret = new_key()
    made = ApiKey(
        id_of(secret),
        digest_of(secret),
        label,
        frozenset({"search", "documents:read"}),
        ("docs", "shop-*"),
        "acme",
        ("https://www.example.com",),
        limits={"documents_per_day": 10},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


async def listed(catalog: Catalog, count: int) -> list[AuditEvent]:
    """The events once there are as many, at the latest after a few seconds."""
    for _ in range(500):
        found = list(await catalog.trail.list())
        if len(found) >= count:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"{len(found)} events")


class ResultListContract:
    """Kept lists of results."""

    async def test_a_list_is_kept_until_its_time_is_over(self, catalog: Catalog, clock: FakeClock) -> None:
        await catalog.lists.keep("one", b"\x00first", seconds=10)
        await catalog.lists.keep("two", b"second", seconds=20)
        assert await catalog.lists.get("one") == b"\x00first"
        assert await catalog.lists.get("three") is None
        clock.advance(10)
        assert (await catalog.lists.get("one"), await catalog.lists.get("two")) == (None, b"second")
        assert [await catalog.lists.prune(), await catalog.lists.prune()] == [1, 0]
        clock.advance(10)
        assert await catalog.lists.prune(limit=5) == 1


class KeyContract:
    """API keys."""

    async def test_a_key_is_found_as_it_was_stored(self, catalog: Catalog, clock: FakeClock) -> None:
        key = make_key(expires_at=clock.now + timedelta(days=1), created_by="bootstrap")
        stored = await catalog.keys.add(key)
        assert stored == replace(key, created_at=clock.now)
        assert await catalog.keys.get(key.id) == stored
        with pytest.raises(KeyNotFound, match="wnw_missing"):
            await catalog.keys.get("wnw_missing")

    async def test_the_limits_of_a_key_are_changed(self, catalog: Catalog) -> None:
        key = await catalog.keys.add(make_key())
        assert await catalog.keys.set_limits(key.id, {"tokens_per_day": 5}) == replace(
            key, limits={"tokens_per_day": 5}
        )
        assert await catalog.keys.set_limits(key.id, {}) == replace(key, limits={}) == await catalog.keys.get(key.id)
        with pytest.raises(KeyNotFound, match="wnw_missing"):
            await catalog.keys.set_limits("wnw_missing", {})

    async def test_keys_are_listed_in_the_order_of_their_making(self, catalog: Catalog, clock: FakeClock) -> None:
        for label in ("first", "second", "third"):
            await catalog.keys.add(make_key(label))
            clock.advance(1)
        assert [key.label for key in await catalog.keys.list()] == ["first", "second", "third"]

    async def test_a_revoked_key_stays_and_its_first_revocation_counts(
        self, catalog: Catalog, clock: FakeClock
    ) -> None:
        key, revoked_at = await catalog.keys.add(make_key()), clock.now
        assert (await catalog.keys.revoke(key.id)).revoked_at == revoked_at
        clock.advance(60)
        assert (await catalog.keys.revoke(key.id)).revoked_at == revoked_at
        assert await catalog.keys.summary() == KeySummary(exist=True, origins=frozenset())
        with pytest.raises(KeyNotFound):
            await catalog.keys.revoke("wnw_missing")

    async def test_a_replaced_key_ends_at_the_given_time_or_before(self, catalog: Catalog, clock: FakeClock) -> None:
        soon, later = clock.now + timedelta(hours=1), clock.now + timedelta(days=1)
        for expires_at, ends in ((None, later), (soon, soon)):
            old = await catalog.keys.add(make_key(expires_at=expires_at))
            new = await catalog.keys.replace(old.id, make_key(), old_expires_at=later)
            assert new.replaces == old.id
            assert await catalog.keys.get(new.id) == new
            assert (await catalog.keys.get(old.id)).expires_at == ends
        with pytest.raises(KeyNotFound):
            await catalog.keys.replace("wnw_missing", make_key(), old_expires_at=later)

    async def test_the_summary_has_the_origins_of_all_valid_keys(self, catalog: Catalog) -> None:
        assert await catalog.keys.summary() == KeySummary(exist=False, origins=frozenset())
        await catalog.keys.add(make_key(origins=("https://a.example", "https://b.example")))
        await catalog.keys.add(make_key(origins=("https://b.example", "https://c.example")))
        await catalog.keys.add(make_key(origins=()))
        gone = await catalog.keys.add(make_key(origins=("https://gone.example",)))
        await catalog.keys.revoke(gone.id)
        origins = frozenset(f"https://{name}.example" for name in "abc")
        assert await catalog.keys.summary() == KeySummary(exist=True, origins=origins)

    async def test_the_last_use_is_written_a_little_later_and_never_goes_back(
        self, catalog: Catalog, clock: FakeClock
    ) -> None:
        key = await catalog.keys.add(make_key())
        for step in (0, 5, -60):
            clock.advance(step)
            catalog.keys.used(key.id)
            latest = max(clock.now, clock.now + timedelta(seconds=-min(step, 0)))
            for _ in range(500):
                if (await catalog.keys.get(key.id)).last_used_at == latest:
                    break
                await asyncio.sleep(0.01)
            assert (await catalog.keys.get(key.id)).last_used_at == latest


class TrailContract:
    """The audit trail."""

    async def test_events_are_listed_newest_first_a_page_at_a_time(self, catalog: Catalog, clock: FakeClock) -> None:
        for name in "abc":
            await catalog.trail.append(replace(EVENT, document=name))
            await asyncio.sleep(0.002)  # ids sort by the millisecond
        first = await catalog.trail.list(limit=2)
        assert [event.document for event in first] == ["c", "b"]
        assert [event.document for event in await catalog.trail.list(after=first[-1].id)] == ["a"]
        assert replace(first[0], id="", at=None, document="a") == EVENT
        assert first[0].at == clock.now

    async def test_events_are_found_by_time_and_action(self, catalog: Catalog, clock: FakeClock) -> None:
        await catalog.trail.append(EVENT, replace(EVENT, action="key.create"), replace(EVENT, action="key%"))
        clock.advance(60)
        await catalog.trail.append(replace(EVENT, action="key.revoke"))
        assert [event.action for event in await catalog.trail.list(since=clock.now)] == ["key.revoke"]
        assert [event.action for event in await catalog.trail.list(action="key.create")] == ["key.create"]
        assert {event.action for event in await catalog.trail.list(action="key.*")} == {"key.create", "key.revoke"}

    async def test_equal_events_that_are_noted_together_are_counted(self, catalog: Catalog) -> None:
        for request in range(3):
            catalog.trail.note(replace(EVENT, request_id=f"req_{request}"))
        catalog.trail.note(replace(EVENT, document="b"))
        found = {event.document: event for event in await listed(catalog, 2)}
        assert (found["a"].count, found["a"].request_id, found["b"].count) == (3, "req_0", 1)

    async def test_a_flood_of_different_events_is_cut_off_and_counted(self, catalog: Catalog) -> None:
        for number in range(1200):
            catalog.trail.note(replace(EVENT, document=str(number)))
        await listed(catalog, 100)
        found = await catalog.trail.list(limit=2000)
        assert len(found) == 1001
        assert [event.count for event in found if event.action == "audit.overflow"] == [200]

    async def test_old_events_are_pruned_a_bounded_number_at_a_time(self, catalog: Catalog, clock: FakeClock) -> None:
        await catalog.trail.append(*[EVENT] * 3)
        clock.advance(60)
        await catalog.trail.append(EVENT)
        assert await catalog.trail.prune(before=clock.now, limit=2) == 2
        assert await catalog.trail.prune(before=clock.now, limit=2) == 1
        assert [event.at for event in await catalog.trail.list()] == [clock.now]
