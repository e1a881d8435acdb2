"""Jobs over HTTP: listed, tried again, cancelled."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.conftest import Service

EMPTY = "<!-- nothing -->"


async def hand_in(client: httpx2.AsyncClient, texts: dict[str, str], collection: str = "docs", **params: Any) -> str:
    await client.put(f"/v1/collections/{collection}")
    documents = [{"id": each, "text": text, "format": "markdown"} for each, text in texts.items()]
    answer = await client.post(f"/v1/collections/{collection}/documents", json={"documents": documents}, params=params)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


async def jobs(client: httpx2.AsyncClient, **params: Any) -> list[str]:
    answer = await client.get("/v1/jobs", params=params)
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["jobs"]]


async def found(client: httpx2.AsyncClient, query: str) -> list[str]:
    answer = await client.post("/v1/collections/docs/search", json={"query": query, "mode": "sparse"})
    return [result["document_id"] for result in answer.json()["results"]]


async def test_jobs_are_listed_and_filtered(service: Service, client: httpx2.AsyncClient) -> None:
    failed = await hand_in(client, {"a": EMPTY})
    await service.index()
    waiting = await hand_in(client, {"b": "words"}, "other")
    assert set(await jobs(client)) == {failed, waiting}
    assert await jobs(client, failed=True) == [failed]
    assert await jobs(client, status="pending") == [waiting]
    assert await jobs(client, collection="docs") == [failed]


async def test_pages_of_jobs_follow_each_other(client: httpx2.AsyncClient) -> None:
    made = {await hand_in(client, {str(number): "words"}) for number in range(3)}
    first = (await client.get("/v1/jobs", params={"limit": 2})).json()
    rest = (await client.get("/v1/jobs", params={"limit": 2, "after": first["next"]})).json()
    assert {job["id"] for job in first["jobs"] + rest["jobs"]} == made
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("params", "status"),
    [({"status": "odd"}, 422), ({"limit": 0}, 422), ({"colection": "docs"}, 422), ({"collection": "none"}, 404)],
)
async def test_a_list_that_cannot_be_made_is_refused(
    client: httpx2.AsyncClient, params: dict[str, Any], status: int
) -> None:
    answer = await client.get("/v1/jobs", params=params)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_failures_are_tried_again(service: Service, client: httpx2.AsyncClient) -> None:
    job_id = await hand_in(client, {"a": EMPTY, "b": "words"})
    await service.index()
    answer = await client.post(f"/v1/jobs/{job_id}:retry")
    assert (answer.status_code, answer.json()["documents"]) == (202, 1)
    again = (await client.get(f"/v1/jobs/{answer.json()['job_id']}")).json()
    assert (again["status"], again["total"]) == ("pending", 1)
    await service.index()
    again = (await client.get(f"/v1/jobs/{again['id']}")).json()
    assert [failure["document_id"] for failure in again["failures"]] == ["a"]


async def test_nothing_to_try_again_is_said(service: Service, client: httpx2.AsyncClient) -> None:
    job_id = await hand_in(client, {"a": "words"})
    await service.index()
    answer = await client.post(f"/v1/jobs/{job_id}:retry")
    assert (answer.status_code, answer.json()) == (202, {"job_id": None, "documents": 0})


async def test_a_cancelled_job_leaves_what_was_there(service: Service, client: httpx2.AsyncClient) -> None:
    await hand_in(client, {"old": "first words"})
    await service.index()
    job_id = await hand_in(client, {"old": "other words", "new": "fresh words"})
    job = (await client.post(f"/v1/jobs/{job_id}:cancel")).json()
    assert (job["status"], job["cancelled"], job["pending"]) == ("done", 2, 0)
    await service.index()
    assert await found(client, "first") == ["old"]
    assert await found(client, "other fresh") == []
    assert (await client.get("/v1/collections/docs/documents/new")).status_code == 404
    old = (await client.get("/v1/collections/docs/documents/old")).json()
    assert (old["state"], old["error"]["code"]) == ("failed", "cancelled")


async def test_deletions_cannot_be_cancelled(service: Service, client: httpx2.AsyncClient) -> None:
    await hand_in(client, {"a": "words"})
    await service.index()
    deletion = (await client.delete("/v1/collections/docs/documents/a")).json()["job_id"]
    answer = await client.post(f"/v1/jobs/{deletion}:cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "hand the documents in again" in answer.json()["detail"]


@pytest.mark.parametrize("verb", ["retry", "cancel"])
async def test_unknown_jobs_are_not_found(client: httpx2.AsyncClient, verb: str) -> None:
    answer = await client.post(f"/v1/jobs/job_nope:{verb}")
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


async def test_bulk_uploads_are_refused_before_interactive_ones(service: Service, client: httpx2.AsyncClient) -> None:
    limit = service.resources.settings.indexing.max_backlog

    async def nearly_full() -> int:
        return limit - 1

    await hand_in(client, {"a": "words"})
    service.resources.catalog.queue.backlog = nearly_full  # type: ignore[method-assign]
    await hand_in(client, {"b": "words"})
    body = {"documents": [{"id": "c", "text": "words"}]}
    answer = await client.post("/v1/collections/docs/documents", json=body, params={"priority": 0})
    assert (answer.status_code, answer.json()["code"]) == (429, "overloaded")
    assert int(answer.headers["retry-after"]) >= 1
