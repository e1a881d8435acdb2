"""What every catalog does with kept sources: they are claimed by one process at a time, and keep their outcomes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.contracts.catalog_data import FakeClock
from winnow.core.errors import CollectionNotFound, Conflict, SourceNotFound
from winnow.core.ids import new_id
from winnow.ports import Catalog, KeptSource, SourceClaim, SourceRun

SITE = "site:https://docs.example.com"


def make_source(clock: FakeClock, *, every: int | None = 3600, tenant: str = "") -> KeptSource:
    """A source that is due."""
    return KeptSource(new_id("src"), "docs", SITE, tenant, every, {"delay": 0.5}, "key wnw_a", next_at=clock.now)


def ended(clock: FakeClock) -> SourceRun:
    """An outcome with something in every field."""
    failure = {"source": "/a", "code": "busy", "message": "try again"}
    return SourceRun("partial", clock.now, clock.now + timedelta(seconds=5), {"seen": 3, "failed": 1}, (failure,))


async def claimed(catalog: Catalog) -> SourceClaim:
    """The claim of a source that is due."""
    claim = await catalog.sources.claim("worker", seconds=60)
    assert claim is not None
    return claim


class KeptSourceContract:
    """Kept sources."""

    async def test_a_source_is_found_as_it_was_stored(self, docs: Catalog, clock: FakeClock) -> None:
        source = make_source(clock)
        stored = await docs.sources.add(source)
        assert stored.created_at == clock.now
        assert (stored.spec, stored.options, stored.next_at) == (SITE, {"delay": 0.5}, clock.now)
        assert await docs.sources.get("docs", source.id) == stored
        assert list(await docs.sources.list("docs")) == list(await docs.sources.list()) == [stored]
        with pytest.raises(SourceNotFound, match="src_missing"):
            await docs.sources.get("docs", "src_missing")
        with pytest.raises(CollectionNotFound):
            await docs.sources.list("gone")
        with pytest.raises(CollectionNotFound):
            await docs.sources.get("gone", source.id)

    async def test_one_source_is_kept_once_for_each_tenant(self, docs: Catalog, clock: FakeClock) -> None:
        first = await docs.sources.add(make_source(clock))
        await docs.sources.add(make_source(clock, tenant="acme"))
        with pytest.raises(Conflict, match=first.id):
            await docs.sources.add(make_source(clock))

    async def test_a_source_that_is_due_is_claimed_once(self, docs: Catalog, clock: FakeClock) -> None:
        source = await docs.sources.add(make_source(clock))
        claims = await asyncio.gather(*(docs.sources.claim(f"worker-{n}", seconds=60) for n in range(4)))
        (claim,) = [each for each in claims if each is not None]
        now = await docs.sources.get("docs", source.id)
        assert (now.started_at, now.next_at) == (clock.now, clock.now + timedelta(hours=1))
        clock.advance(60)
        assert await docs.sources.renew(claim, seconds=6000)
        clock.advance(3600)
        assert await docs.sources.claim("other", seconds=60) is None
        assert await docs.sources.finish(claim, ended(clock))
        assert await docs.sources.claim("other", seconds=60) is not None

    async def test_an_outcome_is_kept_and_ends_the_claim(self, docs: Catalog, clock: FakeClock) -> None:
        source = await docs.sources.add(make_source(clock, every=None))
        claim = await claimed(docs)
        assert await docs.sources.finish(claim, ended(clock))
        stored = await docs.sources.get("docs", source.id)
        assert (stored.last, stored.started_at, stored.next_at) == (ended(clock), None, None)
        assert not await docs.sources.finish(claim, ended(clock))
        clock.advance(10**6)
        assert await docs.sources.claim("worker", seconds=60) is None

    async def test_an_abandoned_run_is_repeated_and_reports_no_outcome(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.sources.add(make_source(clock))
        lost = await claimed(docs)
        clock.advance(61)
        again = await claimed(docs)
        assert again.token > lost.token
        assert not await docs.sources.renew(lost, seconds=60)
        assert not await docs.sources.finish(lost, ended(clock))
        assert await docs.sources.finish(again, ended(clock))

    async def test_a_source_in_demand_while_it_runs_runs_once_more(self, docs: Catalog, clock: FakeClock) -> None:
        source = await docs.sources.add(make_source(clock))
        claim = await claimed(docs)
        clock.advance(1)
        await docs.sources.demand("docs", source.id)
        assert await docs.sources.claim("other", seconds=60) is None
        await docs.sources.finish(claim, ended(clock))
        assert (await claimed(docs)).source.id == source.id

    async def test_a_run_that_is_given_back_is_due_at_once(self, docs: Catalog, clock: FakeClock) -> None:
        source = await docs.sources.add(make_source(clock))
        await docs.sources.release(await claimed(docs))
        assert (await docs.sources.get("docs", source.id)).last is None
        assert (await claimed(docs)).source.id == source.id

    async def test_a_collection_takes_its_sources_along(self, docs: Catalog, clock: FakeClock) -> None:
        await docs.sources.add(make_source(clock))
        collection = await docs.collections.mark_deleting("docs")
        assert await docs.sources.claim("worker", seconds=60) is None
        assert list(await docs.sources.list()) == []
        await docs.collections.purge(collection.uid)

    async def test_a_removed_source_reports_no_outcome(self, docs: Catalog, clock: FakeClock) -> None:
        source = await docs.sources.add(make_source(clock))
        claim = await claimed(docs)
        assert (await docs.sources.remove("docs", source.id)).id == source.id
        assert not await docs.sources.finish(claim, ended(clock))
        with pytest.raises(SourceNotFound):
            await docs.sources.remove("docs", source.id)
