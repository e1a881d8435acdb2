"""Identifiers: fresh ones sort by time, points' are the same every time."""

from __future__ import annotations

import re
import uuid

from winnow.core.ids import new_id, point_id


def test_a_fresh_id_has_its_prefix_and_a_ulid() -> None:
    assert re.fullmatch(r"srch_[0-9A-HJKMNP-TV-Z]{26}", new_id("srch"))
    assert len({new_id("x") for _ in range(1000)}) == 1000


def test_ids_of_later_moments_sort_later(monkeypatch) -> None:
    moments = iter([1_000_000_000, 5_000_000_000])
    monkeypatch.setattr("winnow.core.ids.time.time_ns", lambda: next(moments) * 1000)
    assert new_id("x") < new_id("x")


def test_a_chunk_of_a_revision_always_has_the_same_point() -> None:
    assert point_id("u", "d", 1, 0) == point_id("u", "d", 1, 0)
    uuid.UUID(point_id("u", "d", 1, 0))


def test_every_part_of_a_point_id_counts() -> None:
    made = {
        point_id(*parts)
        for parts in (("u", "d", 1, 0), ("v", "d", 1, 0), ("u", "e", 1, 0), ("u", "d", 2, 0), ("u", "d", 1, 1))
    }
    assert len(made) == 5
