"""Access in indexes: on a server, and in those that were made before there were tenants."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Service
from tests.fakes import MODELS
from winnow.core.acl import ACCESS_FIELDS
from winnow.core.settings import load_settings
from winnow.core.settings.vectors import QdrantVectors
from winnow.ports import IndexSchema
from winnow.vectors.qdrant.schema import payload_indexes

DOCS = "/v1/collections/docs"


def test_the_server_keeps_the_points_of_a_tenant_together() -> None:
    indexes = payload_indexes({"lang": "keyword", **ACCESS_FIELDS}, QdrantVectors(url="http://q"))
    grouped = [path for path, params in indexes.items() if getattr(params, "is_tenant", None)]
    assert grouped == ['f."~tenant"']


async def test_an_index_of_an_earlier_version_takes_tenants_without_embedding_again(tmp_path: Path) -> None:
    service = Service(load_settings(data_dir=tmp_path, **MODELS))
    await service.fill("docs", [{"id": "1", "text": "copy a file"}])
    resources = service.resources
    index = (await resources.catalog.collections.get("docs")).serving
    before = [key async for key in resources.store.keys(index.ref)]
    await resources.store.drop(index.ref)
    schema = index.schema({})
    bare = {key: kind for key, kind in schema.fields.items() if key not in ACCESS_FIELDS}
    await resources.store.create(
        index.ref, IndexSchema(schema.dimensions, schema.token_dimensions, bare, keywords=schema.keywords)
    )
    await resources.catalog.audit.repair("docs", {"1": 1})
    await service.index()
    first = [key async for key in resources.store.keys(index.ref)]
    await service.fill("docs", [{"id": "1", "text": "copy a file of acme", "tenant": "acme"}])
    assert before[0].document_id == "1"
    after = {key.document_id: key.id async for key in resources.store.keys(index.ref)}
    assert after["1"] == first[0].id
    for tenant, text in (("", "copy a file"), ("acme", "copy a file of acme"), ("globex", None)):
        answer = await service.client.post(f"{DOCS}/search", json={"query": "copy a file", "tenant": tenant})
        assert [each["text"] for each in answer.json()["results"]] == ([] if text is None else [text])
    await service.close()
