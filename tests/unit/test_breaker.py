"""The circuit breaker: what counts as a failure, how long a model is left alone, and who tries it."""

from __future__ import annotations

import pytest

from tests.ticks import Ticks
from winnow.search.breaker import FIRST_REST, LONGEST_REST, Breaker, LeftAlone


@pytest.fixture
def clock() -> Ticks:
    return Ticks()


@pytest.fixture
def breaker(clock: Ticks) -> Breaker:
    return Breaker(clock)


def refused(breaker: Breaker) -> bool:
    try:
        breaker.begin()
    except LeftAlone as error:
        return "gone" in error.message and error.retry_after is not None
    return False


def fail(breaker: Breaker, clock: Ticks) -> None:
    began = breaker.begin()
    clock.now += 0.1
    breaker.fail(began, "gone")


def test_a_model_that_failed_is_left_alone_and_then_tried_by_one_call_at_a_time(breaker: Breaker, clock: Ticks) -> None:
    fail(breaker, clock)
    assert refused(breaker)
    clock.now += 1.3 * FIRST_REST
    trial = breaker.begin()
    assert refused(breaker)
    clock.now += 0.1
    breaker.succeed(trial)
    assert not refused(breaker)
    assert not refused(breaker)


def test_the_rest_grows_with_each_trial_that_fails(breaker: Breaker, clock: Ticks) -> None:
    rests = []
    for _ in range(8):
        fail(breaker, clock)
        began = clock.now
        while refused(breaker):
            clock.now += 0.1
        rests.append(clock.now - began)
        breaker.leave(clock.now, "left at once", usual=0)  # the trial that ended the loop
    assert rests[0] <= 1.4 * FIRST_REST
    assert rests[1] > rests[0]
    assert 0.7 * LONGEST_REST <= rests[-1] <= 1.3 * LONGEST_REST


def test_many_calls_that_fail_at_once_count_as_one(breaker: Breaker, clock: Ticks) -> None:
    calls = [breaker.begin() for _ in range(20)]
    clock.now += 1
    for began in calls:
        breaker.fail(began, "gone")
    assert breaker.failures == 1


def test_a_failure_among_answers_is_not_the_end(breaker: Breaker, clock: Ticks) -> None:
    unlucky, lucky = breaker.begin(), breaker.begin()
    clock.now += 1
    breaker.succeed(lucky)
    breaker.fail(unlucky, "gone")
    assert not refused(breaker)


@pytest.mark.parametrize(
    ("seconds", "usual", "counts"), [(0.1, 0, False), (0.3, 0, True), (1, 0.4, True), (1, 2, False)]
)
def test_a_call_that_was_given_up_counts_if_the_model_was_silent_for_long(
    breaker: Breaker, clock: Ticks, seconds: float, usual: float, counts: bool
) -> None:
    began = breaker.begin()
    clock.now += seconds
    breaker.leave(began, "gone", usual)
    assert refused(breaker) is counts


def test_silence_adds_up_over_calls(breaker: Breaker, clock: Ticks) -> None:
    for _ in range(3):
        began = breaker.begin()
        clock.now += 0.5
        breaker.leave(began, "gone", usual=0.6)
        if breaker.open:
            break
    assert breaker.open


def test_a_trial_whose_caller_leaves_lets_another_one_try(breaker: Breaker, clock: Ticks) -> None:
    fail(breaker, clock)
    clock.now += 1.3 * FIRST_REST
    trial = breaker.begin()
    clock.now += 0.01
    breaker.leave(trial, "left", usual=0)
    assert not refused(breaker)
