"""kill -9 over SQLite and Qdrant Edge: nothing acknowledged is lost, doubled, raised from the dead or mixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.houses import Embedded
from tests.faults.soak import Soak

KILLS = 110

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def test_acknowledged_changes_survive_kills_of_service_and_engine(tmp_path: Path) -> None:
    house = Embedded(tmp_path)
    try:
        report = Soak(house, tmp_path, seed=20).run(KILLS)
    finally:
        house.close()
    assert report.violations == [], report.table()
    assert report.kills >= KILLS
    assert report.acknowledged > KILLS, "hardly anything was acknowledged between the kills"
    assert report.answers > 0


def test_the_proof_fails_when_commits_are_not_fenced(tmp_path: Path) -> None:
    house = Embedded(tmp_path, ("log_embeddings", "slow_embeddings", "without_fencing"))
    try:
        report = Soak(house, tmp_path, seed=20).run(KILLS, check_kills=8)  # ends with the first broken promise
    finally:
        house.close()
    assert {each.crime for each in report.violations} & {"mixed", "lost", "resurrected", "half"}, report.table()
