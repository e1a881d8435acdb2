"""A search as JSON is answered on a way of its own: what does not fit is answered as by any other route."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from service.direct_route import DirectRoute
from service.routes import search
from tests.conftest import Service

SEARCH = "/v1/collections/docs/search"
GOOD: dict[str, Any] = {"query": "amber", "top_n": 3}
BAD: tuple[bytes, ...] = (
    b"",
    b"null",
    b"[]",
    b'"amber"',
    b"{}",
    b"{",
    b'{"query": 1}',
    b'{"query": "amber", "top_n": 0}',
    b'{"query": "amber", "unknown": 1}',
    b'{"query": "amber", "rerank": {"top_k": 0, "unknown": 1}}',
    b'{"query": "amber", "rerank": 3}',
    b'{"query": " "}',
    b'{"query": "amber", "filter": {"type": "eq", "key": "nothing", "value": 1}}',
)


async def sent(client: httpx2.AsyncClient, path: str, body: bytes, **headers: str) -> tuple[int, Any, dict[str, str]]:
    """Status, body and fields, without what differs from answer to answer."""
    headers = {"content-type": "application/json", "x-request-id": "same", **headers}
    answer = await client.post(path, content=body, headers=headers)
    found = answer.json()
    return answer.status_code, found if answer.is_error else found["results"], dict(answer.headers)


@pytest.fixture
async def both(service: Service, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sends a request on the direct way, then on that of other routes."""
    await service.fill("docs", [{"id": f"d{at}", "text": f"amber words {at}"} for at in range(5)])
    direct = next(each for each in service.app.router.routes if isinstance(each, DirectRoute))

    async def ask(path: str, body: bytes, **headers: str) -> tuple[Any, Any]:
        first = await sent(service.client, path, body, **headers)
        service.app.router.routes.remove(direct)
        try:
            return first, await sent(service.client, path, body, **headers)
        finally:
            service.app.router.routes.insert(0, direct)

    return ask


async def test_both_ways_answer_a_search(both: Any) -> None:
    one, other = await both(SEARCH, json.dumps(GOOD).encode())
    assert one[0] == 200
    assert one[:2] == other[:2]
    assert len(one[1]) == 3
    assert one[2].keys() == other[2].keys()


@pytest.mark.parametrize("body", BAD)
async def test_both_ways_say_what_is_wrong_with_a_body(both: Any, body: bytes) -> None:
    one, other = await both(SEARCH, body)
    assert one == other
    assert one[0] in (400, 422)


async def test_both_ways_refuse_names_and_types(both: Any) -> None:
    good = json.dumps(GOOD).encode()
    for path, headers in (
        ("/v1/collections/.hidden/search", {}),
        ("/v1/collections/missing/search", {}),
        (SEARCH, {"content-type": "text/plain"}),
        (SEARCH, {"content-encoding": "gzip"}),
        (SEARCH, {"origin": "http://elsewhere.example"}),
    ):
        one, other = await both(path, good, **headers)
        assert one == other
        assert one[0] >= 400


async def test_other_methods_and_the_log_know_one_route(service: Service) -> None:
    assert search.posted.path == "/v1/collections/{name}/search"
    answer = await service.client.put(SEARCH, json=GOOD)
    assert answer.status_code == 405
    assert (await service.client.get(SEARCH, params={"q": "amber"})).status_code == 404
    await service.client.post(SEARCH, json=GOOD)
    metrics = (await service.client.get("/metrics")).text
    assert f'route="{search.posted.path}",status="404"' in metrics
