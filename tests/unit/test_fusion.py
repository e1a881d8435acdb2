"""Fusion of the two arms: order, scale, revisions and what an arm that finds little has to say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.core.exact import Level
from winnow.core.search import ArmScore, Candidate
from winnow.core.types import Chunk
from winnow.ports import ArmHits, Hit, Point
from winnow.search.fusion import fuse


def hit(name: str, score: float, *, document: str | None = None, revision: int = 1) -> Hit:
    return Hit(Point(name, document or name, revision, Chunk(0, 0, 4, "text"), metadata={"name": name}), score)


def hits(dense: Mapping[str, float], sparse: Mapping[str, float]) -> ArmHits:
    return ArmHits(
        dense=tuple(hit(*item) for item in sorted(dense.items(), key=lambda item: -item[1])),
        sparse=tuple(hit(*item) for item in sorted(sparse.items(), key=lambda item: -item[1])),
    )


def fuse_hits(found: ArmHits, *, dense_weight: float, limit: int = 1000, by_document: bool = False) -> list[Candidate]:
    return fuse(found, dense_weight=dense_weight, limit=limit, by_document=by_document).candidates


def order(found: ArmHits, dense_weight: float = 1.0) -> list[str]:
    return [candidate.point_id for candidate in fuse_hits(found, dense_weight=dense_weight)]


def test_what_both_arms_like_comes_first() -> None:
    found = hits({"a": 0.9, "b": 0.8, "c": 0.1}, {"b": 9.0, "c": 8.0, "a": 1.0})
    assert order(found) == ["b", "a", "c"]


def test_a_candidate_carries_the_rank_and_score_of_each_arm() -> None:
    best, *_, last = fuse_hits(hits({"a": 0.9, "b": 0.5}, {"a": 7.0, "c": 3.0}), dense_weight=1.0)
    assert (best.dense, best.sparse, best.fused.rank) == (ArmScore(1, 0.9), ArmScore(1, 7.0), 1)
    assert last.dense is None or last.sparse is None
    assert last.fused.rank == 3
    assert best.metadata == {"name": "a"}


def test_a_single_arm_keeps_its_order() -> None:
    assert order(hits({}, {"x": 1.0, "y": 5.0, "z": 3.0})) == ["y", "z", "x"]
    assert order(hits({"x": 0.1, "y": 0.5, "z": 0.3}, {})) == ["y", "z", "x"]


def test_without_weight_the_dense_arm_is_left_out() -> None:
    found = fuse_hits(hits({"dense-only": 0.99, "both": 0.9}, {"word": 2.0, "both": 1.0}), dense_weight=0.0)
    assert [candidate.point_id for candidate in found] == ["word", "both"]
    assert all(candidate.dense is None for candidate in found)


def test_less_weight_gives_the_words_more_say() -> None:
    found = hits({"meaning": 0.9, "word": 0.5, "noise": 0.4}, {"word": 6.0, "meaning": 5.0, "noise": 1.0})
    assert order(found, 1.0)[0] == "meaning"
    assert order(found, 0.1)[0] == "word"


def test_a_word_that_only_one_chunk_contains_beats_a_crowd_of_similar_chunks() -> None:
    crowd = {f"similar-{number:03}": 0.5 - number / 1000 for number in range(100)}
    assert order(hits(crowd, {"exact": 4.0}))[0] == "exact"


def test_a_chunk_stored_without_a_dense_vector_can_still_win() -> None:
    assert order(hits({"english": 0.3, "other": 0.25}, {"chinese": 20.0, "english": 1.0}))[0] == "chinese"


def test_the_margin_counts_not_the_rank_alone() -> None:
    narrow = hits({"a": 0.61, "b": 0.60, "c": 0.1}, {"b": 9.0, "a": 3.0, "c": 1.0})
    wide = hits({"a": 0.95, "b": 0.30, "c": 0.1}, {"b": 3.1, "a": 3.0, "c": 1.0})
    assert order(narrow)[0] == "b"
    assert order(wide)[0] == "a"


def test_an_arm_that_sees_no_difference_has_no_say() -> None:
    assert order(hits({"a": 0.5, "b": 0.5}, {"b": 2.0, "a": 1.0})) == ["b", "a"]


def test_ties_go_by_point_id() -> None:
    found = fuse_hits(hits({"b": 0.5, "a": 0.5}, {"a": 1.0, "b": 1.0}), dense_weight=1.0)
    assert [(candidate.point_id, candidate.fused) for candidate in found] == [
        ("a", ArmScore(1, 0.5)),
        ("b", ArmScore(2, 0.5)),
    ]


def test_nothing_found_gives_no_candidates() -> None:
    assert fuse_hits(ArmHits(), dense_weight=1.0) == []


@pytest.mark.parametrize("new_arm", ["dense", "sparse"])
def test_of_two_revisions_only_the_newest_is_kept(new_arm: str) -> None:
    old, new = hit("old", 0.9, document="d"), hit("new", 0.1, document="d", revision=2)
    found = ArmHits(dense=(old, new), sparse=(old,)) if new_arm == "dense" else ArmHits(dense=(old,), sparse=(new,))
    candidates = fuse_hits(found, dense_weight=1.0)
    assert [(candidate.point_id, candidate.revision) for candidate in candidates] == [("new", 2)]


def test_ranks_do_not_count_superseded_hits() -> None:
    found = ArmHits(sparse=(hit("old", 9.0, document="d"), hit("new", 8.0, document="d", revision=2), hit("e", 1.0)))
    assert [candidate.sparse for candidate in fuse_hits(found, dense_weight=1.0)] == [
        ArmScore(1, 8.0),
        ArmScore(2, 1.0),
    ]


def test_a_stale_hit_of_a_dense_arm_that_is_left_out_still_counts_as_seen() -> None:
    found = ArmHits(dense=(hit("new", 0.5, document="d", revision=2),), sparse=(hit("old", 3.0, document="d"),))
    assert fuse_hits(found, dense_weight=0.0) == []


def test_the_best_chunk_of_each_document_is_kept_and_ranks_follow() -> None:
    found = ArmHits(
        sparse=(hit("d-0", 9.0, document="d"), hit("d-1", 8.0, document="d"), hit("e-0", 7.0, document="e")),
    )
    kept = fuse_hits(found, dense_weight=1.0, limit=10, by_document=True)
    assert [(candidate.point_id, candidate.fused.rank) for candidate in kept] == [("d-0", 1), ("e-0", 2)]
    assert [candidate.sparse for candidate in kept] == [ArmScore(1, 9.0), ArmScore(3, 7.0)]


@pytest.mark.parametrize("by_document", [True, False])
def test_no_more_candidates_than_asked_for_are_made(by_document: bool) -> None:
    found = hits({}, {f"d{number}": float(number) for number in range(9)})
    candidates = fuse_hits(found, dense_weight=1.0, limit=2, by_document=by_document)
    assert [candidate.point_id for candidate in candidates] == ["d8", "d7"]


def test_only_the_candidates_that_are_used_are_read() -> None:
    found = hits({}, {f"d{number}": float(number) for number in range(9)})
    fusion = fuse(found, dense_weight=1.0, limit=5, by_document=True, used=2)
    assert ([candidate.point_id for candidate in fusion.candidates], fusion.found) == (["d8", "d7"], 5)


ARM = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-1, 1e3), max_size=8)


@given(dense=ARM, sparse=ARM, weight=st.floats(0, 1))
def test_any_hits_give_finite_scores_in_order(dense: dict[str, float], sparse: dict[str, float], weight: float) -> None:
    candidates = fuse_hits(hits(dense, sparse), dense_weight=weight)
    scores = [candidate.fused.score for candidate in candidates]
    assert {candidate.point_id for candidate in candidates} == (dense.keys() if weight else set()) | sparse.keys()
    assert all(math.isfinite(score) and 0 <= score <= 1 for score in scores)
    assert [(-c.fused.score, c.point_id) for c in candidates] == sorted(
        (-c.fused.score, c.point_id) for c in candidates
    )
    assert [candidate.fused.rank for candidate in candidates] == list(range(1, len(candidates) + 1))


def named(levels: Mapping[str, Level], found: ArmHits) -> ArmHits:
    return replace(found, named=tuple(hit(name, float(level)) for name, level in levels.items()))


def test_what_the_query_names_comes_first_and_changes_no_score_and_no_rank() -> None:
    plain = hits({"a": 0.9, "b": 0.8, "c": 0.1}, {"b": 9.0, "c": 8.0, "a": 1.0})
    exact = named({"c": Level.HEADING, "d": Level.TITLE}, plain)
    assert order(exact) == ["d", "c", "b", "a"]
    before = {each.point_id: each.fused for each in fuse_hits(plain, dense_weight=1.0)}
    after = {each.point_id: each for each in fuse_hits(exact, dense_weight=1.0)}
    assert {key: each.fused.score for key, each in after.items() if key in before} == {
        key: score.score for key, score in before.items()
    }
    assert sorted(each.fused.rank for each in after.values()) == [1, 2, 3, 4]
    assert (after["d"].dense, after["d"].sparse) == (None, None)


def test_the_chunk_that_is_named_stands_for_its_document_and_is_not_cut_off() -> None:
    dense = tuple(hit(f"{n}", 0.9 - n / 100, document="d" if n < 2 else f"{n}") for n in range(9))
    found = ArmHits(
        dense=dense, named=(hit("1", float(Level.HEADING), document="d"), hit("x", float(Level.IDENTIFIER)))
    )
    best = fuse_hits(found, dense_weight=1.0, limit=2, by_document=True)
    assert [(each.point_id, each.level) for each in best] == [("1", Level.HEADING), ("x", Level.IDENTIFIER)]


def test_names_alone_are_found() -> None:
    assert order(named({"b": Level.ID, "a": Level.TITLE}, ArmHits())) == ["a", "b"]
