"""Making, checking, listing and deleting collections over HTTP."""

from __future__ import annotations

import pytest

SPEC = {
    "chunking": {"max_tokens": 64, "overlap": 8},
    "fields": {"lang": "keyword", "year": "integer", "published": "datetime"},
    "rerank": {"instruct": "find the passage"},
    "metadata": {"owner": "docs"},
}


async def test_put_creates_then_checks(client):
    assert (await client.put("/v1/collections/docs", json=SPEC)).status_code == 201
    again = await client.put("/v1/collections/docs", json=SPEC)
    assert again.status_code == 200
    view = again.json()
    assert (view["name"], view["status"]) == ("docs", "ready")
    assert view["chunking"] == SPEC["chunking"]
    assert view["fields"] == SPEC["fields"]
    assert view["rerank"] == SPEC["rerank"]
    assert view["metadata"] == SPEC["metadata"]
    assert view["identity"]["dimensions"] > 0
    assert view["identity"]["model"]


async def test_put_without_a_body_takes_the_defaults_and_keeps_what_is_stored(client):
    assert (await client.put("/v1/collections/docs")).status_code == 201
    await client.put("/v1/collections/docs", json={"metadata": {"a": 1}})
    assert (await client.put("/v1/collections/docs")).json()["metadata"] == {"a": 1}


async def test_fields_can_be_added(client):
    await client.put("/v1/collections/docs", json={"fields": {"lang": "keyword"}})
    view = (await client.put("/v1/collections/docs", json={"fields": {"year": "integer"}})).json()
    assert view["fields"] == {"lang": "keyword", "year": "integer"}


async def test_change_that_needs_reembedding_is_409(client):
    await client.put("/v1/collections/docs", json=SPEC)
    response = await client.put("/v1/collections/docs", json={"chunking": {"max_tokens": 128}})
    assert (response.status_code, response.json()["code"]) == (409, "identity_mismatch")


@pytest.mark.parametrize("name", ["-a", ".a", "a b", "ü", "a" * 65, "a%2Fb", "a:b"])
async def test_bad_name_is_422(client, name):
    for response in (await client.put(f"/v1/collections/{name}", json={}), await client.get(f"/v1/collections/{name}")):
        if name == "a%2Fb":
            assert response.status_code == 404  # another path
        else:
            assert (response.status_code, response.json()["code"]) == (422, "invalid_collection")


@pytest.mark.parametrize(
    "body",
    [
        {"chunks": {}},
        {"fields": {"lang": "string"}},
        {"fields": {"9": "keyword"}},
        {"chunking": {"overlap": -1}},
        {"chunking": {"max_tokens": "64"}},
        {"embedding": {"model": "other"}},
        [],
    ],
)
async def test_bad_settings_are_422(client, body):
    response = await client.put("/v1/collections/docs", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_collection")
    assert (await client.get("/v1/collections/docs")).status_code == 404


async def test_counts_follow_the_documents(service, client):
    await service.fill("docs", [{"id": "a", "text": "some words"}])
    await client.put("/v1/collections/docs/documents/b", json={"text": "more words"})
    counts = (await client.get("/v1/collections/docs")).json()["counts"]
    assert (counts["documents"], counts["chunks"], counts["pending"], counts["failed"]) == (2, 1, 1, 0)


async def test_list_is_by_name(client):
    assert (await client.get("/v1/collections")).json() == {"collections": []}
    for name in ("b", "a"):
        await client.put(f"/v1/collections/{name}")
    listed = (await client.get("/v1/collections")).json()["collections"]
    assert [view["name"] for view in listed] == ["a", "b"]
    assert listed[0] == (await client.get("/v1/collections/a")).json()


async def test_delete_takes_everything_with_it(service, client):
    await service.fill("docs", [{"id": "a", "text": "some words"}])
    response = await client.delete("/v1/collections/docs")
    assert (response.status_code, response.content) == (204, b"")
    assert (await client.get("/v1/collections/docs")).status_code == 404
    assert (await client.delete("/v1/collections/docs")).status_code == 404
    await client.put("/v1/collections/docs")
    assert (await client.get("/v1/collections/docs")).json()["counts"]["documents"] == 0
