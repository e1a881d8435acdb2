"""API keys over HTTP: made, used, rotated, revoked; and what each may see."""

from __future__ import annotations

import asyncio

import pytest

DOCS = "/v1/collections/docs/documents"
SEARCH = "/v1/collections/docs/search"


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


class Doors:
    """A service with an administrator's key, and requests with any other."""

    def __init__(self, service, admin):
        self.service, self.admin = service, admin

    async def send(self, method, path, key, **options):
        headers = {} if key is None else bearer(key)
        return await self.service.client.request(method, path, headers=headers, **options)

    async def make(self, *scopes, **rights):
        answer = await self.send("POST", "/v1/keys", self.admin, json={"scopes": list(scopes), **rights})
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture
async def doors(service):
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    await service.fill("secret", [{"id": "a", "text": "copy a file"}])
    scopes = "search documents:read documents:write collections:admin keys:admin operate tokens:create".split()
    made = await service.client.post("/v1/keys", json={"label": "admin", "scopes": scopes})
    assert made.status_code == 201, made.text
    return Doors(service, made.json()["key"])


async def test_the_first_key_closes_the_service(service, doors):
    for path in ("/v1/collections", DOCS, f"{SEARCH}?q=file", "/metrics", "/v1/keys", "/no/such/path"):
        answer = await service.client.get(path)
        assert answer.status_code == 401, path
        assert answer.json()["code"] == "unauthorized"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert (await doors.send("GET", path, doors.admin)).status_code in {200, 404}
    opened = ("/", "/healthz", "/readyz", "/docs", "/openapi.json", "/static/app.js", "/analytics", "/llms.txt")
    for path in (*opened, "/.well-known/jwks.json", "/widget/v1.js"):
        assert (await service.client.get(path)).status_code == 200, path
    assert (await service.client.request("OPTIONS", SEARCH, headers={"Origin": "http://x"})).status_code != 401


async def test_a_key_is_shown_once(doors):
    made = await doors.make("search", label="site", collections=["docs"])
    assert made["key"].startswith(made["id"])
    shown = await doors.send("GET", f"/v1/keys/{made['id']}", doors.admin)
    assert shown.json() == {name: value for name, value in made.items() if name != "key"}
    listed = await doors.send("GET", "/v1/keys", doors.admin)
    assert [key["label"] for key in listed.json()["keys"]] == ["admin", "site"]
    assert made["key"] not in listed.text


async def test_a_key_does_what_its_scopes_say(doors):
    reader = (await doors.make("search", collections=["docs"]))["key"]
    assert (await doors.send("POST", SEARCH, reader, json={"query": "file"})).status_code == 200
    refused = await doors.send("GET", DOCS, reader)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "documents:read" in refused.json()["detail"]


async def test_a_collection_that_is_not_seen_looks_missing_to_the_byte(doors):
    made = await doors.make("search", "documents:read", "documents:write", "operate", collections=["docs"])
    requests = [
        ("POST", "/v1/collections/{}/search", {"query": "file"}),
        ("POST", "/v1/collections/{}/search", {"query": "file", "filter": {"type": "eq", "key": "x", "value": 1}}),
        ("GET", "/v1/collections/{}/search?q=file", None),
        ("GET", "/v1/collections/{}", None),
        ("GET", "/v1/collections/{}/documents", None),
        ("GET", "/v1/collections/{}/documents/a", None),
        ("DELETE", "/v1/collections/{}/documents/a", None),
        ("PUT", "/v1/collections/{}/documents/a", {"text": "x"}),
        ("POST", "/v1/collections/{}/documents", {"documents": [{"id": "a", "text": "x"}]}),
        ("POST", "/v1/collections/{}/documents:delete", {"ids": ["a"]}),
        ("POST", "/v1/collections/{}/documents:delete", {"filter": {"type": "eq", "key": "x", "value": 1}}),
        ("POST", "/v1/collections/{}:verify", {}),
        ("GET", "/v1/jobs?collection={}", None),
    ]
    for method, path, body in requests:
        answers = []
        for name in ("secret", "absent"):  # of one length
            headers = {**bearer(made["key"]), "X-Request-Id": "same"}
            body_of = {} if body is None else {"json": body}
            answer = await doors.service.client.request(method, path.format(name), headers=headers, **body_of)
            answers.append((answer.status_code, answer.content.replace(name.encode(), b"?"), sorted(answer.headers)))
        assert answers[0] == answers[1], (method, path)
        assert answers[0][0] == 404


