"""What every answer has in common: request ids, problems, limits on bodies and hosts, and no leaks."""

from __future__ import annotations

import logging

import httpx2
import pytest

from service.app import create_app
from winnow.core.errors import StorageFull
from winnow.core.settings import load_settings
from winnow.runtime import open_resources

SEARCH = "/v1/collections/docs/search"
JSON = {"content-type": "application/json"}
PROBLEM_KEYS = {"type", "title", "status", "detail", "code", "request_id"}


def assert_problem(response, status, code):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) >= PROBLEM_KEYS
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == response.headers["x-request-id"]


# --- request ids ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/nope", "/", "/docs", "/openapi.json", SEARCH, "/static/nope.js"])
async def test_every_answer_has_a_request_id(client, path):
    response = await client.get(path)
    assert response.headers["x-request-id"].startswith("req_")
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_request_id_of_the_caller_is_echoed(client):
    for mine in ("abc", "a b:c/d", "x" * 128):
        assert (await client.get("/healthz", headers={"x-request-id": mine})).headers["x-request-id"] == mine


@pytest.mark.parametrize("bad", [b"x" * 129, b"", b"a\tb", "ü".encode(), b"\x7f"])
async def test_request_id_that_is_not_sane_is_replaced(client, bad):
    response = await client.get("/healthz", headers=[(b"x-request-id", bad)])
    assert response.headers["x-request-id"].startswith("req_")


# --- problems ------------------------------------------------------------------------------------


async def test_unknown_path_and_wrong_method_are_problems(client):
    assert_problem(await client.get("/v1/nope"), 404, "not_found")
    assert_problem(await client.get("/healthz/"), 404, "not_found")
    wrong = await client.patch("/v1/collections/docs")
    assert_problem(wrong, 405, "method_not_allowed")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"query": NaN}',
        b'{"query": "a", "min_relevance": Infinity}',
        b'{"query": "\xff"}',
        b'{"q": "\\ud800"}',
        b"[" * 2000,
    ],
)
async def test_body_that_is_not_json_is_400(client, body):
    assert_problem(await client.post(SEARCH, content=body, headers=JSON), 400, "invalid_json")
    await client.put("/v1/collections/docs")
    response = await client.post("/v1/collections/docs/documents", content=body, headers=JSON)
    assert_problem(response, 400, "invalid_json")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", None]
)
@pytest.mark.parametrize("path", [SEARCH, "/v1/collections/docs/documents", "/v1/collections/docs/documents:delete"])
async def test_body_of_another_type_is_415(client, path, content_type):
    headers = {"content-type": content_type} if content_type else {}
    assert_problem(await client.post(path, content=b'{"query": "a"}', headers=headers), 415, "unsupported_media_type")


async def test_json_types_with_parameters_are_read(client):
    for content_type in ("application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"):
        response = await client.post(SEARCH, content=b'{"query": "a"}', headers={"content-type": content_type})
        assert response.status_code == 404  # read, and then no such collection


async def test_missing_body_says_so(client):
    response = await client.post(SEARCH)
    assert_problem(response, 422, "invalid_query")
    assert "JSON body" in response.json()["detail"]


async def test_every_wrong_place_is_listed(client):
    response = await client.post(SEARCH, json={"query": "a", "top_k": 0, "bogus": 1})
    assert_problem(response, 422, "invalid_query")
    assert sorted(error["loc"] for error in response.json()["errors"]) == [["bogus"], ["top_k"]]


async def test_bug_is_500_without_internals_and_logged_with_the_request_id(service, client, monkeypatch, caplog):
    async def bug(*_, **__):
        raise RuntimeError("secret detail")

    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    monkeypatch.setattr(service.resources.search, "run", bug)
    with caplog.at_level(logging.ERROR):
        response = await client.post(SEARCH, json={"query": "a"})
    assert_problem(response, 500, "internal_error")
    assert "secret" not in response.text
    records = [record for record in caplog.records if record.exc_info]
    assert records[0].request_id == response.headers["x-request-id"]


