"""Kept sources over HTTP: who may keep what, and what is said about their runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from indexer.schedule import SourceSchedule
from tests.wire.test_http_keys import Doors, bearer, doors  # noqa: F401

SOURCES = "/v1/collections/docs/sources"
SITE = {"source": "site:https://docs.example.com", "every": "6h"}
HARMLESS = [SITE, {"source": "feed:https://docs.example.com/feed.xml"}]
REACHING = [
    {"source": "/etc"},
    {"source": "python"},
    {"source": "git:/srv/repository"},
    {"source": "file:///etc/passwd"},
    {"source": "mbox:/var/mail/root"},
    {"source": "site:https://docs.example.com", "allow_private": True},
]


class Pages(BaseHTTPRequestHandler):
    """Serves ``server.pages`` with entity tags, and notes what was asked and whether it had changed."""

    def do_GET(self) -> None:
        text = self.server.pages.get(self.path)  # type: ignore[attr-defined]
        etag = f'"{hash(text)}"'
        known = text is not None and self.headers.get("If-None-Match") == etag
        self.server.answers.append((self.path, 304 if known else 200 if text else 404))  # type: ignore[attr-defined]
        self.send_response(self.server.answers[-1][1])  # type: ignore[attr-defined]
        self.send_header("Content-Type", "text/html")
        self.send_header("ETag", etag)
        self.end_headers()
        if not known:
            self.wfile.write((text or "").encode())

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def pages() -> Iterator[Any]:
    """A site of loopback: ``pages`` by path, ``answers``, and its ``source``."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.answers = []
    server.pages = {"/": "<h1>Home</h1><p>Start here.</p>" + "".join(f"<a href='/{n}'>{n}</a>" for n in range(5))}
    server.pages |= {f"/{n}": f"<h1>Page {n}</h1><p>The text of page number {n}.</p>" for n in range(5)}
    server.source = f"site:http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def keep(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post(SOURCES, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def run(service: Any) -> bool:
    """Run one source that is due, and what it submits."""
    service.automatic = True
    return await SourceSchedule(service.resources).run_once(asyncio.Event())


async def test_a_source_is_kept_listed_and_removed(service):
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    made = await keep(service.client, **SITE)
    assert (made["source"], made["every_seconds"], made["running"]) == (SITE["source"], 21600, False)
    assert made["last_run"] is None
    assert (await service.client.get(SOURCES)).json() == {"sources": [made]}
    assert (await service.client.get(f"{SOURCES}/{made['id']}")).json() == made
    again = await service.client.post(SOURCES, json=SITE)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert (await service.client.delete(f"{SOURCES}/{made['id']}")).status_code == 200
    missing = await service.client.get(f"{SOURCES}/{made['id']}")
    assert (missing.status_code, missing.json()["code"]) == (404, "source_not_found")
    events = {each.action for each in await service.resources.catalog.trail.list()}
    assert {"sources.add", "sources.remove"} <= events


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"source": ""}, "source"),
        ({"source": "site:https://me:secret@docs.example.com"}, "source"),
        ({**SITE, "every": "often"}, "every"),
        ({**SITE, "every": "0s"}, "every"),
    ],
)
async def test_what_cannot_be_kept_is_named(service, body, place):
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    answer = await service.client.post(SOURCES, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_source")
    assert answer.json()["errors"][0]["loc"] == [place]
    assert "secret" not in answer.text


async def test_files_and_private_addresses_are_for_administrators_alone(doors):  # noqa: F811
    writer = (await doors.make("documents:write", collections=["docs"]))["key"]
    partial = (await doors.make("collections:admin", "documents:write", collections=["docs"]))["key"]
    for key in (writer, partial):
        for body in REACHING:
            refused = await doors.send("POST", SOURCES, key, json=body)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), body
        for body in HARMLESS:
            made = await doors.send("POST", SOURCES, key, json=body)
            assert made.status_code == 201, made.text
            await doors.send("DELETE", f"{SOURCES}/{made.json()['id']}", key)
    for body in REACHING:
        made = await doors.send("POST", SOURCES, doors.admin, json=body)
        assert made.status_code == 201, made.text