async def test_listings_show_what_is_seen(doors):
    made = await doors.make("search", "operate", collections=["d*"])
    listed = await doors.send("GET", "/v1/collections", made["key"])
    assert [row["name"] for row in listed.json()["collections"]] == ["docs"]
    jobs = (await doors.send("GET", "/v1/jobs", made["key"])).json()["jobs"]
    assert {job["collection"] for job in jobs} == {"docs"}
    foreign = next(
        job["id"]
        for job in (await doors.send("GET", "/v1/jobs", doors.admin)).json()["jobs"]
        if job["collection"] == "secret"
    )
    seen, absent = [await doors.send("GET", f"/v1/jobs/{name}", made["key"]) for name in (foreign, "job_x")]
    assert seen.status_code == absent.status_code == 404
    assert seen.json()["detail"].replace(foreign, "job_x") == absent.json()["detail"]


async def test_two_keys_are_valid_during_a_rotation(doors):
    old = await doors.make("search", label="site", collections=["docs"])
    new = (await doors.send("POST", f"/v1/keys/{old['id']}:rotate", doors.admin)).json()
    assert (new["replaces"], new["label"], new["scopes"]) == (old["id"], "site", ["search"])
    for made in (old, new):
        assert (await doors.send("POST", SEARCH, made["key"], json={"query": "file"})).status_code == 200
    at_once = await doors.send("POST", f"/v1/keys/{new['id']}:rotate", doors.admin, json={"grace_seconds": 0})
    assert at_once.status_code == 201
    refused = await doors.send("POST", SEARCH, new["key"], json={"query": "file"})
    assert refused.status_code == 401
    assert "expired" in refused.json()["detail"]
    again = await doors.send("POST", f"/v1/keys/{new['id']}:rotate", doors.admin)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("path", "headers", "says"),
    [
        ("/v1/collections?api_key=wnw_x", {}, "a key in the address is not read"),
        ("/v1/collections?x=1&TOKEN=ey", {}, "a key in the address is not read"),
        ("/v1/collections", {"X-API-Key": "wnw_x"}, "X-API-Key is not read"),
        ("/v1/collections?q=monkey=1", {}, "this service needs a key"),
        ("/v1/collections?key=x", {"Authorization": "Bearer wnw_x"}, "a character is wrong or missing"),
    ],
)
async def test_a_key_where_none_is_read_is_told_so(doors, path, headers, says):
    answer = await doors.service.client.get(path, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert says in answer.json()["detail"]
    assert "Authorization" in answer.json()["detail"] or headers.get("Authorization")


async def test_a_key_is_bound_to_a_tenant_of_any_name(doors):
    name = "Größe & Söhne/1%"
    made = await doors.make("search", "documents:write", tenant=name, collections=["docs"])
    assert made["tenant"] == name
    sent = await doors.send("PUT", f"{DOCS}/a", made["key"], json={"text": "copy a file of theirs"})
    assert sent.status_code == 202
    await doors.service.index()
    found = (await doors.send("POST", SEARCH, made["key"], json={"query": "file"})).json()["results"]
    assert [each["text"] for each in found] == ["copy a file of theirs"]
    wrong = await doors.send("POST", "/v1/keys", doors.admin, json={"tenant": "a\nb"})
    assert (wrong.status_code, wrong.json()["errors"][0]["loc"]) == (422, ["tenant"])


async def test_a_revoked_key_is_refused_at_once(doors):
    made = await doors.make("search")
    assert (await doors.send("DELETE", f"/v1/keys/{made['id']}", doors.admin)).json()["revoked_at"]
    refused = await doors.send("POST", SEARCH, made["key"], json={"query": "file"})
    assert refused.status_code == 401
    assert "revoked" in refused.json()["detail"]
    missing = await doors.send("DELETE", "/v1/keys/wnw_missing", doors.admin)
    assert (missing.status_code, missing.json()["code"]) == (404, "key_not_found")


async def test_a_whole_key_where_its_name_belongs_is_not_repeated(doors):
    made = await doors.make("search")
    answer = await doors.send("DELETE", f"/v1/keys/{made['key']}", doors.admin)
    assert answer.status_code == 404
    assert made["id"] in answer.json()["detail"]
    assert made["key"] not in answer.text


async def test_who_may_make_keys_for_some_collections_sees_and_makes_those_alone(doors):
    boss = (await doors.make("keys:admin", collections=["shop-*"]))["key"]
    own = await doors.send("POST", "/v1/keys", boss, json={"scopes": ["search"]})
    assert own.json()["collections"] == ["shop-*"]
    part = await doors.send("POST", "/v1/keys", boss, json={"scopes": ["operate"], "collections": ["shop-de"]})
    assert part.status_code == 201
    beyond = await doors.send("POST", "/v1/keys", boss, json={"collections": ["docs"]})
    assert (beyond.status_code, beyond.json()["code"]) == (403, "forbidden")
    admin_id = doors.admin[:12]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", ":rotate")):
        foreign, absent = [
            await doors.send(method, f"/v1/keys/{name}{path}", boss) for name in (admin_id, "wnw_absentxx")
        ]
        assert foreign.status_code == 404
        assert foreign.text.replace(admin_id, "wnw_absentxx")[:120] == absent.text[:120]
    listed = (await doors.send("GET", "/v1/keys", boss)).json()["keys"]
    assert [key["collections"] for key in listed] == [["shop-*"], ["shop-*"], ["shop-de"]]


@pytest.mark.parametrize(
    ("rights", "place"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"collections": []}, "collections"),
        ({"collections": ["a b"]}, "collections"),
        ({"origins": ["example.com"]}, "origins"),
        ({"origins": ["https://example.com/path"]}, "origins"),
        ({"origins": ["https://example.com"], "scopes": ["search", "documents:read"]}, "scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"label": "x" * 201}, "label"),
        ({"rights": "all"}, "rights"),
    ],
)
async def test_rights_that_do_not_go_together_are_named(service, rights, place):
    answer = await service.client.post("/v1/keys", json=rights)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_key")
    assert answer.json()["errors"][0]["loc"][0] == place
    assert (await service.client.get("/v1/keys")).json() == {"keys": []}


