"""Indexes on a server that no collection owns: listed, and deleted when that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes import MODELS
from tests.stubs.qdrant_server import serve
from winnow.core.principal import LOCAL
from winnow.core.settings import load_settings
from winnow.operations import unowned
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.ports import IndexRef, IndexSchema
from winnow.runtime import open_resources
from winnow.storage import open_stores


async def test_only_unowned_indexes_of_winnow_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unowned, "SETTLING_SECONDS", 0.0)
    async with serve() as server:
        vectors: dict[str, Any] = {"provider": "qdrant", "url": server.url, "grpc_port": server.grpc_port}
        catalog = {"url": f"sqlite:///{tmp_path / 'winnow.db'}"}
        settings = load_settings(data_dir=tmp_path, **MODELS, vectors=vectors, catalog=catalog)
        async with open_resources(settings) as resources:
            await ensure_collection(resources, LOCAL, "docs", CollectionSpec())
            await resources.store.create(IndexRef("left.12345678"), IndexSchema(4))
        await server.memory.create_collection("winnow__foreign.12345678__1", vectors_config={})
        await server.memory.create_collection("another", vectors_config={})
        async with open_stores(settings) as (stored, store):
            found = await unowned.unowned_indexes(stored, store)
            assert {ref.collection for ref in found} == {"left.12345678", "foreign.12345678"}
            owned = (await stored.collections.get("docs")).serving.ref
            deleted = await unowned.prune_indexes(stored, store, LOCAL, [*found, owned])
            assert deleted == [IndexRef("left.12345678")]
        left = {each.name for each in (await server.memory.get_collections()).collections}
        assert left == {f"winnow__{owned.collection}__1", "winnow__foreign.12345678__1", "another"}
