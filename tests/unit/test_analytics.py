"""Which searches were still being typed, how queries are counted, and signed ids of searches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.catalogs import new_catalog
from winnow.core.analytics import LoggedSearch, TypedSearch, folded_query, kept_query, replaced_searches
from winnow.core.search import Speed
from winnow.operations.analytics import AnalyticsRetention
from winnow.operations.search_ids import SearchIds, signed_search
from winnow.operations.tokens import Tokens

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def typed(number: int, query: str, seconds: float, session: str = "s", speed: Speed = "instant") -> TypedSearch:
    at = NOON + timedelta(seconds=seconds)
    return TypedSearch(str(number), at, ("docs", session), folded_query(query), speed, 1)


def replaced(*searches: TypedSearch) -> dict[str, str]:
    return dict(replaced_searches(searches))


def test_of_what_is_typed_the_last_search_counts() -> None:
    chain = [typed(n, query, n) for n, query in enumerate(("p", "py", "pyt", "pyth"))]
    assert replaced(*reversed(chain)) == {"0": "3", "1": "3", "2": "3"}


def test_letters_may_be_taken_away_and_the_full_search_follows() -> None:
    assert replaced(typed(0, "pyhn", 0), typed(1, "py", 1), typed(2, "Python", 2), typed(3, "PYTHON ", 3, "s", "full"))
    assert replaced(typed(0, "python", 0, "s", "full"), typed(1, "python list", 9)) == {"0": "1"}


def test_another_query_a_pause_or_another_visitor_is_another_search() -> None:
    assert not replaced(typed(0, "list", 0), typed(1, "dict", 1))
    assert not replaced(typed(0, "py", 0), typed(1, "python", 31))
    assert not replaced(typed(0, "py", 0, "a"), typed(1, "python", 1, "b"))
    assert not replaced(typed(0, "py", 0), typed(1, "list", 1), typed(2, "python", 2)), "it was left in between"
    assert not replaced(typed(0, "", 0), typed(1, "python", 1))


def test_without_sessions_instant_searches_are_replaced_by_longer_ones() -> None:
    both = typed(0, "py", 0, ""), typed(1, "li", 1, ""), typed(2, "python", 2, ""), typed(3, "list", 3, "", "full")
    assert replaced(*both) == {"0": "2", "1": "3"}
    assert not replaced(typed(0, "python", 0, ""), typed(1, "py", 1, ""))
    assert not replaced(typed(0, "python", 0, "", "full"), typed(1, "python", 1, "", "full"))


def test_queries_are_counted_without_case_space_and_width() -> None:
    assert folded_query(" STRASSE\t\u3000ﬁnden  ") == folded_query("straße finden")
    assert kept_query("a\0b\ud800" + "x" * 2000) == "ab\ufffd" + "x" * 997


@pytest.fixture
async def ids(tmp_path: Path) -> AsyncIterator[SearchIds]:
    catalog = new_catalog(tmp_path)
    tokens = Tokens(catalog.tokens, catalog.trail)
    yield SearchIds(lambda: tokens)
    await catalog.close()


def shown(*documents: str, first: int = 1) -> LoggedSearch:
    size = len(documents)
    return LoggedSearch("srch_1", "uid", "t", NOON, "q", "hybrid", "full", documents, first, size, 1.0, degraded=False)


async def test_a_signed_id_tells_what_was_shown_where(ids: SearchIds) -> None:
    text = await ids.sign(signed_search(shown("a", "", "b", "a", first=11), "docs"))
    found = await ids.read(text)
    assert found is not None
    named = (found.id, found.collection, found.collection_uid, found.tenant, found.first)
    assert named == ("srch_1", "docs", "uid", "t", 11)
    for document, position, expected in [
        ("a", 11, True),
        ("a", 14, True),
        ("a", None, True),
        ("b", 13, True),
        ("b", 11, False),
        ("b", 1, False),
        ("c", 11, None),
        ("", 12, None),
    ]:
        assert found.position_of(document, position) is expected, (document, position)


async def test_an_id_of_a_hundred_results_fits_into_a_beacon(ids: SearchIds) -> None:
    text = await ids.sign(signed_search(shown(*(f"document-{n}" for n in range(100))), "docs"))
    assert len(text) < 1000
    assert await ids.read(text) is not None


async def test_changed_ids_are_not_ours(ids: SearchIds, tmp_path: Path) -> None:
    text = await ids.sign(signed_search(shown("a"), "docs"))
    for at in range(len(text)):
        changed = text[:at] + ("A" if text[at] != "A" else "Q") + text[at + 1 :]
        found = await ids.read(changed)
        assert found is None or at in (text.index(".") - 1, len(text) - 1), "bits that base64 does not use"
    for wrong in ("", ".", "a.b.c", "ü.ü", text + "A" * 9000, text.split(".")[0]):
        assert await ids.read(wrong) is None
    other = new_catalog(tmp_path / "other")
    foreign = Tokens(other.tokens, other.trail)
    assert await SearchIds(lambda: foreign).read(text) is None
    await other.close()


async def test_another_replica_reads_an_id_at_once(ids: SearchIds) -> None:
    first = ids.tokens()
    second = Tokens(first.catalog, first.trail)
    await second.secrets("x")  # it remembers the key pairs for a while
    await first.catalog.remove_signing_keys()
    first.forget()
    text = await ids.sign(signed_search(shown("a"), "docs"))
    assert await SearchIds(lambda: second).read(text) is not None


async def test_retention_deletes_what_is_old(tmp_path: Path) -> None:
    catalog = new_catalog(tmp_path)
    calls = []

    async def prune(*, before: datetime, limit: int) -> int:
        calls.append(before)
        return limit if len(calls) < 3 else 0

    object.__setattr__(catalog, "analytics", type("Pruned", (), {"prune": staticmethod(prune)})())
    retention = AnalyticsRetention(lambda: catalog, days=2, clock=lambda: NOON)
    await retention.run_once()
    assert calls == [NOON - timedelta(days=2)] * 3
    retention.start()
    await retention.close()
    await catalog.close()
