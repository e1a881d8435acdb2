"""The client of the native API: errors come back as those that the service raised, other servers are named."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from winnow.cli.remote import HttpTarget, connect_service, error_of
from winnow.core.errors import (
    CollectionNotFound,
    InvalidFilter,
    InvalidInput,
    Overloaded,
    UpstreamRejected,
    UpstreamUnavailable,
    WinnowError,
    by_code,
)
from winnow.core.types import Document
from winnow.operations.submit import NothingAccepted
from winnow.ports import Rejection

PROBLEM = {"type": "about:blank", "title": "t", "request_id": "req_1"}


@asynccontextmanager
async def serving(status: int, body: object = None, *, text: str = "", **headers: str) -> AsyncIterator[str]:
    """A server that answers every request in one way."""

    async def answer(_: web.Request) -> web.Response:
        if body is None:
            return web.Response(status=status, text=text, content_type="text/html", headers=headers)
        return web.json_response(body, status=status, content_type="application/problem+json", headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def refusal(url: str) -> WinnowError:
    async with connect_service(url) as client:
        with pytest.raises(WinnowError) as caught:
            await client.call("GET", "/v1/collections/docs")
    return caught.value


@pytest.mark.parametrize("code", ["collection_not_found", "job_not_found", "identity_mismatch", "deadline_exceeded"])
async def test_problem_is_raised_as_the_error_of_its_code(code):
    async with serving(418, PROBLEM | {"status": 418, "code": code, "detail": "why"}) as url:
        error = await refusal(url)
    assert type(error) is by_code(code)
    assert error.message == "why"


async def test_place_and_time_of_a_problem_are_kept():
    place = {"loc": ["filter", "filters", 0], "message": "bad"}
    body = PROBLEM | {"status": 422, "code": "invalid_filter", "detail": "bad", "errors": [place]}
    async with serving(422, body, **{"Retry-After": "7"}) as url:
        error = await refusal(url)
    assert type(error) is InvalidFilter
    assert (error.location, error.retry_after) == (("filter", "filters", 0), 7.0)


async def test_rejections_are_kept():
    row = {"index": 0, "id": "a", "code": "version_conflict", "message": "older"}
    body = PROBLEM | {"status": 409, "code": "version_conflict", "detail": "none", "rejected": [row], "accepted": 0}
    async with serving(409, body) as url, connect_service(url) as client:
        submission = await HttpTarget(client).submit("docs", [Document("a", "text")], source="s")
    assert submission.rejected == (Rejection(0, "a", "version_conflict", "older"),)
    assert submission.accepted == 0


def test_code_that_this_version_does_not_know_is_judged_by_its_status():
    newer = {"code": "from_the_future", "detail": "why"}
    assert type(error_of(newer | {"status": 415})) is InvalidInput
    assert type(error_of(newer | {"status": 500})) is UpstreamRejected


def test_invalid_settings_of_the_service_are_not_the_callers_input():
    assert type(error_of({"code": "invalid_settings", "status": 500, "detail": "why"})) is UpstreamRejected


async def test_errors_of_the_real_service_come_back(service):
    async def over_wire(method: str, path: str, **request: object) -> WinnowError:
        return error_of((await service.client.request(method, path, **request)).json())

    assert type(await over_wire("GET", "/v1/collections/docs")) is CollectionNotFound
    await service.client.put("/v1/collections/docs")
    rejected = await over_wire("POST", "/v1/collections/docs/documents", json={"documents": [{"id": ""}]})
    assert isinstance(rejected, NothingAccepted)
    assert (rejected.code, [item.index for item in rejected.rejected]) == ("invalid_document", [0])
    assert rejected.message == "no document was accepted; document 0: text is missing"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, UpstreamRejected),
        (200, UpstreamRejected),
        (429, Overloaded),
        (502, UpstreamUnavailable),
        (503, UpstreamUnavailable),
    ],
)
async def test_server_that_is_not_winnow_is_named(status, expected):
    async with serving(status, text="<html>hello</html>") as url:
        error = await refusal(url)
    assert type(error) is expected
    assert error.message == (
        f"no Winnow service at {url.rstrip('/')}: GET /v1/collections/docs answered {status} with text/html"
    )


@pytest.mark.parametrize("body", [{"code": "collection_not_found", "detail": "no"}, {"error": "no"}, [1], "no"])
async def test_problem_of_another_server_is_not_taken_for_winnows(body):
    async with serving(404, body) as url:
        assert "no Winnow service at" in (await refusal(url)).message


# --- through the command -------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["search", "words"], ["index", "notes.txt", "--dry-run"], ["index", "notes.txt"]])
async def test_commands_say_in_one_line_that_no_winnow_is_there(command, tmp_path):
    (tmp_path / "notes.txt").write_text("A note.")
    async with serving(404, text="<html>not found</html>") as url:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "winnow.cli.main", *command, "--collection", "docs", "--url", url),
            cwd=tmp_path,
            stderr=subprocess.PIPE,
        )
        _, stderr = await process.communicate()
    message = stderr.decode().strip()
    assert process.returncode == 1
    assert f"no Winnow service at {url.rstrip('/')}" in message
    assert "exist" not in message
    assert len(message.splitlines()) == 1
