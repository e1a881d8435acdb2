"""A batch is ours for a while: what runs out stays out, and whoever comes too late undoes what he wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from indexer.worker.lease import Lease, LeaseLost
from tests.support.house import House
from tests.ticks import Ticks
from winnow.core.types import Document

SECONDS = 60.0


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def lease(ticks: Ticks) -> Lease:
    return Lease(SECONDS, clock=ticks)


def test_it_holds_until_its_time_is_over(lease: Lease, ticks: Ticks) -> None:
    ticks.now += SECONDS - 1
    lease.require()
    ticks.now += 1
    assert not lease.holds()
    with pytest.raises(LeaseLost):
        lease.require()


def test_renewal_prolongs_from_when_it_was_asked_for(lease: Lease, ticks: Ticks) -> None:
    ticks.now += SECONDS / 2
    asked = lease.now()
    ticks.now += 10  # the catalog answers late
    lease.renew(asked)
    ticks.now = asked + SECONDS - 1
    assert lease.holds()
    ticks.now += 1
    assert not lease.holds()


def test_one_that_has_run_out_is_not_renewed(lease: Lease, ticks: Ticks) -> None:
    ticks.now += SECONDS
    lease.renew(lease.now())
    assert not lease.holds()


def test_an_answer_that_was_asked_for_in_time_counts_though_it_comes_late(lease: Lease, ticks: Ticks) -> None:
    ticks.now += SECONDS - 1
    asked = lease.now()
    ticks.now += 5
    lease.renew(asked)
    assert lease.holds()


class Clocked(House):
    """Has the machine's clock beside the catalog's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ticks = Ticks()

    def lease(self) -> Lease:
        return Lease(SECONDS, clock=self.ticks)

    def pass_time(self, seconds: float) -> None:
        self.ticks.now += seconds
        self.clock.advance(seconds)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Clocked]:
    built = Clocked(tmp_path)
    await built.open()
    await built.submit(Document("a", "alpha"))
    yield built
    await built.close()


async def test_a_batch_whose_lease_ran_out_writes_nothing(house: Clocked) -> None:
    claims, lease = await house.catalog.queue.claim("slow", limit=8, lease_seconds=SECONDS), house.lease()
    house.pass_time(SECONDS)
    assert list(await house.pipeline.run(claims, lease)) == []
    assert await house.revisions() == {}
    assert (await house.catalog.documents.get("c", "a")).state == "pending"


async def test_within_its_lease_it_is_written_and_recorded(house: Clocked) -> None:
    claims, lease = await house.catalog.queue.claim("w", limit=8, lease_seconds=SECONDS), house.lease()
    house.pass_time(SECONDS - 1)
    assert len(await house.pipeline.run(claims, lease)) == 1
    assert await house.revisions() == {"a": {1}}


async def test_points_that_an_overtaken_batch_wrote_after_a_deletion_are_taken_back(
    house: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims, lease = await house.catalog.queue.claim("slow", limit=8, lease_seconds=SECONDS), house.lease()
    upsert = house.store.upsert

    async def stalled(*arguments: object) -> None:
        monkeypatch.undo()
        house.pass_time(SECONDS)
        await house.catalog.documents.tombstone("c", ["a"])
        deletion = await house.catalog.queue.claim("quick", limit=8, lease_seconds=SECONDS)
        await house.pipeline.run(deletion, house.lease())
        await upsert(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(house.store, "upsert", stalled)
    await house.pipeline.run(claims, lease)
    assert await house.revisions() == {}
    assert (await house.catalog.documents.counts("c")).documents == 0


async def test_what_is_overtaken_within_the_lease_is_left_to_whoever_comes_next(house: Clocked) -> None:
    claims, lease = await house.catalog.queue.claim("w", limit=8, lease_seconds=SECONDS), house.lease()
    await house.catalog.documents.submit("c", [Document("a", "beta")])
    await house.pipeline.run(claims, lease)
    again = await house.catalog.queue.claim("w", limit=8, lease_seconds=SECONDS)
    await house.pipeline.run(again, house.lease())
    assert await house.revisions() == {"a": {2}}
