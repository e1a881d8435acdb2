"""The service under a path prefix, behind a proxy that strips it or does not."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import httpx2
import pytest

from service.app import create_app

ADDRESS = re.compile(r"""(?:href|src)="([^"#]+)"|url: '([^']+)'""")


def client_of(service, **server):
    settings = service.resources.settings
    settings = settings.model_copy(update={"server": settings.server.model_copy(update=server)})
    app = create_app(settings, service.resources)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1")


@pytest.fixture(params=["strips", "keeps"])
async def behind(request, service):
    """A function that gets a path as browsers see it, through a proxy under /tools/search."""
    strips = request.param == "strips"
    headers = {"X-Forwarded-Prefix": "/tools/search"} if strips else {}
    async with client_of(service, **({} if strips else {"root_path": "/tools/search"})) as client:

        async def get(path):
            assert path.startswith("/tools/search"), path
            return await client.get(path.removeprefix("/tools/search") if strips else path, headers=headers)

        yield get


@pytest.mark.parametrize("page", ["/tools/search/", "/tools/search/docs", "/tools/search/analytics"])
async def test_every_address_of_a_page_stays_under_the_prefix(behind, page):
    answer = await behind(page)
    assert answer.status_code == 200
    found = [first or second for first, second in ADDRESS.findall(answer.text)]
    assert len(found) >= 4
    for address in found:
        assert (await behind(urljoin(f"http://host{page}", address).removeprefix("http://host"))).status_code == 200


async def test_the_description_names_the_prefix(behind):
    assert (await behind("/tools/search/openapi.json")).json()["servers"][0]["url"] == "/tools/search"
    assert (await behind("/tools/search/v1/collections")).status_code == 200


async def test_a_configured_prefix_is_stripped_or_not(service):
    async with client_of(service, root_path="/tools") as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/tools/healthz")).status_code == 200
        assert (await client.get("/toolshed/healthz")).status_code == 404
        assert (await client.get("/tools")).headers["location"].endswith("/tools/")


async def test_a_forwarded_prefix_is_never_taken_off_a_path(service):
    async with client_of(service) as client:
        answer = await client.get("/open/metrics", headers={"X-Forwarded-Prefix": "/open"})
        assert answer.status_code == 404
        for odd in ("//evil.example", "/a b", "/../x", "https://evil.example"):
            schema = (await client.get("/openapi.json", headers={"X-Forwarded-Prefix": odd})).json()
            assert "servers" not in schema
