"""What is foreign and what is missing are looked up by the same work, so that times do not tell them apart.

The work is counted, which no load of the machine changes; ``benchmarks/access.py`` measures the times.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.access.callers import Callers, bound, user
from tests.conftest import Service
from winnow.core.principal import SCOPES, Principal

DOCS = "/v1/collections/docs"
BY_TENANT, BY_LIST, BY_PATTERN = bound("acme"), user("alice"), Principal("key", "wnw_docs", SCOPES, ("docs",))
IS_COUNTED: ContextVar[bool] = ContextVar("is_counted", default=False)


@contextmanager
def work() -> Iterator[dict[str, int]]:
    """Count the statements of the catalog for the block, without a worker's, and the calls of this thread."""
    done = {"statements": 0, "calls": 0}
    token = IS_COUNTED.set(True)

    def statement(*_: Any) -> None:
        done["statements"] += IS_COUNTED.get()

    def call(_: FrameType, kind: str, __: Any) -> None:
        done["calls"] += kind == "call"

    event.listen(Engine, "before_cursor_execute", statement)
    sys.setprofile(call)
    try:
        yield done
    finally:
        sys.setprofile(None)
        IS_COUNTED.reset(token)
        event.remove(Engine, "before_cursor_execute", statement)


@pytest.fixture
async def callers(service: Service, monkeypatch: pytest.MonkeyPatch) -> Callers:
    """A collection of the callers with documents that they do not see, and another one."""
    callers = Callers()
    service.app.state.service.callers._access = callers
    of_globex = {"id": "foreign", "text": "a", "tenant": "globex"}
    await service.fill("docs", [of_globex, {"id": "hidden", "text": "a", "acl": {"users": ["b"]}}])
    await service.fill("other", [{"id": "a", "text": "a"}])
    monkeypatch.setattr(service.resources.catalog.trail, "note", lambda *_: None)  # refusals are stored afterwards
    return callers


@pytest.mark.parametrize(
    ("caller", "method", "paths"),
    [
        (BY_TENANT, "GET", (f"{DOCS}/documents/foreign", f"{DOCS}/documents/missing")),
        (BY_TENANT, "DELETE", (f"{DOCS}/documents/foreign", f"{DOCS}/documents/missing")),
        (BY_LIST, "GET", (f"{DOCS}/documents/hidden", f"{DOCS}/documents/absent")),
        (BY_PATTERN, "GET", ("/v1/collections/other", "/v1/collections/never")),
        (BY_PATTERN, "GET", ("/v1/collections/other/documents/a", "/v1/collections/never/documents/a")),
        (BY_PATTERN, "GET", ("/v1/collections/other/search?q=a", "/v1/collections/never/search?q=a")),
        (BY_PATTERN, "GET", ("/v1/jobs/{job}", "/v1/jobs/job_x")),
        (BY_TENANT, "GET", ("/v1/jobs/{job}", "/v1/jobs/job_x")),
    ],
)
async def test_foreign_and_missing_take_the_same_work(
    service: Service, callers: Callers, caller: Principal, method: str, paths: tuple[str, str]
) -> None:
    jobs: list[Mapping[str, Any]] = (await service.client.get("/v1/jobs?collection=other")).json()["jobs"]
    header = {**callers.header("caller", caller), "X-Request-Id": "r"}
    asked = [path.format(job=jobs[0]["id"]) for path in paths]
    for path in asked:  # what is remembered between requests is remembered for both
        await service.client.request(method, path, headers=header)
    done = []
    for path in asked:
        with work() as counts:
            answer = await service.client.request(method, path, headers=header)
        assert answer.status_code == 404, answer.text
        done.append(counts)
    assert done[0]["statements"] == done[1]["statements"]
    assert done[0]["calls"] == pytest.approx(done[1]["calls"], rel=0.1)