async def test_full_disk_is_507(service, client, monkeypatch):
    async def full(*args, **kwargs):
        raise StorageFull("no space left under data/")

    await client.put("/v1/collections/docs")
    monkeypatch.setattr(service.resources.catalog.documents, "submit", full)
    response = await client.put("/v1/collections/docs/documents/a", json={"text": "x"})
    assert_problem(response, 507, "storage_full")


async def test_each_request_is_one_log_line(client, caplog):
    with caplog.at_level(logging.INFO, logger="winnow.access"):
        await client.get("/v1/collections/docs", headers={"x-request-id": "mine"})
    (record,) = [record for record in caplog.records if record.name == "winnow.access"]
    assert (record.method, record.route, record.status) == ("GET", "/v1/collections/{name}", 404)
    assert record.collection == "docs"
    assert record.request_id == "mine"
    assert record.ms >= 0


async def test_probes_and_scrapes_are_lines_for_debugging(client, caplog):
    with caplog.at_level(logging.DEBUG, logger="winnow.access"):
        for path in ("/healthz", "/readyz", "/metrics"):
            await client.get(path)
    assert [record.levelname for record in caplog.records if record.name == "winnow.access"] == ["DEBUG"] * 3


# --- limits --------------------------------------------------------------------------------------


@pytest.fixture
async def small(settings):
    """A service that takes bodies of 1 MiB."""
    limited = settings.model_copy(update={"server": settings.server.model_copy(update={"max_body_mb": 1})})
    app = create_app(limited, open_resources)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await client.put("/v1/collections/docs")
            yield client


async def test_body_over_the_limit_is_refused_by_its_length_alone(small):
    taken = 0

    async def body():
        nonlocal taken
        taken += 1
        yield b"x"

    headers = {**JSON, "content-length": str(2**21)}
    assert_problem(await small.post(SEARCH, content=body(), headers=headers), 413, "body_too_large")
    assert taken == 0


@pytest.mark.parametrize("path", [SEARCH, "/v1/collections/docs/documents"])
async def test_body_without_a_length_is_refused_once_it_grows_too_large(small, path):
    sent = 0

    async def body():
        nonlocal sent
        for _ in range(64):
            sent += 1
            yield b" " * 2**16

    assert_problem(await small.post(path, content=body(), headers=JSON), 413, "body_too_large")
    assert sent <= 18


async def test_body_within_the_limit_passes(small):
    text = "word " * (2**20 // 5 - 20)
    response = await small.put("/v1/collections/docs/documents/a", json={"text": text})
    assert response.status_code == 202


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "app.localhost", "LOCALHOST:1"])
async def test_loopback_hosts_are_served(client, host):
    assert (await client.get("/healthz", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:8000", "localhost.evil.example"])
async def test_foreign_host_is_refused_on_loopback(client, host):
    assert_problem(await client.get("/healthz", headers={"host": host}), 421, "unknown_host")


@pytest.mark.parametrize(("host", "status"), [("10.1.2.3:8000", 200), ("[fd00::1]:8000", 200), ("evil.example", 421)])
async def test_a_health_check_may_name_the_address_of_a_pod_where_the_service_listens_on_all(tmp_path, host, status):
    """A kubelet names it, whatever `WINNOW_SERVER__ALLOWED_HOSTS` has."""
    server = {"host": "0.0.0.0", "bootstrap_key": "k" * 40, "allowed_hosts": ["winnow"]}
    transport = httpx2.ASGITransport(create_app(load_settings(data_dir=tmp_path, server=server), open_resources))
    async with httpx2.AsyncClient(transport=transport, base_url="http://winnow") as client:
        assert (await client.get("/healthz", headers={"host": host})).status_code == status
        assert (await client.get("/v1/collections", headers={"host": "10.1.2.3:8000"})).status_code == 421


async def test_any_host_is_served_where_strangers_are_let_in(tmp_path):
    settings = load_settings(data_dir=tmp_path, server={"host": "0.0.0.0", "insecure": True})
    transport = httpx2.ASGITransport(create_app(settings, open_resources))
    async with httpx2.AsyncClient(transport=transport, base_url="http://search.example") as client:
        assert (await client.get("/healthz")).status_code == 200
