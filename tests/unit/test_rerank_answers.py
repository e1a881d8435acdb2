"""What is read out of answers, and what is not believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from winnow.models.http.model import BadAnswer
from winnow.models.http.rerank_dialects import read_scores

ROWS = [{"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.25}]


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        ({"results": ROWS, "usage": {"total_tokens": 79}, "object": "list"}, 79),
        ({"output": {"results": ROWS}, "usage": {"total_tokens": 79}, "request_id": "0"}, 79),
        ({"results": ROWS, "tokens": {"input_tokens": 70, "output_tokens": 9}}, 79),
        ({"results": ROWS, "meta": {"tokens": {"input_tokens": 79}}}, 79),
        ({"results": ROWS, "meta": {"billed_units": {"search_units": 1}}}, 0),
        ({"results": ROWS, "usage": {"total_tokens": 0, "prompt_tokens": 0}}, 0),
        ({"results": ROWS, "usage": None}, 0),
        ({"results": [{**row, "document": {"text": "…"}} for row in ROWS]}, 0),
        ([{"index": 0, "score": 0.25, "text": "…"}, {"index": 1, "score": 0.75}], 0),
    ],
)
def test_every_documented_shape_is_read(answer: Any, tokens: int) -> None:
    found = read_scores(answer, 2)
    np.testing.assert_array_equal(found.scores, np.array([0.25, 0.75], dtype=np.float32))
    assert found.tokens == tokens


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[:1], "1 results came back"),
        ([*ROWS, ROWS[0]], "two results have the index 1"),
        ([{"index": 2, "relevance_score": 0.5}], "index 2"),
        ([{"index": -1, "relevance_score": 0.5}], "index -1"),
        ([{"index": True, "relevance_score": 0.5}], "index True"),
        ([{"index": "0", "relevance_score": 0.5}], "index '0'"),
        ([{"relevance_score": 0.5}], "index None"),
        ([{"index": 0}], "score None"),
        ([{"index": 0, "relevance_score": "0.5"}], "score '0.5'"),
        ([{"index": 0, "relevance_score": True}], "score True"),
        ([{"index": 0, "relevance_score": float("nan")}], "nan"),
        ([{"index": 0, "relevance_score": float("inf")}], "inf"),
        ([{"index": 0, "relevance_score": 4.2}], "4.2"),
        ([{"index": 0, "relevance_score": -0.2}], "-0.2"),
        (["0.5", "0.2"], "no list of results"),
        ({"0": 0.5}, "no list of results"),
    ],
)
def test_what_cannot_be_trusted_is_refused(rows: Any, message: str) -> None:
    with pytest.raises(BadAnswer, match=message):
        read_scores({"results": rows}, 2)


@pytest.mark.parametrize("answer", [None, 1, "x", {}, {"output": None}, {"error": "busy", "error_type": "Overloaded"}])
def test_another_shape_is_refused(answer: Any) -> None:
    with pytest.raises(BadAnswer, match="no list of results"):
        read_scores(answer, 1)


def test_rounding_may_leave_the_range() -> None:
    rows = [{"index": 0, "score": 1.0000001}, {"index": 1, "score": -1e-9}]
    assert read_scores(rows, 2).scores.tolist() == [1, 0]


def test_cosines_become_shares() -> None:
    rows = [{"index": 0, "score": -1}, {"index": 1, "score": 0.5}]
    assert read_scores(rows, 2, "cosine").scores.tolist() == [0, 0.75]
