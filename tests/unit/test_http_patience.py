"""When a failed call is made again, and when not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.ticks import Ticks
from winnow.core.errors import UpstreamRejected, UpstreamUnavailable
from winnow.core.patience import Patience, QuotaSpent, RetryBudget, parse_retry_after


@pytest.fixture
def clock() -> Ticks:
    return Ticks()


@pytest.fixture
def patience(clock: Ticks) -> Patience:
    return Patience(RetryBudget(clock), 10.0, clock)


def busy(retry_after: float | None = None) -> UpstreamUnavailable:
    return UpstreamUnavailable("busy", retry_after=retry_after)


def test_only_what_may_pass_is_tried_again(patience: Patience) -> None:
    patience.begin()
    assert patience(busy()) is True
    assert patience(UpstreamRejected("no")) is False
    assert patience(ValueError("ours")) is False


def test_a_wait_that_is_asked_for_is_kept_and_spread(patience: Patience) -> None:
    patience.begin()
    waits = {patience(busy(3.0)) for _ in range(5)}
    assert all(3.0 <= wait <= 3.2 for wait in waits)
    assert len(waits) > 1


def test_a_try_gets_what_is_left_of_the_time(patience: Patience, clock: Ticks) -> None:
    assert patience.begin() == 10.0
    clock.now += 4
    assert patience.begin() == 6.0


@pytest.mark.parametrize(("took", "wait", "again"), [(1, 3, True), (1, 8.5, False), (4, 1.5, True), (4, 3, False)])
def test_no_retry_begins_that_cannot_end_in_time(
    patience: Patience, clock: Ticks, took: float, wait: float, again: bool
) -> None:
    patience.begin()
    clock.now += took
    assert (patience(busy(wait)) is not False) == again


def test_a_failure_that_took_the_whole_time_is_the_last(patience: Patience, clock: Ticks) -> None:
    patience.begin()
    clock.now += 10
    assert patience(busy()) is False


def test_a_spent_quota_is_tried_twice(patience: Patience) -> None:
    patience.begin()
    assert patience(QuotaSpent("spent")) is True
    patience.begin()
    assert patience(QuotaSpent("spent")) is False


def test_without_calls_there_is_a_floor_of_retries(clock: Ticks) -> None:
    budget = RetryBudget(clock)
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]


def test_five_calls_earn_a_retry(clock: Ticks) -> None:
    budget = RetryBudget(clock)
    while budget.take():
        pass
    for _ in range(5):
        assert not budget.take()
        budget.record_call()
    assert budget.take()
    assert not budget.take()


def test_the_floor_grows_back_with_time_and_no_further(clock: Ticks) -> None:
    budget = RetryBudget(clock)
    while budget.take():
        pass
    clock.now += 5
    budget.record_call()
    assert [budget.take(), budget.take()] == [True, False]
    clock.now += 10_000
    budget.record_call()
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]


def test_a_retry_without_budget_is_not_made(clock: Ticks) -> None:
    budget = RetryBudget(clock)
    while budget.take():
        pass
    patience = Patience(budget, 10.0, clock)
    patience.begin()
    assert patience(busy()) is False


@pytest.mark.parametrize(
    ("value", "expected"),
    [("7", 7), ("0.5", 0.5), (" 3 ", 3), ("-4", 0), ("1e12", 3600), ("inf", 3600), ("nan", None), ("soon", None)],
)
def test_retry_after_in_seconds(value: str, expected: float | None) -> None:
    assert parse_retry_after(value) == expected
    assert parse_retry_after(None) is None
    assert parse_retry_after("") is None


def test_retry_after_as_a_date() -> None:
    then = datetime.now(UTC) + timedelta(seconds=90)
    assert parse_retry_after(format_datetime(then, usegmt=True)) == pytest.approx(90, abs=5)
    assert parse_retry_after(format_datetime(then - timedelta(days=1), usegmt=True)) == 0
    assert parse_retry_after("Fri, 31 Dec 1999 23:59:59 -0000") == 0
