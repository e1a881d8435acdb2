"""What a page of another site can make a browser send: nothing that is carried out, nothing that it can read."""

from __future__ import annotations

import re

import pytest

from service.cross_site import is_own

FOREIGN = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}


async def test_no_route_takes_an_unsafe_method_from_another_site(service):
    tried = 0
    for path, operations in service.app.openapi()["paths"].items():
        for method in {"post", "put", "patch", "delete"} & set(operations):
            filled = re.sub(r"\{[^}]+\}", "docs", path)
            answer = await service.client.request(method, filled, headers=FOREIGN, content=b"{}")
            assert answer.status_code == 403, (method, path)
            assert "sent this request; allow its origin in a key" in answer.text, answer.text
            tried += 1
    assert tried >= 10
    assert (await service.client.get("/v1/collections")).json()["collections"] == []


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),
        ({"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),
        ({"origin": "null"}, True),
        ({"origin": "http://127.0.0.1:3000"}, True),
        ({"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site"}, True),
        ({"origin": "https://shop.example", "sec-fetch-site": "cross-site"}, False),
        ({"origin": "https://shop.example.evil.example", "sec-fetch-site": "cross-site"}, True),
    ],
)
async def test_an_origin_decides_before_the_site_of_the_page(service, headers, refused):
    origins = ("https://shop.example",)
    callers = service.app.state.service.callers
    callers._settings = callers._settings.model_copy(update={"cors_origins": origins})
    answer = await service.client.put("/v1/collections/docs", headers=headers)
    assert answer.status_code == (403 if refused else 201), answer.text


@pytest.mark.parametrize(("mode", "status"), [("no-cors", 403), ("cors", 200), ("navigate", 200)])
async def test_a_blind_read_of_another_site_is_refused(service, mode, status):
    await service.fill("docs", [{"id": "a", "text": "copy a file"}])
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": mode}
    answer = await service.client.get("/v1/collections/docs/search?q=copy", headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/healthz", "/docs", "/openapi.json", "/v1/collections", "/none", "/metrics"])
async def test_every_answer_keeps_other_sites_from_embedding_it(service, path):
    answer = await service.client.get(path)
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_files_of_the_widget_may_be_loaded_from_anywhere(service):
    assert (await service.client.get("/widget/none.js")).headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize("path", ["/1/events", "/v1/events"])
async def test_a_beacon_is_answered_without_a_complaint_of_the_browser(service, path):
    assert (await service.client.post(path, json={})).headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("https://search.example", "search.example", True),
        ("https://search.example", "search.example:443", True),
        ("http://search.example", "search.example:443", False),
        ("http://127.0.0.1:3000", "127.0.0.1:8000", False),
        ("https://evil.example", "search.example", False),
        ("null", "search.example", False),
        ("https://[", "search.example", False),
        ("", "", False),
    ],
)
def test_an_origin_is_compared_with_the_host_it_was_sent_to(origin, host, own):
    assert is_own(origin, host) is own
