"""Health, readiness, metrics, the page and the documentation."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import httpx2
import pytest

from service.app import create_app
from service.health import check_readiness
from service.lifespan import begin_drain
from tests.fakes import FAKES
from winnow.core.errors import UpstreamUnavailable
from winnow.core.settings import load_settings
from winnow.runtime import open_resources
from winnow.testing.models import FakeReranker


async def test_alive(client):
    assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_a_service_whose_own_worker_makes_no_progress_asks_to_be_started_again(service):
    limit = service.resources.settings.operations.stall_seconds
    stalled = [limit]
    service.app.state.service.metrics.live.worker = lambda: (3, stalled[0])
    assert (await service.client.get("/healthz")).status_code == 200
    stalled[0] = limit + 1
    answer = await service.client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "stalled")
    assert f"for {limit + 1:.0f} s" in answer.json()["reason"]
    assert (await service.client.get("/readyz")).status_code == 200, "searches are answered all the same"


async def test_ready_names_every_dependency(client):
    response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["status"] == "ready"
    checks = response.json()["checks"]
    assert {"store", "catalog", "indexes", "embed", "rerank"} == set(checks)
    assert all(check["status"] == "ok" and check["ms"] >= 0 for check in checks.values())


@pytest.mark.parametrize(
    ("name", "part", "method"),
    [("store", "store", "check"), ("catalog", "catalog", "check")],
)
@pytest.mark.parametrize("error", [UpstreamUnavailable("it is gone"), RuntimeError("a bug")])
async def test_not_ready_names_what_failed(service, name, part, method, error):
    async def fail(*args, **kwargs):
        raise error

    object.__setattr__(getattr(service.resources, part), method, fail)  # the catalog is frozen
    response = await service.client.get("/readyz")
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert response.json()["status"] == "unavailable"
    check = response.json()["checks"][name]
    assert check["status"] == "failed"
    assert str(error) in check["reason"]
    assert (await service.client.get("/healthz")).status_code == 200


async def test_failing_second_stage_is_named(service):
    async def fail(*args, **kwargs):
        raise UpstreamUnavailable("the reranker is gone")

    service.resources.reranker.rerank = fail
    response = await service.client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    strict = await service.client.get("/readyz?strict=true")
    assert (strict.status_code, strict.json()["status"]) == (503, "degraded")
    assert strict.headers["retry-after"]
    assert "the reranker is gone" in response.json()["checks"]["rerank"]["reason"]
    assert response.json()["checks"]["embed"]["status"] == "ok"


async def test_wrong_deployment_is_not_ready_and_told_what_to_fix(service, caplog):
    async def upside_down(query, passages, **kwargs):
        found = await reranker.rerank(query, passages)
        return replace(found, scores=1 - found.scores)

    reranker = FakeReranker()
    service.resources.reranker.rerank = upside_down
    response = await service.client.get("/readyz?strict=true")
    assert response.status_code == 503
    reason = response.json()["checks"]["rerank"]["reason"]
    assert "an unrelated passage comes first" in reason
    assert "WINNOW_RERANK__MODEL" in reason
    assert reason in caplog.text


async def test_readiness_asked_often_leaves_the_models_alone(service):
    asked = []
    embed = service.resources.embedder.embed

    async def count(texts, kind, **kwargs):
        asked.append(kind)
        return await embed(texts, kind, **kwargs)

    service.resources.embedder.embed = count
    for _ in range(20):
        response = await service.client.get("/readyz")
        assert response.status_code == 200
    assert sorted(asked) == ["document", "query"]
    assert response.json()["checks"]["embed"]["age_s"] >= 0


async def test_models_that_are_down_at_the_start_leave_keyword_search(service):
    async def fail(*args, **kwargs):
        raise UpstreamUnavailable("nobody listens")

    await service.fill("docs", [{"id": "a", "text": "how to copy a file"}])
    service.resources.embedder.embed = service.resources.reranker.rerank = fail
    assert (await service.client.get("/readyz")).json()["status"] == "degraded"
    answer = (await service.client.post("/v1/collections/docs/search", json={"query": "copy"})).json()
    assert [result["document_id"] for result in answer["results"]] == ["a"]
    assert answer["degraded"]
    assert answer["stages"]["embed"]["status"] == answer["stages"]["rerank"]["status"] == "failed"


async def test_models_are_checked_from_the_start(settings, caplog):
    app = create_app(settings, open_resources)
    async with app.router.lifespan_context(app):
        health = app.state.service.health["embed"]
        assert await health.reason(wait=5) is None
    assert "is not ready" not in caplog.text


async def test_check_that_hangs_is_named(service, monkeypatch):
    async def hang():
        await asyncio.Event().wait()

    monkeypatch.setattr(service.resources.store, "check", hang)
    monkeypatch.setattr("service.health.CHECK_LIMIT", 0.5)
    readiness = await check_readiness(service.resources, {})
    assert readiness.checks["store"].status == "failed"
    assert readiness.checks["catalog"].status == "ok"


async def test_not_ready_while_draining_but_still_answering(service, client):
    begin_drain(service.app)
    response = await client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "draining")
    assert (await client.get("/v1/collections")).status_code == 200


async def test_metrics_count_requests_by_route_not_by_path(client):
    await client.get("/v1/collections/one")
    await client.get("/v1/collections/two")
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    assert 'route="/v1/collections/{name}"' in response.text
    assert "/v1/collections/one" not in response.text


async def test_service_opens_and_closes_its_own_resources(settings):
    app = create_app(settings, open_resources)
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost")
    early = await client.get("/readyz")
    assert (early.status_code, early.json()["code"]) == (503, "upstream_unavailable")
    async with app.router.lifespan_context(app):
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.put("/v1/collections/docs")).status_code == 201
    assert (await client.get("/readyz")).status_code == 503
    await client.aclose()


async def test_given_resources_are_left_open(service, client):
    async with service.app.router.lifespan_context(service.app):
        pass
    assert (await client.get("/v1/collections")).status_code == 200


@pytest.mark.parametrize("page", ["/", "/analytics"])
async def test_page_is_served_with_a_strict_policy(client, page):
    response = await client.get(page)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assets = re.findall(r'(?:href|src)="(static/[^"#]+)', response.text)
    assert assets
    for asset in assets:
        assert (await client.get(f"/{asset}")).status_code == 200, asset


@pytest.mark.parametrize("page", ["/", "/analytics"])
async def test_page_has_nothing_inline(client, page):
    html = (await client.get(page)).text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", html)


async def test_docs_need_no_other_host(client):
    page = await client.get("/docs")
    assert page.status_code == 200
    assets = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert assets
    for asset in assets:
        assert "//" not in asset, asset
        assert (await client.get(page.url.join(asset))).status_code == 200
    assert "unsafe-inline" not in page.headers["content-security-policy"].split("style-src")[0]


async def test_cross_origin_calls_only_from_configured_origins(tmp_path):
    settings = load_settings(
        data_dir=tmp_path,
        **FAKES,
        server={"cors_origins": ["https://site.example"]},
    )
    transport = httpx2.ASGITransport(create_app(settings, open_resources))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for origin, allowed in (("https://site.example", "https://site.example"), ("https://evil.example", None)):
            response = await client.get("/healthz", headers={"origin": origin})
            assert response.headers.get("access-control-allow-origin") == allowed
        preflight = await client.options(
            "/v1/collections/docs/search",
            headers={
                "origin": "https://site.example",
                "access-control-request-method": "POST",
                "access-control-request-headers": "content-type",
            },
        )
        assert preflight.status_code == 200
        assert preflight.headers["x-request-id"]


async def test_no_cross_origin_headers_by_default(client):
    response = await client.get("/healthz", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in response.headers
