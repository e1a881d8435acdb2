from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from winnow.core.errors import InvalidSettings
from winnow.evaluation.metrics import MRR, NDCG, RECALL, estimate_mean, require_metrics, score_rankings


def test_metrics_equal_the_ones_computed_by_hand():
    judgments = {"q1": {"a": 1, "b": 1, "c": 0}, "q2": {"d": 1}}
    rankings = {"q1": ["c", "a", "x", "b"], "q2": ["d"]}
    scores = score_rankings(rankings, judgments)
    ideal = 1 / math.log2(2) + 1 / math.log2(3)
    assert scores[NDCG] == pytest.approx([(1 / math.log2(3) + 1 / math.log2(5)) / ideal, 1.0])
    assert scores[RECALL] == pytest.approx([1.0, 1.0])
    assert scores[MRR] == pytest.approx([1 / 2, 1.0])


def test_ndcg_gives_the_grade_as_gain():
    scores = score_rankings({"q": ["low", "high"]}, {"q": {"high": 2, "low": 1}})
    assert scores[NDCG] == pytest.approx([(1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3))])


def test_each_metric_looks_only_as_deep_as_its_name_says():
    filler = [f"x{number}" for number in range(200)]
    judgments = {"tenth": {"hit": 1}, "eleventh": {"hit": 1}, "hundredth": {"hit": 1}, "next": {"hit": 1}}
    ranks = {"tenth": 10, "eleventh": 11, "hundredth": 100, "next": 101}
    rankings = {query: [*filler[: rank - 1], "hit", *filler[rank - 1 :]] for query, rank in ranks.items()}
    scores = score_rankings(rankings, judgments)
    assert scores[NDCG] == pytest.approx([1 / math.log2(11), 0, 0, 0])
    assert scores[MRR] == pytest.approx([1 / 10, 0, 0, 0])
    assert scores[RECALL] == pytest.approx([1, 1, 1, 0])


def test_the_order_is_the_one_answered_whatever_the_ids():
    judgments = {"q": {"m": 1}}
    for documents in (["z", "m", "a"], ["a", "m", "z"]):
        assert score_rankings({"q": documents}, judgments)[MRR] == pytest.approx([0.5])


def test_a_query_without_an_answer_scores_zero():
    scores = score_rankings({"q1": [], "q2": ["a"]}, {"q1": {"a": 1}, "q2": {"a": 1}, "q3": {"a": 1}})
    assert [list(scores[metric]) for metric in (NDCG, RECALL, MRR)] == [[0, 1, 0]] * 3


def test_the_interval_holds_the_mean_and_is_the_same_every_time():
    values = np.random.default_rng(3).random(300).astype(np.float32)
    first, second = estimate_mean(values), estimate_mean(values)
    assert first == second
    assert first.low < first.mean < first.high
    assert first.mean == pytest.approx(float(values.mean()))


def test_the_interval_of_many_values_is_that_of_the_normal_distribution():
    values = np.random.default_rng(5).normal(0.5, 0.1, 2000).astype(np.float32)
    half = 1.96 * float(values.std()) / math.sqrt(len(values))
    found = estimate_mean(values)
    assert found.low == pytest.approx(found.mean - half, abs=0.1 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.1 * half)


def test_equal_values_have_an_interval_of_no_width():
    found = estimate_mean(np.full(20, 0.25, dtype=np.float32))
    assert (found.low, found.high) == pytest.approx((0.25, 0.25))


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    with pytest.raises(InvalidSettings, match=r"pip install 'winnow-search\[eval\]'"):
        require_metrics()