async def test_the_audit_trail_says_who_did_what(doors):
    writer = await doors.make("documents:write", "search", collections=["docs"])
    headers = {**bearer(writer["key"]), "X-Request-Id": "req_mine"}
    client = doors.service.client
    await client.put(f"{DOCS}/b", json={"text": "a secret text"}, headers=headers)
    await client.delete(f"{DOCS}/a", headers=headers)
    await client.post("/v1/collections/secret/search", json={"query": "hidden words"}, headers=headers)
    await client.get(DOCS, headers=headers)
    await client.get(DOCS)
    events = {}
    for _ in range(300):
        answer = await doors.send("GET", "/v1/audit", doors.admin)
        # newest first: of equal keys the newest is kept
        events = {(event["action"], event["outcome"]): event for event in reversed(answer.json()["events"])}
        if len([action for action, _ in events if action == "access.refused"]) == 3:
            break
        await asyncio.sleep(0.01)
    actor = f"key {writer['id']}"
    deleted = events["documents.delete", "ok"]
    assert (deleted["actor"], deleted["collection"], deleted["document"]) == (actor, "docs", "a")
    assert deleted["request_id"] == "req_mine"
    assert events["documents.submit", "ok"]["document"] == "b"
    assert events["key.create", "ok"]["details"]["key"] == writer["id"]
    withheld = events["access.refused", "withheld"]
    assert (withheld["collection"], withheld["details"]) == ("secret", {"operation": "search"})
    assert events["access.refused", "forbidden"]["details"] == {"operation": "list_documents"}
    assert events["access.refused", "unauthorized"]["actor"] == "unknown"
    for words in ("secret text", "hidden words", writer["key"]):
        assert words not in answer.text


async def test_the_audit_trail_needs_a_key_for_everything(doors):
    part = await doors.make("operate", collections=["docs"])
    for path in ("/v1/audit",):
        refused = await doors.send("GET", path, part["key"])
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    backup = await doors.send("POST", "/v1/backup", part["key"], json={})
    assert backup.status_code == 403
    page = (await doors.send("GET", "/v1/audit?limit=1&action=key.*", doors.admin)).json()
    assert len(page["events"]) == 1
    older = (await doors.send("GET", f"/v1/audit?limit=1&action=key.*&after={page['next']}", doors.admin)).json()
    assert older["events"][0]["details"]["key"] == doors.admin[:12]
    assert older["next"] is None


async def test_pages_of_a_keys_origins_may_call_and_read_and_others_may_not(doors):
    made = await doors.make("search", label="site", origins=["https://shop.example"])
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    for origin, status in (("https://shop.example", 200), ("https://evil.example", 400)):
        allowed = origin if status == 200 else None
        preflight = await doors.service.client.options(SEARCH, headers={"origin": origin, **asks})
        assert preflight.status_code == status
        assert preflight.headers.get("access-control-allow-origin") == allowed
        headers = {"origin": origin, "sec-fetch-site": "cross-site", **bearer(made["key"])}
        answer = await doors.service.client.post(SEARCH, headers=headers, json={"query": "copy"})
        assert answer.status_code == (200 if allowed else 403)
        assert answer.headers.get("access-control-allow-origin") == allowed
    refused = await doors.service.client.post(
        SEARCH, headers={"origin": "https://shop.example"}, json={"query": "copy"}
    )
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://shop.example")
