"""The engine that the images are built and run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.image.engine import Engine, engine, import_base


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    with engine(folder) as running:
        if running is None:
            pytest.skip("no Docker engine answers, and none can be started here")
        if not import_base(running, folder):
            pytest.skip("the base image can be neither pulled nor made here")
        yield running
