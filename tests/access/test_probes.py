"""Random probes over Qdrant Edge and SQLite: no caller gets anything but what it may see, and all of that."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar, Final

import pytest

from tests.access.asking import Asker
from tests.access.chain_probes import ChainProber
from tests.access.door_probes import DoorProber
from tests.access.probes import Prober
from tests.conftest import Service
from tests.fakes import MODELS
from winnow.core.settings import load_settings

SEED: Final = int(os.environ.get("ACCESS_SEED", "15"))
PROBES: Final = int(os.environ.get("ACCESS_PROBES", "10000"))
PARTS: Final = 10
PER_WORLD: Final = 500
AT_A_TIME: Final = 10
SETTINGS: Final = {"analytics": {"enabled": True}, "search": {"budget_ms": 60_000}}  # a loaded machine degrades nothing


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Service]:
    """A service over the real embedded engine and catalog, with models that take no time."""
    running = Service(load_settings(data_dir=tmp_path, **SETTINGS, **MODELS))
    async with running.app.router.lifespan_context(running.app):
        yield running
    await running.close()


@pytest.mark.timeout(0)
class Probing:
    """A tenth of all probes in each test. Workers that share a run take one class after the other."""

    kind: ClassVar[type[Prober]]

    async def test_no_probe_finds_a_difference(self, embedded: Service, part: int) -> None:
        chance = random.Random(f"{SEED} {self.kind.__name__} {part}")
        prober, probes = self.kind(embedded, Asker(embedded.app), chance), PROBES // PARTS
        for number in range(0, probes, AT_A_TIME):
            if number % PER_WORLD == 0:
                await prober.build()
            await prober.probes(min(AT_A_TIME, probes - number))
            assert prober.differences == []
        assert prober.done.total() == probes
        assert min(prober.done.values()) > probes // 20


@pytest.mark.parametrize("part", range(4))
class TestDocuments(Probing):
    """Searches, listings, single documents and counts."""

    kind = Prober


@pytest.mark.parametrize("part", range(3))
class TestDoors(Probing):
    """Names, facets, several searches at once, and other protocols."""

    kind = DoorProber


@pytest.mark.parametrize("part", range(3))
class TestChains(Probing):
    """Steps, pages, packed texts, a model's tools, and what visitors do."""

    kind = ChainProber
