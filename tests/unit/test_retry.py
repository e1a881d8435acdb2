"""When a failed call is made again, and when not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import stamina

from tests.ticks import Ticks
from winnow.core.errors import StorageFailure, UpstreamRejected, UpstreamUnavailable
from winnow.core.retry import REMOTE_CALL, RetryBudget, RetryPolicy, TimeLimit, parse_retry_after, retry


@pytest.fixture
def clock() -> Ticks:
    return Ticks()


@pytest.fixture(autouse=True)
def no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=99, cap=True):
        yield


class Call:
    """Fails with these errors, one a try, each try taking ``took`` seconds, then answers."""

    def __init__(self, clock: Ticks, *errors: Exception, took: float = 0.0) -> None:
        self.clock = clock
        self.errors = list(errors)
        self.took = took
        self.tries = 0
        self.waits: list[float] = []

    async def __call__(self) -> str:
        self.tries += 1
        self.clock.now += self.took
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.now += seconds

    async def retried(
        self,
        policy: RetryPolicy = REMOTE_CALL,
        seconds: float = 10.0,
        budget: RetryBudget | None = None,
        again: Callable[[Exception, int], bool] | None = None,
    ) -> str:
        time_limit = TimeLimit(seconds, self.clock)
        if again is None:
            return await retry(self, policy, time_limit=time_limit, budget=budget, on_wait=self.wait)
        return await retry(self, policy, again=again, time_limit=time_limit, budget=budget, on_wait=self.wait)


def busy(retry_after: float | None = None) -> UpstreamUnavailable:
    return UpstreamUnavailable("busy", retry_after=retry_after)


async def test_what_may_pass_is_tried_again_and_logged(clock: Ticks, caplog: pytest.LogCaptureFixture) -> None:
    call = Call(clock, busy(), busy())
    with caplog.at_level(logging.WARNING):
        assert await call.retried() == "answer"
    assert call.tries == 3
    assert "busy; try 2 follows" in caplog.text


@pytest.mark.parametrize("error", [UpstreamRejected("no"), StorageFailure("broken"), ValueError("ours")])
async def test_what_does_not_pass_is_raised_at_once(clock: Ticks, error: Exception) -> None:
    call = Call(clock, error)
    with pytest.raises(type(error)):
        await call.retried()
    assert call.tries == 1


async def test_the_caller_may_say_what_passes(clock: Ticks) -> None:
    call = Call(clock, ValueError("a"), ValueError("b"))
    with pytest.raises(ValueError, match="b"):
        await call.retried(again=lambda error, tries: isinstance(error, ValueError) and tries < 2)
    assert call.tries == 2


async def test_the_number_of_tries_is_limited_or_not(clock: Ticks) -> None:
    call = Call(clock, *(busy() for _ in range(50)))
    with pytest.raises(UpstreamUnavailable):
        await call.retried(RetryPolicy(attempts=5), seconds=1e6)
    assert call.tries == 5
    call = Call(clock, *(busy() for _ in range(50)))
    assert await call.retried(RetryPolicy(), seconds=1e6) == "answer"


async def test_waits_double_up_to_a_limit(clock: Ticks) -> None:
    call = Call(clock, *(busy() for _ in range(6)))
    await call.retried(RetryPolicy(first_wait=0.2, longest_wait=2.0), seconds=1e6)
    assert call.waits == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert RetryPolicy().wait(1_000_000) == 5.0


async def test_a_wait_that_is_asked_for_is_kept_and_spread(clock: Ticks) -> None:
    call = Call(clock, *(busy(3.0) for _ in range(4)))
    await call.retried(seconds=1e6)
    assert all(3.0 <= wait <= 3.2 for wait in call.waits)
    assert len(set(call.waits)) > 1


async def test_a_wait_over_the_limit_is_left_to_the_caller(clock: Ticks) -> None:
    policy = RetryPolicy(wait_limit=120.0)
    assert await Call(clock, busy(120.0)).retried(policy, seconds=1e6) == "answer"
    with pytest.raises(UpstreamUnavailable):
        await Call(clock, busy(121.0)).retried(policy, seconds=1e6)


def test_a_try_gets_the_time_that_is_left(clock: Ticks) -> None:
    time_limit = TimeLimit(10.0, clock)
    assert time_limit.left() == 10.0
    clock.now += 4
    assert time_limit.left() == 6.0
    clock.now += 7
    assert 0 < time_limit.left() < 0.01


@pytest.mark.parametrize(("took", "wait", "again"), [(1, 3, True), (1, 8.5, False), (4, 1.5, True), (4, 3, False)])
async def test_no_retry_begins_that_cannot_end_in_time(clock: Ticks, took: float, wait: float, again: bool) -> None:
    call = Call(clock, busy(wait), took=took)
    if again:
        assert await call.retried() == "answer"
    else:
        with pytest.raises(UpstreamUnavailable):
            await call.retried()


async def test_a_failure_that_took_the_whole_time_is_the_last(clock: Ticks) -> None:
    with pytest.raises(UpstreamUnavailable):
        await Call(clock, busy(), took=10).retried()


async def test_the_time_limit_of_a_policy_counts_from_the_call(clock: Ticks) -> None:
    call = Call(clock, busy())
    with pytest.raises(UpstreamUnavailable):
        await retry(call, RetryPolicy(seconds=0.0))
    assert call.tries == 1


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


async def test_a_retry_without_budget_is_not_made(clock: Ticks) -> None:
    budget = RetryBudget(clock)
    while budget.take():
        pass
    with pytest.raises(UpstreamUnavailable):
        await Call(clock, busy()).retried(budget=budget)


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
