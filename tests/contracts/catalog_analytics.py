"""What every catalog does with searches and events of visitors."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.contracts.catalog_data import FakeClock
from winnow.core.analytics import LoggedSearch, VisitorEvent
from winnow.core.search import Speed
from winnow.ports import AnalyticsScope, Catalog, QueryFigures

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


async def uid(catalog: Catalog) -> str:
    return (await catalog.collections.get("docs")).uid


class Visits:
    """Searches of a collection, noted one after the other."""

    def __init__(self, catalog: Catalog, uid: str, clock: FakeClock) -> None:
        self.catalog, self.uid, self.clock = catalog, uid, clock
        self.number = 0

    def search(
        self,
        query: str,
        *,
        shown: tuple[str, ...] = ("a", "b"),
        session: str = "",
        speed: Speed = "full",
        tenant: str = "",
        first: int = 1,
        ms: float = 1.0,
        replaced_by: str | None = None,
        audience: str = "",
    ) -> LoggedSearch:
        self.number += 1
        made = LoggedSearch(
            f"srch_{self.number:04}",
            self.uid,
            tenant,
            self.clock(),
            query,
            "hybrid",
            speed,
            shown,
            first,
            len(shown),
            ms,
            degraded=False,
            session=session,
            audience=audience,
            replaced_by=replaced_by,
        )
        self.catalog.analytics.note(made)
        return made

    def event(self, search: LoggedSearch, document: str = "a", position: int | None = 1, **other: str) -> VisitorEvent:
        kind = "conversion" if position is None else "click"
        return VisitorEvent(
            search.id, document, kind, search.collection_uid, search.tenant, self.clock(), position, **other
        )

    @property
    def scope(self) -> AnalyticsScope:
        return AnalyticsScope(self.uid, EPOCH)


class AnalyticsContract:
    """Searches and events of visitors."""

    async def test_searches_and_events_are_kept_and_read(self, docs: Catalog, clock: FakeClock) -> None:
        visits = Visits(docs, await uid(docs), clock)
        first = visits.search("Straße", session="s", ms=2.5)
        second = visits.search("x" * 900 + "'\"", shown=(), tenant="t", audience="abc")
        found = await docs.analytics.searches(visits.scope)
        assert list(found) == [first, second]
        assert list(await docs.analytics.searches(visits.scope, after=first.id)) == [second]
        assert list(await docs.analytics.searches(visits.scope._replace(tenant="t"))) == [second]
        events = [visits.event(first, session="s"), visits.event(first, position=None)]
        await docs.analytics.add_events(events)
        await docs.analytics.add_events([replace(events[0], position=2)])
        assert list(await docs.analytics.events_of(visits.scope, [first.id])) == events, "the first one counts"

    async def test_keystrokes_are_replaced_by_what_was_typed_in_the_end(self, docs: Catalog, clock: FakeClock) -> None:
        visits = Visits(docs, await uid(docs), clock)
        typed = [visits.search(each, session="s", speed="instant") for each in ("a", "as", "asx")]
        await docs.analytics.searches(visits.scope)  # writes
        typed += [visits.search(each, session="s", speed="instant") for each in ("as", "async")]
        final = visits.search("async", session="s")
        visits.search("async", session="other")
        later = visits.search("async io", session="s", first=11)
        found = {each.id: each.replaced_by for each in await docs.analytics.searches(visits.scope)}
        assert {found[each.id] for each in typed} == {final.id}
        assert found[final.id] is found[later.id] is None
        clock.advance(31)
        visits.search("async", session="s")
        summary = await docs.analytics.summary(visits.scope, limit=10)
        assert summary.top == [QueryFigures("async", 3, 0, 2, 0, 0, None)]

    async def test_a_search_that_was_clicked_is_not_replaced(self, docs: Catalog, clock: FakeClock) -> None:
        visits = Visits(docs, await uid(docs), clock)
        first = visits.search("as", session="s", speed="instant")
        await docs.analytics.add_events([visits.event(first)])
        visits.search("async", session="s")
        assert [each.replaced_by for each in await docs.analytics.searches(visits.scope)] == [None, None]

    async def test_events_that_come_together_are_all_stored(self, docs: Catalog, clock: FakeClock) -> None:
        visits = Visits(docs, await uid(docs), clock)
        searches = [visits.search("q") for _ in range(40)]
        await asyncio.gather(*(docs.analytics.add_events([visits.event(each)]) for each in searches))
        assert (await docs.analytics.summary(visits.scope, limit=1)).totals.clicks == 40
        waiting = [asyncio.create_task(docs.analytics.add_events([visits.event(each, "b", 2)])) for each in searches]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(*waiting[1:])
        stored = await docs.analytics.events_of(visits.scope, [each.id for each in searches[1:]])
        assert len(stored) == 2 * 39, "also where the request is gone that began to store them"

    async def test_figures(self, docs: Catalog, clock: FakeClock) -> None:
        visits = Visits(docs, await uid(docs), clock)
        searches = [visits.search(each, ms=ms) for each, ms in (("Ab  C", 1.0), ("ab c", 3.0), ("AB c", 9.0))]
        none = visits.search("zebra", shown=(), session="1", speed="instant", ms=5.0)
        visits.search("zebra", shown=("a",), session="2")
        step = visits.search("q", replaced_by=searches[0].id)
        visits.search("more", first=11, shown=())
        clicks = [visits.event(searches[0], "a", 1), visits.event(searches[1], "b", 2), visits.event(step, "b", 4)]
        await docs.analytics.add_events([*clicks, visits.event(searches[0], "a", None)])
        summary = await docs.analytics.summary(visits.scope, limit=10)
        totals = summary.totals
        assert (totals.searches, totals.without_results, totals.clicked, totals.sessions) == (5, 1, 2, 2)
        assert (totals.clicks, totals.conversions) == (3, 1)
        top, zebra = summary.top
        assert (top.query.casefold().split(), *top[1:6]) == (["ab", "c"], 3, 0, 0, 3, 1)
        assert round(top.position or 0, 3) == 2.333
        assert zebra == QueryFigures("zebra", 2, 1, 2, 0, 0, None)
        assert list(summary.nothing_found) == list(summary.nothing_clicked) == [zebra]
        assert list(summary.positions) == [(1, 1), (2, 1), (4, 1)]
        assert [(each.speed, each.searches, each.p50_ms, each.p95_ms) for each in summary.speeds] == [
            ("instant", 1, none.took_ms, none.took_ms),
            ("full", 6, 1.0, 9.0),
        ]
        assert [each[1:] for each in summary.days] == [(5, 1, 3, 1)]

    async def test_a_query_is_suggested_once_enough_sessions_had_results_for_it(
        self, docs: Catalog, clock: FakeClock
    ) -> None:
        visits = Visits(docs, await uid(docs), clock)
        for session in ("1", "2", "2", "", ""):
            visits.search("common words", session=session)
            clock.advance(31)
        for session in ("1", "2", "3"):
            visits.search("nothing found", session=session, shown=())
            visits.search("for staff", session=session, audience="staff")
            visits.search("of a tenant", session=session, tenant="t")
        await docs.analytics.searches(visits.scope)
        none = visits.scope._replace(tenant="")
        assert [each.query for each in await docs.analytics.suggested(none, "", sessions=2, limit=9)] == [
            "common words"
        ]
        assert not await docs.analytics.suggested(none, "", sessions=3, limit=9)
        staff = await docs.analytics.suggested(none, "staff", sessions=3, limit=9)
        assert [each.query for each in staff] == ["for staff"]

    async def test_sessions_tenants_and_collections_are_deleted(self, docs: Catalog, clock: FakeClock) -> None:
        visits = Visits(docs, await uid(docs), clock)
        made = [visits.search("q", session=each, tenant=tenant) for each, tenant in (("1", ""), ("2", ""), ("1", "t"))]
        await docs.analytics.add_events([visits.event(each) for each in made])
        assert await docs.analytics.delete(visits.uid, session="1", tenant="t") == (1, 1)
        assert await docs.analytics.delete(visits.uid, session="1") == (1, 1)
        assert await docs.analytics.delete(visits.uid) == (1, 1)
        visits.search("q")
        await docs.analytics.add_events([visits.event(made[0])])
        await docs.collections.mark_deleting("docs")
        await docs.collections.purge(visits.uid)
        visits.search("after the end")
        assert not await docs.analytics.searches(visits.scope)
        assert not await docs.analytics.events_of(visits.scope, [made[0].id])

    async def test_old_rows_and_replaced_searches_are_pruned(self, docs: Catalog, clock: FakeClock) -> None:
        visits = Visits(docs, await uid(docs), clock)
        old = visits.search("old")
        await docs.analytics.add_events([visits.event(old)])
        clock.advance(timedelta(days=2).total_seconds())
        typed, clicked = (visits.search("ty", speed="instant", session=each) for each in ("1", "2"))
        await docs.analytics.searches(visits.scope)
        for session in ("1", "2"):
            visits.search("typed", session=session)
        await docs.analytics.searches(visits.scope)
        await docs.analytics.add_events([visits.event(clicked)])
        before = clock() - timedelta(days=1)
        assert await docs.analytics.prune(before=before) == 2
        clock.advance(601)
        assert await docs.analytics.prune(before=before) == 1
        left = await docs.analytics.searches(visits.scope)
        assert clicked.id in {each.id for each in left}
        assert typed.id not in {each.id for each in left}
