"""Random probes over Qdrant Edge and SQLite: no caller gets anything but what it may see, and all of that."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from tests.access.asking import Asker
from tests.access.chain_probes import ChainProber
from tests.access.door_probes import DoorProber
from tests.access.probes import Prober
from tests.conftest import Service
from tests.fakes import MODELS
from winnow.core.settings import load_settings

SEED: Final = int(os.environ.get("ACCESS_SEED", "15"))
PROBES: Final = int(os.environ.get("ACCESS_PROBES", "2000"))
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
@pytest.mark.parametrize(("kind", "share"), [(Prober, 0.4), (DoorProber, 0.3), (ChainProber, 0.3)])
async def test_no_probe_finds_a_difference(embedded: Service, kind: type[Prober], share: float) -> None:
    prober, probes = kind(embedded, Asker(embedded.app), random.Random(SEED)), round(PROBES * share)
    for number in range(0, probes, AT_A_TIME):
        if number % PER_WORLD == 0:
            await prober.build()
        await prober.probes(min(AT_A_TIME, probes - number))
        assert prober.differences == []
    assert prober.done.total() == probes
    assert min(prober.done.values()) > probes // 20
