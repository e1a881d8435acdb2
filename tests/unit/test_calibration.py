"""Calibrations: what is fitted, how far it holds, and what an answer makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from winnow.core.calibration import Calibration, Sight
from winnow.core.errors import InvalidInput, InvalidSource
from winnow.evaluation.calibration import (
    JudgedAnswer,
    area_under_roc,
    calibration_error,
    fit_calibration,
)
from winnow.evaluation.dataset import load_unanswerable

SIGHT = Sight(score=0.8, behind=[0.3], coverage=1.0, dense=1, sparse=2)


def judged(count: int = 600, seed: int = 1) -> list[JudgedAnswer]:
    """Answers that are right as often as their score says, whatever their coverage."""
    generator = np.random.default_rng(seed)
    scores = generator.uniform(0.02, 0.98, count)
    right = generator.uniform(size=count) < scores
    coverage = generator.uniform(0.5, 1, count)
    return [
        JudgedAnswer(Sight(float(score), [], float(known), None, 1), bool(truth))
        for score, known, truth in zip(scores, coverage, right, strict=True)
    ]


def calibration(**changes: Any) -> Calibration:
    values = {"models": "m", "weights": {"score": 1.0}, "intercept": 0.0, "threshold": 0.5, "calibrated_on": "faq"}
    return Calibration(**{**values, **changes})


def test_scores_that_are_probabilities_are_left_as_they_are() -> None:
    fitted = fit_calibration(judged())
    assert fitted.weights["score"] == pytest.approx(1, abs=0.2)
    assert fitted.intercept + fitted.weights.get("coverage", 0.0) == pytest.approx(0, abs=0.5)
    assert fitted.ece.value < 0.06
    assert fitted.auroc.low < fitted.auroc.value < fitted.auroc.high
    assert fitted.auroc.value == pytest.approx(5 / 6, abs=0.04)


def test_one_that_is_far_ahead_of_the_next_five_is_rather_right_than_one_of_many_alike() -> None:
    ahead = calibration(weights={"ahead": 1.0})
    alone, among = (ahead.probability(SIGHT._replace(behind=behind)) for behind in ([0.7, 0.1, 0.1], [0.7, 0.7, 0.7]))
    assert alone > among > 0.5
    assert ahead.probability(SIGHT._replace(behind=[])) > alone, "there is no other"


def test_the_probability_grows_with_each_feature() -> None:
    answers = [JudgedAnswer(each.sight, not each.right) for each in judged()]  # upside down
    assert "score" not in fit_calibration(answers).weights, "left out, where it would turn the order round"


def test_too_few_wrong_answers_are_refused_with_a_remedy() -> None:
    answers = [JudgedAnswer(SIGHT, True)] * 200 + [JudgedAnswer(SIGHT, False)] * 3
    with pytest.raises(InvalidSource, match=r"unanswerable\.jsonl"):
        fit_calibration(answers)


def test_the_error_of_calibration_is_the_distance_from_what_is_true() -> None:
    right = np.array([1.0, 0.0] * 50)
    assert calibration_error(np.full(100, 0.5), right) == pytest.approx(0)
    assert calibration_error(np.full(100, 0.9), right) == pytest.approx(0.4)


def test_the_area_under_the_curve_counts_pairs() -> None:
    right = np.array([1.0, 1.0, 0.0, 0.0])
    assert area_under_roc(np.array([0.9, 0.8, 0.2, 0.1]), right) == 1
    assert area_under_roc(np.array([0.5, 0.5, 0.5, 0.5]), right) == 0.5
    assert area_under_roc(np.array([0.9, 0.1, 0.5, 0.2]), right) == 0.5


def test_an_answer_without_results_is_none() -> None:
    assert calibration().probability(None) == 0
    assert calibration().probability(SIGHT) == pytest.approx(0.8)


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": {"luck": 1.0}},
        {"weights": {"score": -1.0}},
        {"intercept": float("nan")},
        {"threshold": 1.0},
    ],
)
def test_parameters_that_make_no_probability_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        calibration(**changes)


def test_queries_without_an_answer_are_read_where_there_are_some(tmp_path: Path) -> None:
    assert load_unanswerable(tmp_path) == {}
    (tmp_path / "unanswerable.jsonl").write_text('{"_id": "u", "text": "who won?"}\n{"_id": "b", "text": " "}\n')
    assert load_unanswerable(tmp_path) == {"u": "who won?"}