async def test_a_site_is_kept_in_step_with_conditional_requests(service, pages):
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    made = await keep(service.client, source=pages.source, every="6h", allow_private=True, delay=0)
    path = f"{SOURCES}/{made['id']}"
    assert await run(service)
    first = (await service.client.get(path)).json()["last_run"]
    assert first["status"] == "ok", first
    assert first["documents"] == {"seen": 6, "indexed": 6, "unchanged": 0, "deleted": 0, "failed": 0}
    assert not await run(service), "it is not due"

    del pages.pages["/4"]
    pages.pages["/3"] = "<h1>Page 3</h1><p>It says something else now.</p>"
    pages.answers.clear()
    asked = await service.client.post(f"{path}:run", json={"ref": "refs/heads/main"})
    assert asked.status_code == 202
    assert await run(service)
    second = (await service.client.get(path)).json()
    assert second["last_run"]["documents"] == {"seen": 5, "indexed": 1, "unchanged": 4, "deleted": 1, "failed": 0}
    assert dict(pages.answers)["/2"] == 304
    service.app.state.service.metrics.live.watch(service.resources)  # as the running service does
    shown = (await service.client.get("/metrics")).text
    assert f'winnow_source_ok{{source="{made["id"]}"}} 1.0' in shown
    assert f'winnow_source_documents{{outcome="deleted",source="{made["id"]}"}} 1.0' in shown


async def test_a_source_that_loses_most_of_its_documents_keeps_them(service, pages):
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    made = await keep(service.client, source=pages.source, allow_private=True, delay=0)
    assert await run(service)
    pages.pages = {"/": "<h1>Home</h1><p>We are moving.</p>"}
    await service.client.post(f"{SOURCES}/{made['id']}:run")
    assert await run(service)
    last = (await service.client.get(f"{SOURCES}/{made['id']}")).json()["last_run"]
    assert last["status"] == "partial"
    assert last["failures"][0]["code"] == "many_missing"
    assert last["documents"]["deleted"] == 0


async def test_a_source_that_cannot_be_reached_fails_and_the_next_one_runs(service, pages):
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    broken = await keep(service.client, source="site:http://127.0.0.1:9/", delay=0)
    sound = await keep(service.client, source=pages.source, allow_private=True, delay=0)
    assert await run(service)
    assert await run(service)
    outcomes = {each["id"]: each["last_run"] for each in (await service.client.get(SOURCES)).json()["sources"]}
    assert outcomes[broken["id"]]["status"] == "failed"
    assert outcomes[broken["id"]]["failures"][0]["code"] == "address_refused"
    assert outcomes[sound["id"]]["status"] == "ok"


async def test_a_source_of_a_tenant_yields_its_documents(doors, pages):  # noqa: F811
    body = {"source": pages.source, "tenant": "acme", "allow_private": True, "delay": 0}
    made = await doors.send("POST", SOURCES, doors.admin, json=body)
    assert made.status_code == 201, made.text
    assert await run(doors.service)
    listed = await doors.send("GET", "/v1/collections/docs/documents?tenant=acme", doors.admin)
    assert len(listed.json()["documents"]) == 6
    other = (await doors.make("documents:write", tenant="other"))["key"]
    assert (await doors.send("GET", SOURCES, other)).json() == {"sources": []}
    assert (await doors.send("GET", f"{SOURCES}/{made.json()['id']}", other)).status_code == 404
    assert (await doors.send("POST", f"{SOURCES}/{made.json()['id']}:run", other)).status_code == 404


async def test_a_service_that_stops_gives_the_run_back(service, pages):
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    made = await keep(service.client, source=pages.source, allow_private=True, delay=0)
    stopped = asyncio.Event()
    running = asyncio.create_task(SourceSchedule(service.resources).run_once(stopped))
    while not (await service.client.get(f"{SOURCES}/{made['id']}")).json()["running"]:
        await asyncio.sleep(0.01)
    stopped.set()
    await running
    kept = (await service.client.get(f"{SOURCES}/{made['id']}")).json()
    assert (kept["running"], kept["last_run"]) == (False, None)
    assert await run(service)
    assert (await service.client.get(f"{SOURCES}/{made['id']}")).json()["last_run"]["status"] == "ok"


async def test_keys_are_sent_as_bearers(doors):  # noqa: F811
    hook = (await doors.make("documents:write", collections=["docs"]))["key"]
    made = await doors.send("POST", SOURCES, doors.admin, json=SITE)
    path = f"{SOURCES}/{made.json()['id']}:run"
    assert (await doors.service.client.post(path, content=b"not json", headers=bearer(hook))).status_code == 202
    assert (await doors.service.client.post(path)).status_code == 401
