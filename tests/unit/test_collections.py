"""Deletions that a crash cut short, and indexes that nobody points to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import FAKES, Service
from winnow.core.settings import load_settings
from winnow.core.settings.vectors import EdgeVectors
from winnow.operations.collections import finish_deletions
from winnow.ports import IndexRef, IndexSchema

ORPHAN = IndexRef("orphan.0123abcd")


@pytest.mark.parametrize(("catalog", "kept"), [("", False), ("postgresql://elsewhere/winnow", True)])
async def test_only_who_owns_catalog_and_vectors_drops_indexes_that_no_collection_points_to(
    service: Service, tmp_path: Path, catalog: str, kept: bool
) -> None:
    await service.fill("c", [{"id": "a", "text": "amber"}])
    store = service.resources.store
    await store.create(ORPHAN, IndexSchema(4))
    settings = load_settings(data_dir=tmp_path, **(FAKES | {"vectors": EdgeVectors(), "catalog": {"url": catalog}}))
    await finish_deletions(replace(service.resources, settings=settings))
    left = await store.indexes()
    assert (ORPHAN in left) is kept
    assert (await service.resources.catalog.collections.get("c")).serving.ref in left


async def test_a_deletion_that_a_crash_cut_short_is_completed(service: Service) -> None:
    await service.fill("c", [{"id": "a", "text": "amber"}])
    doomed = await service.resources.catalog.collections.mark_deleting("c")
    await finish_deletions(service.resources)
    assert doomed.serving.ref not in await service.resources.store.indexes()
    assert not await service.resources.catalog.collections.list(deleting=True)
