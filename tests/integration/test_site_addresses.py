"""What a page names must not reach into the network that the crawler stands in."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from indexer.sources.build import open_source
from indexer.sources.site import addresses, fetch
from indexer.sources.site.addresses import is_public
from tests.sources import collect
from winnow.core.types import Document
from winnow.ports.source import Failure, SiteOptions, SourceOptions

NAMES = {"public.test": "127.0.0.1", "private.test": "127.0.0.2", "metadata.test": "169.254.169.254"}


@pytest.mark.parametrize(
    "address",
    """127.0.0.1 127.1.2.3 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 192.0.0.1 198.18.0.1
    224.0.0.1 240.0.0.1 255.255.255.255 ::1 :: ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 fe80::1 fe80::1%eth0
    fc00::1 fec0::1 ff02::1 2002:7f00:1:: 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 2001:db8::1""".split(),
)
def test_private_addresses_are_told_in_every_spelling(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public_addresses_are_told(address: str) -> None:
    assert is_public(address)


class Servers:
    """A public site on 127.0.0.1 and a private one on 127.0.0.2, as far as the crawler can tell."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.location = ""
        self.port = 0

    async def public(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/away" or (request.path == "/" and self.location and not request.query):
            return web.Response(status=302, headers={"Location": self.location})
        body = "<html><body>Public text. <a href='/away'>x</a></body></html>"
        return web.Response(text=body, content_type="text/html", status=404 if request.path == "/robots.txt" else 200)

    async def private(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        return web.Response(text="secret", content_type="text/html")


@pytest.fixture
async def servers(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Servers]:
    running = Servers()
    apps = web.Application(), web.Application()
    apps[0].router.add_get("/{path:.*}", running.public)
    apps[1].router.add_get("/{path:.*}", running.private)
    with socket.create_server(("127.0.0.1", 0)) as free:
        running.port = free.getsockname()[1]
    started = [TestServer(apps[0], host="127.0.0.1", port=running.port)]
    started.append(TestServer(apps[1], host="127.0.0.2", port=running.port))
    for server in started:
        await server.start_server()
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real(NAMES.get(host, host), *rest, **more))

    def only_one(address: str) -> bool:
        return address == "127.0.0.1" or is_public(address)

    monkeypatch.setattr(addresses, "is_public", only_one)
    monkeypatch.setattr(fetch, "is_public", only_one)
    yield running
    for server in started:
        await server.close()


async def read(url: str, **options: Any) -> list[Document | Failure]:
    source = open_source(f"site:{url}", SourceOptions(site=SiteOptions(delay=0.0, attempts=1, **options)))
    return await collect(source)


def refusals(items: list[Document | Failure]) -> list[str]:
    return [item.message for item in items if isinstance(item, Failure) and item.code == "address_refused"]


async def test_the_servers_of_these_tests_can_be_reached(servers: Servers) -> None:
    (item, _) = await read(f"http://public.test:{servers.port}/?start=1")
    assert isinstance(item, Document)
    assert [item for item in await read(f"http://private.test:{servers.port}/", allow_private=True) if item]
    assert servers.asked


@pytest.mark.parametrize(
    "host", ["127.0.0.2", "private.test", "localhost6.test", "[::1]", "[::ffff:127.0.0.2]", "2130706434", "0x7f.2"]
)
async def test_a_private_start_is_refused_and_never_contacted(
    servers: Servers, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NAMES, "localhost6.test", "::1")
    (failure,) = await read(f"http://{host}:{servers.port}/")
    assert isinstance(failure, Failure)
    assert failure.code in {"address_refused", "invalid_address"}
    assert not servers.asked


async def test_a_refusal_says_how_to_permit_it(servers: Servers) -> None:
    (message,) = refusals(await read(f"http://private.test:{servers.port}/"))
    assert message.startswith("private.test is 127.0.0.2")
    assert "--allow-private" in message


@pytest.mark.parametrize("target", ["http://127.0.0.2:{port}/", "http://169.254.169.254/latest/", "http://[::1]/"])
async def test_a_redirect_to_a_private_address_is_refused_and_named(servers: Servers, target: str) -> None:
    servers.location = target.format(port=servers.port)
    items = await read(f"http://public.test:{servers.port}/?start=1")
    assert [isinstance(item, Document) for item in items] == [True, False]
    assert len(refusals(items)) == 1
    assert not servers.asked


@pytest.mark.parametrize("host", ["private.test", "metadata.test"])
async def test_a_redirect_of_the_start_to_a_name_of_a_private_address_is_refused(servers: Servers, host: str) -> None:
    servers.location = f"http://{host}:{servers.port}/"
    assert len(refusals(await read(f"http://public.test:{servers.port}/"))) == 1
    assert not servers.asked


async def test_a_name_that_changes_to_a_private_address_is_refused(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket is checked where it is made, whatever a resolver said before."""

    async def lie(*arguments: Any, **more: Any) -> Any:
        return [{"hostname": "x", "host": "127.0.0.2", "port": servers.port, "family": 2, "proto": 0, "flags": 0}]

    monkeypatch.setattr(addresses._PublicResolver, "resolve", lie)
    assert len(refusals(await read(f"http://public.test:{servers.port}/"))) == 1
    assert not servers.asked


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://127.0.0.2/", "http://user:pw@public.test/"])
async def test_a_redirect_to_another_scheme_is_refused(servers: Servers, location: str) -> None:
    servers.location = location
    items = await read(f"http://public.test:{servers.port}/?start=1")
    assert [item.code for item in items if isinstance(item, Failure)] == ["redirect_refused"]
