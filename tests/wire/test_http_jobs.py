"""Jobs: progress as JSON and as a stream of events."""

from __future__ import annotations

import asyncio
import json


async def submit(client, *ids):
    await client.put("/v1/collections/docs")
    batch = {"documents": [{"id": name, "text": "some words"} for name in ids]}
    return (await client.post("/v1/collections/docs/documents", json=batch)).json()["job_id"]


def events(text):
    """(event, data) pairs of a stream, comments left out."""
    blocks = [block for block in text.replace("\r\n", "\n").strip().split("\n\n") if not block.startswith(":")]
    fields = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    return [(item["event"], json.loads(item["data"])) for item in fields]


async def test_job_adds_up_and_ends(service, client):
    job_id = await submit(client, "a", "b")
    before = (await client.get(f"/v1/jobs/{job_id}")).json()
    assert (before["status"], before["total"], before["pending"], before["finished_at"]) == ("pending", 2, 2, None)
    await service.index()
    after = (await client.get(f"/v1/jobs/{job_id}")).json()
    assert (after["status"], after["indexed"], after["pending"], after["failures"]) == ("done", 2, 0, [])
    assert after["chunks_embedded"] == 2
    assert after["finished_at"]
    assert set(after) == {
        "id", "collection", "tenant", "status", "total", "pending", "indexed", "deleted", "unchanged", "failed",
            "superseded",
        "cancelled", "chunks_embedded", "chunks_unread", "failures", "created_at", "finished_at",
        "waits_for",
    }  # fmt: skip


async def test_unknown_job_is_404(client):
    for path in ("/v1/jobs/job_nope", "/v1/jobs/job_nope/events"):
        response = await client.get(path)
        assert (response.status_code, response.json()["code"]) == (404, "job_not_found")


async def test_events_of_a_finished_job_are_one_done(service, client):
    job_id = await submit(client, "a")
    await service.index()
    response = await client.get(f"/v1/jobs/{job_id}/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert [(name, job["status"]) for name, job in events(response.text)] == [("done", "done")]


async def test_events_follow_the_work_to_its_end(service, client):
    job_id = await submit(client, "a", "b")
    stream = asyncio.create_task(client.get(f"/v1/jobs/{job_id}/events"))
    await asyncio.sleep(0)
    await service.index()
    told = events((await stream).text)
    assert told[-1][0] == "done"
    assert told[-1][1]["indexed"] == 2
    assert all(name == "progress" for name, _ in told[:-1])


async def test_events_end_when_the_service_drains(service, client):
    job_id = await submit(client, "a")
    service.app.state.service.draining = True
    response = await client.get(f"/v1/jobs/{job_id}/events")
    assert [name for name, _ in events(response.text)] == ["progress"]
