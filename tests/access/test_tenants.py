"""Tenants and access lists over HTTP: what each caller gets to see, and what is said of the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.access.callers import ADMIN, BROWSER, READER, WRITER, Callers, bound, user
from tests.conftest import Service

DOCS = "/v1/collections/docs"


@pytest.fixture
async def callers(service: Service) -> AsyncIterator[Callers]:
    """The service ``docs`` with a document ``1`` of no tenant, of acme and of globex."""
    callers = Callers()
    service.app.state.service.callers._access = callers
    texts = [("", "copy a file"), ("acme", "copy a file of acme"), ("globex", "copy a file of globex")]
    documents = [{"id": "1", "text": text, "tenant": tenant, "metadata": {"lang": "en"}} for tenant, text in texts]
    await service.fill("docs", documents, fields={"lang": "keyword"})
    return callers


async def found(service: Service, header: Mapping[str, str], **body: Any) -> list[str]:
    """The texts of the results of a search, sorted."""
    answer = await service.client.post(f"{DOCS}/search", json={"query": "copy a file", **body}, headers=header)
    assert answer.status_code == 200, answer.text
    return sorted(result["text"] for result in answer.json()["results"])


async def test_each_tenant_has_a_document_of_one_id_and_finds_its_own(service: Service, callers: Callers) -> None:
    for tenant, text in (("acme", "copy a file of acme"), ("globex", "copy a file of globex")):
        header = callers.header(tenant, bound(tenant))
        for mode in ("hybrid", "dense", "sparse"):
            assert await found(service, header, mode=mode) == [text]
        stored = (await service.client.get(f"{DOCS}/documents/1", headers=header)).json()
        assert (stored["id"], stored["tenant"], stored["text"]) == ("1", tenant, text)
        listed = (await service.client.get(f"{DOCS}/documents", headers=header)).json()["documents"]
        assert [each["id"] for each in listed] == ["1"]
        counts = (await service.client.get(DOCS, headers=header)).json()["counts"]
        assert (counts["documents"], counts["chunks"], counts["indexed"]) == (1, 1, 1)


async def test_who_is_bound_to_no_tenant_sees_the_documents_without_one_unless_it_names_another(
    service: Service, callers: Callers
) -> None:
    admin, reader = callers.header("admin", ADMIN), callers.header("reader", READER)
    assert await found(service, admin) == await found(service, reader) == ["copy a file"]
    assert await found(service, admin, tenant="acme") == ["copy a file of acme"]
    assert await found(service, admin, tenant="elsewhere") == []
    assert (await service.client.get(f"{DOCS}/documents/1?tenant=acme", headers=admin)).json()["tenant"] == "acme"
    refused = await service.client.post(f"{DOCS}/search", json={"query": "x", "tenant": "acme"}, headers=reader)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await service.client.get(DOCS, headers=admin)).json()["counts"]["documents"] == 3
    assert (await service.client.get(DOCS, headers=reader)).json()["counts"]["documents"] == 1


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_foreign_and_missing_are_the_same_to_the_byte(service: Service, callers: Callers, method: str) -> None:
    acme = {**callers.header("acme", bound("acme")), "X-Request-Id": "r"}
    await service.fill("docs", [{"id": "secret", "text": "of globex", "tenant": "globex"}])

    async def answers(path: str) -> list[tuple[int, bytes, dict[str, str]]]:
        got = [await service.client.request(method, f"{DOCS}/documents/{path}", headers=acme)]
        await service.client.delete(f"{DOCS}/documents/secret?tenant=globex")
        await service.index()
        got.append(await service.client.request(method, f"{DOCS}/documents/{path}", headers=acme))
        await service.fill("docs", [{"id": "secret", "text": "of globex", "tenant": "globex"}])
        return [(each.status_code, each.content, dict(each.headers)) for each in got]

    for path in ("secret", "secret?tenant=globex", "%1Fglobex%1Fsecret", "%1Fglobex%1Fsecret?tenant=acme"):
        there, gone = await answers(path)
        assert there == gone
        assert there[0] == 404


async def test_an_id_cannot_name_the_document_of_another_tenant(service: Service, callers: Callers) -> None:
    for header in (callers.header("reader", READER), callers.header("writer", WRITER)):
        assert (await service.client.get(f"{DOCS}/documents/%1Facme%1F1", headers=header)).status_code == 404
    writer = callers.header("writer", WRITER)
    body = {"ids": ["\x1facme\x1f1"]}
    assert (await service.client.post(f"{DOCS}/documents:delete", json=body, headers=writer)).json()["deleted"] == 0
    sent = {"documents": [{"id": "\x1facme\x1f1", "text": "overwritten"}]}
    assert (await service.client.post(f"{DOCS}/documents", json=sent, headers=writer)).status_code == 422


async def test_a_bound_caller_submits_and_deletes_its_own_documents_alone(service: Service, callers: Callers) -> None:
    acme = callers.header("acme", bound("acme"))
    batch = [
        {"id": "2", "text": "mine"},
        {"id": "3", "text": "theirs", "tenant": "globex"},
        {"id": "4", "text": "", "tenant": ""},
    ]
    sent = await service.client.post(f"{DOCS}/documents", json={"documents": batch}, headers=acme)
    assert (sent.status_code, sent.json()["accepted"]) == (202, 1)
    assert [(each["index"], each["id"], each["code"]) for each in sent.json()["rejected"]] == [
        (1, "3", "forbidden"),
        (2, "4", "invalid_document"),
    ]
    put = await service.client.put(f"{DOCS}/documents/3?tenant=globex", json={"text": "x"}, headers=acme)
    assert put.status_code == 403
    await service.index()
    body = {"filter": {"type": "not", "filter": {"type": "eq", "key": "lang", "value": "none"}}}
    assert (await service.client.post(f"{DOCS}/documents:delete", json=body, headers=acme)).json()["deleted"] == 2
    await service.index()
    assert (await service.client.get(DOCS)).json()["counts"]["documents"] == 2
    every = await service.client.post(f"{DOCS}/documents:delete?tenant=globex", json=body, headers=acme)
    assert every.status_code == 403


async def test_a_bound_administrator_changes_no_collection_that_others_share(
    service: Service, callers: Callers
) -> None:
    acme = callers.header("acme", bound("acme", ADMIN))
    for method, path, body in (
        ("PUT", DOCS, {"acl_default": "none"}),
        ("PUT", "/v1/collections/new", {}),
        ("DELETE", DOCS, None),
        ("POST", f"{DOCS}/reembed", {}),
        ("POST", "/v1/backup", {}),
    ):
        answer = await service.client.request(method, path, json=body, headers=acme)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path)


async def test_jobs_are_seen_by_the_tenant_of_their_documents(service: Service, callers: Callers) -> None:
    headers = {tenant: callers.header(tenant, bound(tenant)) for tenant in ("acme", "globex")}
    jobs = {}
    for tenant, header in headers.items():
        sent = await service.client.put(f"{DOCS}/documents/2", json={"text": f"of {tenant}"}, headers=header)
        jobs[tenant] = sent.json()["job_id"]
    for tenant, header in headers.items():
        listed = (await service.client.get("/v1/jobs", headers=header)).json()["jobs"]
        assert [(each["id"], each["tenant"]) for each in listed] == [(jobs[tenant], tenant)]
        other = jobs["globex" if tenant == "acme" else "acme"]
        for method, path in (("GET", other), ("POST", f"{other}:retry"), ("POST", f"{other}:cancel")):
            answer = await service.client.request(method, f"/v1/jobs/{path}", headers={**header, "X-Request-Id": "r"})
            missing = await service.client.request(
                method, f"/v1/jobs/{path.replace(other, 'job_none')}", headers={**header, "X-Request-Id": "r"}
            )
            assert answer.status_code == missing.status_code == 404
            assert answer.content == missing.content.replace(b"job_none", other.encode())
    assert len((await service.client.get("/v1/jobs")).json()["jobs"]) == 3
    assert [each["tenant"] for each in (await service.client.get("/v1/jobs?tenant=acme")).json()["jobs"]] == ["acme"]


async def test_verify_tells_a_tenant_of_its_own_documents_alone(service: Service, callers: Callers) -> None:
    acme = callers.header("acme", bound("acme", ADMIN))
    await service.fill("docs", [{"id": str(n), "text": f"text {n}", "tenant": "globex"} for n in range(5)])
    report = (await service.client.post(f"{DOCS}:verify", json={}, headers=acme)).text
    assert '"total":1}' in report
    assert '"documents":1,"points":1,' in report


@pytest.mark.parametrize("mode", ["hybrid", "dense", "sparse"])
async def test_access_lists_decide_for_users_and_not_for_keys_that_read(
    service: Service, callers: Callers, mode: str
) -> None:
    lists = {"alice's": {"users": ["alice"]}, "staff's": {"groups": ["staff"]}, "closed": {"users": [], "groups": []}}
    documents = [{"id": name, "text": f"copy a file: {name}", "acl": acl} for name, acl in lists.items()]
    await service.fill("docs", documents)
    every = sorted(["copy a file", *(f"copy a file: {name}" for name in lists)])
    cases = {
        "reads": (READER, every),
        "browser": (BROWSER, ["copy a file"]),
        "alice": (user("alice"), ["copy a file", "copy a file: alice's"]),
        "bob": (user("bob", "staff"), ["copy a file", "copy a file: staff's"]),
        "staff": (user("staff"), ["copy a file"]),
    }
    for name, (principal, expected) in cases.items():
        assert await found(service, callers.header(name, principal), mode=mode) == expected, name
    await service.client.put(DOCS, json={"acl_default": "none"})
    assert await found(service, callers.header("alice", user("alice")), mode=mode) == ["copy a file: alice's"]
    assert await found(service, callers.header("browser", BROWSER), mode=mode) == []
    assert await found(service, callers.header("reads", READER), mode=mode) == every
    alice = callers.header("alice", user("alice"))
    assert (await service.client.get(f"{DOCS}/documents/alice's", headers=alice)).json()["acl"] == {
        "users": ["alice"],
        "groups": [],
    }
    assert (await service.client.get(f"{DOCS}/documents/staff's", headers=alice)).status_code == 404
    listed = (await service.client.get(f"{DOCS}/documents", headers=alice)).json()["documents"]
    assert [each["id"] for each in listed] == ["alice's"]
    assert (await service.client.get(DOCS, headers=alice)).json()["counts"]["documents"] == 1


async def test_a_changed_access_list_counts_without_embedding_again(service: Service, callers: Callers) -> None:
    alice = callers.header("alice", user("alice"))
    document = {"id": "minutes", "text": "minutes of a meeting", "acl": {"users": ["alice"]}}
    await service.fill("docs", [document])
    assert "minutes of a meeting" in await found(service, alice, query="minutes")
    for change in ({"acl": {"users": ["bob"]}}, {"acl": {"users": ["bob"]}, "metadata": {"lang": "de"}}):
        sent = await service.client.put(f"{DOCS}/documents/minutes", json={**document, **change})
        await service.index()
        job = (await service.client.get(f"/v1/jobs/{sent.json()['job_id']}")).json()
        assert (job["indexed"], job["chunks_embedded"]) == (1, 0)
        assert "minutes of a meeting" not in await found(service, alice, query="minutes")


async def test_a_locked_filter_and_a_bound_on_results_hold(service: Service, callers: Callers) -> None:
    await service.fill("docs", [{"id": f"d{n}", "text": f"copy {n}", "metadata": {"lang": "de"}} for n in range(4)])
    locked = {"type": "eq", "key": "lang", "value": "de"}
    caller = callers.header("locked", user("u", locked_filter=locked, max_top_n=2))
    assert len(await found(service, caller, query="copy")) == 2
    english = {"type": "eq", "key": "lang", "value": "en"}
    assert await found(service, caller, filter=english) == []
    assert await found(service, caller, filter={"type": "or", "filters": [english, english]}) == []
    refused = await service.client.post(f"{DOCS}/search", json={"query": "copy", "top_n": 3}, headers=caller)
    assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (403, ["top_n"])
    assert (await service.client.get(f"{DOCS}/documents/1", headers=caller)).status_code == 404
    assert (await service.client.get(f"{DOCS}/documents/d1", headers=caller)).status_code == 200
    assert (await service.client.get(DOCS, headers=caller)).json()["counts"]["documents"] == 4
    unfit = callers.header("unfit", user("u", locked_filter={"type": "eq", "key": "gone", "value": 1}))
    assert (await service.client.post(f"{DOCS}/search", json={"query": "copy"}, headers=unfit)).status_code == 403
    assert (await service.client.get(DOCS, headers=unfit)).json()["counts"]["documents"] == 0


async def test_a_tenant_does_not_learn_from_its_jobs_what_another_one_has(service: Service, callers: Callers) -> None:
    for tenant in ("acme", "globex"):
        header = callers.header(tenant, bound(tenant))
        sent = await service.client.put(f"{DOCS}/documents/same", json={"text": "the same text"}, headers=header)
        await service.index()
        job = (await service.client.get(f"/v1/jobs/{sent.json()['job_id']}", headers=header)).json()
        assert job["chunks_embedded"] == 1


@pytest.mark.parametrize("tenant", ["a\x1fb", "x" * 129, "\n"])
async def test_a_name_that_no_tenant_can_have_is_refused(service: Service, callers: Callers, tenant: str) -> None:
    del callers
    searched = await service.client.post(f"{DOCS}/search", json={"query": "x", "tenant": tenant})
    assert (searched.status_code, searched.json()["errors"][0]["loc"]) == (422, ["tenant"])
    sent = await service.client.post(
        f"{DOCS}/documents", json={"documents": [{"id": "1", "text": "x", "tenant": tenant}]}
    )
    assert sent.status_code == 422


@pytest.mark.parametrize("acl", [[], {"user": ["a"]}, {"users": "alice"}, {"users": [1]}, {"groups": ["a\n"]}])
async def test_an_access_list_that_is_none_is_refused_with_its_place(
    service: Service, callers: Callers, acl: Any
) -> None:
    del callers
    sent = await service.client.post(f"{DOCS}/documents", json={"documents": [{"id": "1", "text": "x", "acl": acl}]})
    assert (sent.status_code, sent.json()["rejected"][0]["code"]) == (422, "invalid_document")
