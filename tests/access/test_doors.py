"""Credentials at the doors of other protocols: bounds of tokens, tenants, and who sees an uploaded file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.access.callers import BROWSER, WRITER, Callers, bound, user
from tests.conftest import Service
from tests.wire.test_door_grid import rpc
from winnow.core.principal import SCOPES, Principal

STORE = "/v1/vector_stores/docs"


@pytest.fixture
async def callers(service: Service) -> Callers:
    """The service with a collection of four documents."""
    callers = Callers()
    service.app.state.service.callers._access = callers
    documents = [{"id": str(i), "text": "copy a file", "url": f"https://site.example/{i}"} for i in range(4)]
    await service.fill("docs", documents)
    return callers


async def post(service: Service, path: str, header: Mapping[str, str], expected: int = 200, **body: Any) -> Any:
    answer = await service.client.post(path, json=body, headers=header)
    assert answer.status_code == expected, answer.text
    return answer.json()


async def test_what_a_client_did_not_ask_for_keeps_to_the_bound_of_the_token(service, callers):
    header = callers.header("bounded", user("u", max_top_n=2))
    dify = {"knowledge_id": "docs", "query": "copy a file", "retrieval_setting": {"top_k": None}}
    assert len((await post(service, "/retrieval", header, **dify))["records"]) == 2
    condition = {"name": "lang", "comparison_operator": "not contains", "value": "x"}
    rough = dify | {"metadata_condition": {"conditions": [condition]}, "retrieval_setting": {"top_k": 1}}
    assert len((await post(service, "/retrieval", header, **rough))["records"]) == 1
    path = "/v1/collections/docs/web-search"
    assert len(await post(service, path, header, query="copy a file", count=None)) == 2
    assert len((await post(service, f"{STORE}/search", header, query="copy a file"))["data"]) == 2
    async with service.app.router.lifespan_context(service.app):
        for collection in (None, "docs"):
            arguments = {"query": "copy a file", "collection": collection}
            result = (await rpc(service, "search", arguments, headers=dict(header))).json()["result"]
            assert len(result["structuredContent"]["results"]) == 2


async def test_what_a_client_asks_for_beyond_the_bound_is_refused(service, callers):
    header = callers.header("bounded", user("u", max_top_n=2))
    dify = {"knowledge_id": "docs", "query": "copy a file", "retrieval_setting": {"top_k": 3}}
    await post(service, "/retrieval", header, 403, **dify)
    await post(service, f"{STORE}/search", header, 403, query="copy a file", max_num_results=3)


async def test_collections_that_one_call_does_not_search_are_named(service, callers, monkeypatch):
    monkeypatch.setattr("service.doors.mcp.MOST_COLLECTIONS", 2)
    for name in ("a", "b"):
        await service.fill(name, [{"id": "1", "text": "copy a file"}])
    async with service.app.router.lifespan_context(service.app):
        answer = (await rpc(service, "search", {"query": "copy a file"})).json()["result"]["structuredContent"]
    assert {each["collection"] for each in answer["results"]} == {"a", "b"}
    assert answer["left_out"] == ["docs"]


async def uploaded(service: Service, header: Mapping[str, str]) -> str:
    answer = await service.client.post("/v1/files", files={"file": ("a.txt", b"copy a file")}, headers=header)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def key(name: str, *collections: str, **rights: Any) -> Principal:
    return Principal("key", name, SCOPES, collections=collections or ("*",), **rights)


async def test_a_file_is_seen_by_who_sees_all_that_its_uploader_saw(service, callers):
    shop = callers.header("shop", key("k1", "shop-*"))
    file = await uploaded(service, shop)

    async def seen_by(principal: Principal) -> bool:
        header = callers.header(f"{principal.subject}{principal.collections}{principal.tenant}", principal)
        answer = await service.client.get(f"/v1/files/{file}", headers=header)
        listed = (await service.client.get("/v1/files", headers=header)).json()
        assert (answer.status_code == 200) == bool(listed["data"])
        content = await service.client.get(f"/v1/files/{file}/content", headers=header)
        assert content.status_code == answer.status_code
        return answer.status_code == 200

    assert await seen_by(key("rotated", "shop-*"))
    assert await seen_by(key("whole"))
    assert await seen_by(key("both", "docs", "shop-*"))
    assert not await seen_by(key("narrow", "shop-1"))
    assert not await seen_by(key("other", "docs"))
    assert not await seen_by(key("acme", tenant="acme"))
    assert not await seen_by(user("someone"))


async def test_a_file_of_a_token_is_its_users(service, callers):
    scopes = frozenset({"search", "documents:read", "documents:write"})
    ann, bob = (
        callers.header(name, Principal("token", name, scopes, users=frozenset({name}))) for name in ("ann", "bob")
    )
    file = await uploaded(service, ann)
    assert (await service.client.get(f"/v1/files/{file}", headers=ann)).status_code == 200
    assert (await service.client.get(f"/v1/files/{file}", headers=bob)).status_code == 404
    await post(service, f"{STORE}/files", bob, 404, file_id=file)
    await post(service, f"{STORE}/files", ann, file_id=file)


async def test_files_of_tenants_are_apart(service, callers):
    acme, globex = (callers.header(name, bound(name)) for name in ("acme", "globex"))
    file = await uploaded(service, acme)
    await post(service, f"{STORE}/files", globex, 404, file_id=file)
    batch = await post(service, f"{STORE}/file_batches", acme, file_ids=[file])
    await service.app.state.service.reader.read_all()
    await service.index()
    mine = await service.client.get(f"{STORE}/files/{file}", headers=acme)
    assert mine.json()["status"] == "completed"
    for path in (f"files/{file}", f"files/{file}/content", f"file_batches/{batch['id']}"):
        assert (await service.client.get(f"{STORE}/{path}", headers=acme)).status_code == 200
        assert (await service.client.get(f"{STORE}/{path}", headers=globex)).status_code == 404
        assert (await service.client.get(f"{STORE}/{path}")).status_code == 404
    assert [each["id"] for each in (await service.client.get(f"{STORE}/files", headers=acme)).json()["data"]] == [file]
    assert (await service.client.get(f"{STORE}/files", headers=globex)).json()["data"] == []
    found = await post(service, f"{STORE}/search", acme, query="copy a file")
    assert [(hit["file_id"], hit["filename"]) for hit in found["data"]] == [(file, "a.txt")]
    assert (await post(service, f"{STORE}/search", globex, query="copy a file"))["data"] == []


async def test_new_attributes_need_the_right_to_change_the_collection(service, callers):
    writer, admin = callers.header("writer", WRITER), callers.header("admin", key("admin"))
    file = await uploaded(service, writer)
    refused = await post(service, f"{STORE}/files", writer, 403, file_id=file, attributes={"lang": "en"})
    assert "collections:admin" in refused["error"]["message"]
    await post(service, f"{STORE}/files", admin, file_id=file, attributes={"lang": "en"})
    await post(service, f"{STORE}/files", writer, file_id=file, attributes={"lang": "de"})


async def test_a_locked_filter_hides_files(service, callers):
    admin = callers.header("admin", key("admin"))
    files = [await uploaded(service, admin) for _ in range(2)]
    for file, lang in zip(files, ("en", "de"), strict=True):
        await post(service, f"{STORE}/files", admin, file_id=file, attributes={"lang": lang})
    await service.app.state.service.reader.read_all()
    await service.index()
    locked = user("u", locked_filter={"type": "eq", "key": "lang", "value": "en"})
    header = callers.header("locked", locked)
    listed = (await service.client.get(f"{STORE}/files", headers=header)).json()
    assert [each["id"] for each in listed["data"]] == [files[0]]
    statuses = [
        (await service.client.get(f"{STORE}/files/{file}{part}", headers=header)).status_code
        for file in files
        for part in ("", "/content")
    ]
    assert statuses == [200, 200, 404, 404]
    counts = (await service.client.get(STORE, headers=header)).json()["file_counts"]
    assert (counts["completed"], counts["total"]) == (1, 1)
    await post(service, f"{STORE}/search", callers.header("b", BROWSER), query="copy a file")


async def test_documents_of_a_tenant_have_the_ids_that_it_gave_them(service, callers):
    acme = callers.header("acme", bound("acme"))
    documents = [{"id": "its/own", "text": "copy a file"}]
    await post(service, "/v1/collections/docs/documents", acme, 202, documents=documents)
    await service.index()
    (record,) = (await post(service, "/retrieval", acme, knowledge_id="docs", query="copy a file"))["records"]
    assert (record["metadata"]["document_id"], record["title"]) == ("its/own", "its/own")
    (hit,) = (await post(service, f"{STORE}/search", acme, query="copy a file"))["data"]
    assert (hit["file_id"], hit["filename"]) == ("its/own", "its/own")
    async with service.app.router.lifespan_context(service.app):
        (result,) = (await tool(service, acme, "search", query="copy a file"))["results"]
        assert (result["id"], result["title"]) == ("docs/its/own", "its/own")
        assert (await tool(service, acme, "fetch", id=result["id"]))["text"] == "copy a file"


async def tool(service: Service, header: Mapping[str, str], name: str, **arguments: Any) -> Any:
    """The structured answer of a tool of the Model Context Protocol."""
    result = (await rpc(service, name, arguments, headers=dict(header))).json()["result"]
    assert not result["isError"], result
    return result["structuredContent"]
