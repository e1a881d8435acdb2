"""A real site on loopback, crawled: what is found, what is asked for, and what bounds the walk."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from indexer.sources.build import open_source
from indexer.sources.site.sitemap import parse_sitemap
from indexer.sources.site.source import SiteSource
from tests.files import pdf
from tests.sources import collect
from winnow.core.marks import Mark
from winnow.core.types import Document
from winnow.ports.source import Failure, Notice, SiteOptions, SourceOptions

NUMBERS = itertools.count()

Answer = str | bytes | web.Response | Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site:
    """Pages by path; what was asked for is counted."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: Counter[str] = Counter()
        self.headers: dict[str, Any] = {}
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path_qs] += 1
        self.headers[request.path_qs] = request.headers
        found = self.pages.get(request.path_qs)
        if found is None:
            return web.Response(status=404)
        if callable(found):
            return await found(request)
        if isinstance(found, web.Response):
            return web.Response(status=found.status, headers=found.headers, body=found.body)
        return web.Response(body=found, content_type="text/html", headers={"ETag": f'"{hash(found)}"'})

    async def read(self, path: str = "/", *, state_dir: Path | None = None, **limits: Any) -> list[Document | Failure]:
        source = self.source(path, state_dir=state_dir, **limits)
        return await collect(source)

    def source(self, path: str = "/", *, state_dir: Path | None = None, **limits: Any) -> SiteSource:
        site = SiteOptions(**{"allow_private": True, "delay": 0.0} | limits)
        source = open_source(f"site:{self.url}{path}", SourceOptions(state_dir=state_dir, site=site))
        assert isinstance(source, SiteSource)
        return source

    def paths(self, items: list[Document | Failure]) -> list[str]:
        return [item.id.removeprefix(self.url) for item in items if isinstance(item, Document)]


@asynccontextmanager
async def serving() -> AsyncIterator[Site]:
    """A site on loopback, without pages yet."""
    running = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", running.answer)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.1)
    running.url = str(server.make_url("")).rstrip("/")
    try:
        yield running
    finally:
        await server.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving() as running:
        yield running


def page(*links: str, text: str = "", head: str = "") -> str:
    """A page; without ``text``, with a text that no other page has."""
    text = text or f"Some text of number {next(NUMBERS)}."
    anchors = "".join(f"<a href='{link}'>x</a>" for link in links)
    return f"<html><head>{head}</head><body><p>{text}</p>{anchors}</body></html>"


def failures(items: list[Document | Failure]) -> list[tuple[str, str]]:
    return [(item.code, item.source) for item in items if isinstance(item, Failure)]


# --- what is found -------------------------------------------------------------------------------


async def test_links_are_followed_within_the_site_and_each_page_comes_once(site: Site) -> None:
    site.pages = {
        "/": page("/b?utm_source=x", "a#part", "//other.example/x", "mailto:x@example.org", "/logo.png", "a"),
        "/a": page("/", "./b", "/c?z=1&a=2", text="Page a."),
        "/b": page("/deep/../a"),
        "/c?z=1&a=2": page("http://[broken", "javascript:void(0)"),
    }
    items = await site.read()
    assert site.paths(items) == ["/", "/b", "/a", "/c?z=1&a=2"]
    assert not failures(items)
    assert max(count for path, count in site.asked.items() if path != "/") == 1


async def test_a_page_becomes_a_document_with_address_and_title_and_without_its_scripts(site: Site) -> None:
    site.pages["/"] = (
        "<html><head><title>Mills · Site</title><script>var now = 1</script></head>"
        "<body><h1 id=top>Mills</h1><!-- note --><p>They grind.</p></body></html>"
    )
    (item,) = await site.read()
    assert isinstance(item, Document)
    assert (item.id, item.url, item.title, item.source_format) == (f"{site.url}/", f"{site.url}/", "Mills", "html")
    assert "now" not in item.text
    assert "note" not in item.text
    assert item.text == "# Mills\n\nThey grind."
    assert item.marks == (Mark(0, "anchor", "top"),)


async def test_only_what_stands_under_the_start_is_read(site: Site) -> None:
    site.pages = {
        "/docs/": page("a", "/blog/", "/docsother"),
        "/docs/a": page(),
        "/blog/": page(),
        "/docsother": page(),
    }
    assert site.paths(await site.read("/docs/")) == ["/docs/", "/docs/a"]


async def test_a_sitemap_is_taken_at_its_word(site: Site) -> None:
    site.pages = {
        "/robots.txt": f"Sitemap: {site.url}/map/index.xml",
        "/map/index.xml": f"<sitemapindex><sitemap><loc>{site.url}/map/a.xml.gz</loc></sitemap></sitemapindex>",
        "/map/a.xml.gz": gzip.compress(
            f"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'><url><loc> {site.url}/one </loc></url>"
            f"<url><loc>{site.url}/two</loc></url><url><loc>https://other.example/x</loc></url></urlset>".encode()
        ),
        "/": page("/three"),
        "/one": page("/three"),
        "/two": page(),
        "/three": page(),
    }
    source = site.source()
    assert await source.count() == 2
    items = await collect(source)
    assert site.paths(items) == ["/one", "/two"]
    assert site.asked["/map/index.xml"] == 1


@pytest.mark.parametrize(
    "bad", [b"<urlset><url><loc>", b"<html>no map", gzip.compress(bytes(60 * 2**20)), b"\x1f\x8bbad"]
)
async def test_a_bad_sitemap_is_named_and_the_links_are_followed(site: Site, bad: bytes) -> None:
    site.pages = {"/robots.txt": f"Sitemap: {site.url}/map.xml", "/map.xml": bad, "/": page("/a"), "/a": page()}
    items = await site.read()
    assert site.paths(items) == ["/", "/a"]
    assert failures(items) == [("invalid_sitemap", f"{site.url}/map.xml")]


@pytest.mark.parametrize("entity", ['"stolen"', 'SYSTEM "file://{secret}"'])
def test_entities_of_a_sitemap_are_not_resolved(tmp_path: Path, entity: str) -> None:
    (tmp_path / "secret").write_text("stolen")
    declared = f"<!DOCTYPE u [<!ENTITY e {entity.format(secret=tmp_path / 'secret')}>]>"
    found = parse_sitemap(f"{declared}<urlset><url><loc>https://x.org/&e;</loc></url></urlset>".encode())
    assert found.pages == ["https://x.org/"]


async def test_pdfs_of_a_site_are_read(site: Site) -> None:
    site.pages = {
        "/": page("/a.pdf", "/bad.pdf"),
        "/a.pdf": web.Response(body=pdf(["Stones."], title="Mills"), content_type="application/pdf"),
        "/bad.pdf": web.Response(body=b"nonsense", content_type="application/pdf"),
    }
    items = await site.read()
    document = next(item for item in items if isinstance(item, Document) and item.id.endswith("a.pdf"))
    assert (document.title, document.text, document.marks) == ("Mills", "Stones.", (Mark(0, "page", 1),))
    assert failures(items) == [("damaged", f"{site.url}/bad.pdf")]


# --- what the site asks for ----------------------------------------------------------------------


async def test_robots_txt_is_obeyed(site: Site) -> None:
    site.pages = {
        "/robots.txt": "User-agent: *\nDisallow: /\n\nUser-agent: Winnow\nDisallow: /private\nCrawl-delay: 0.01",
        "/": page("/private/a", "/a"),
        "/a": web.Response(status=302, headers={"Location": "/private/b"}),
        "/private/a": page(),
        "/private/b": page(),
    }
    assert site.paths(await site.read()) == ["/"]
    assert not [path for path in site.asked if path.startswith("/private")]


@pytest.mark.parametrize(
    ("robots", "code"),
    [
        (web.Response(body=b"User-agent: *\nDisallow: /"), "robots_denied"),
        (web.Response(status=500), "server_error"),
    ],
)
async def test_a_site_that_forbids_everything_is_left_alone(site: Site, robots: web.Response, code: str) -> None:
    site.pages = {"/robots.txt": robots, "/": page()}
    assert failures(await site.read(attempts=1)) == [(code, f"site:{site.url}/")]
    assert site.asked["/"] == 0


async def test_pages_say_themselves_whether_they_are_indexed_and_followed(site: Site) -> None:
    site.pages = {
        "/": page("/noindex", "/nofollow", "/header", '/skipped" rel="nofollow'),
        "/noindex": page("/from-noindex", head='<meta name="robots" content="noindex">'),
        "/nofollow": page("/from-nofollow", head='<meta content="NOFOLLOW" name="ROBOTS">'),
        "/header": web.Response(body=page().encode(), content_type="text/html", headers={"X-Robots-Tag": "none"}),
        "/from-noindex": page(),
        "/from-nofollow": page(),
        "/skipped": page(),
    }
    assert site.paths(await site.read()) == ["/", "/nofollow", "/from-noindex"]


async def test_directives_for_another_crawler_are_not_ours(site: Site) -> None:
    def tagged(*tags: str) -> web.Response:
        response = web.Response(body=page().encode(), content_type="text/html")
        for tag in tags:
            response.headers.add("X-Robots-Tag", tag)
        return response

    site.pages = {
        "/": page("/other", "/both", "/ours", "/late"),
        "/other": tagged("googlebot: noindex"),
        "/both": tagged("googlebot: nofollow", "noindex"),
        "/ours": tagged("Winnow: noindex"),
        "/late": tagged("unavailable_after: 1 Jan 2030, noindex"),
    }
    assert site.paths(await site.read()) == ["/", "/other"]


async def test_an_address_of_another_type_and_damaged_pages_do_not_end_a_run(site: Site) -> None:
    site.pages = {
        "/": page("/api", "/download", "/bytes", "/last"),
        "/api": web.Response(body=b"{}", content_type="application/json"),
        "/download": web.Response(body=b"PK", content_type="application/octet-stream"),
        "/bytes": web.Response(body=b"\x00\x01\x02" * 99, content_type="text/html"),
        "/last": page(),
    }
    read = await site.read()
    assert site.paths([item for item in read if isinstance(item, Document)]) == ["/", "/last"]
    assert [code for code, _ in failures(read)] == ["no_text"]


async def test_a_page_is_known_by_its_canonical_address(site: Site) -> None:
    site.pages = {
        "/": page("/a?sort=up", "/a?sort=down", "/b"),
        "/a?sort=up": page(head='<link rel="canonical" href="/a">', text="The one."),
        "/a?sort=down": page(head='<link rel="canonical" href="/a">', text="The  one."),
        "/a": page(head='<link rel="canonical" href="/a">', text="The one."),
        "/b": page(head='<link rel="canonical" href="/gone">'),
    }
    read = await site.read()
    assert site.paths(read) == ["/", "/a", "/b", "/a"]
    assert read[-1].metadata == {"other_urls": [f"{site.url}/a?sort={way}" for way in ("down", "up")]}


async def test_a_canonical_address_with_another_text_is_not_believed(site: Site) -> None:
    canonical = f'<link rel="canonical" href="{site.url}/">'
    names = ("oats", "spelt", "barley")
    site.pages = {"/": page(*(f"/{name}" for name in names), text="Home about wheat.", head=canonical)}
    site.pages |= {f"/{name}": page(text=f"All about {name}.", head=canonical) for name in names}
    items = [item async for item in site.source().read()]
    assert site.paths([item for item in items if not isinstance(item, Notice)]) == ["/", "/oats", "/spelt", "/barley"]
    notices = [item for item in items if isinstance(item, Notice)]
    assert {(notice.code, notice.count) for notice in notices} == {("canonical_conflict", 1)}


async def test_addresses_with_the_same_text_are_one_document(site: Site) -> None:
    same = page(text="The same text.")
    site.pages = {"/": page("/a", "/a/", "/A", "/p?print", "/p?print=")} | dict.fromkeys(
        ("/a", "/a/", "/A", "/p?print"), same
    )
    items = [item async for item in site.source().read()]
    documents = [item for item in items if not isinstance(item, Notice)]
    assert site.paths(documents) == ["/", "/a", "/a"]
    assert documents[-1].metadata == {"other_urls": [f"{site.url}{path}" for path in ("/A", "/a/", "/p?print")]}
    (notice,) = (item for item in items if isinstance(item, Notice))
    assert (notice.code, notice.source, notice.count) == ("duplicates", f"{site.url}/a", 3)


async def test_other_addresses_are_known_at_the_next_run_and_a_page_comes_once(site: Site, tmp_path: Path) -> None:
    same = page(text="The same text.")
    site.pages = {"/": page("/a", "/b", "/c"), "/a": same, "/b": same, "/c": page(text="Another text.")}
    others = []
    for _ in range(2):
        read = await site.read(state_dir=tmp_path)
        others.append([(each.url.removeprefix(site.url), each.metadata) for each in read if each.url.endswith("/a")])
    folded = {"other_urls": [f"{site.url}/b"]}
    assert others == [[("/a", {}), ("/a", folded)], [("/a", folded)]]
    site.pages["/b"] = page(text="A text of its own.")
    read = await site.read(state_dir=tmp_path)
    assert (site.paths(read), read[-1].metadata) == (["/", "/a", "/b", "/c", "/a"], {})


async def test_a_page_of_nearly_the_same_text_is_folded_but_not_another_version(site: Site) -> None:
    words = " ".join(f"word{number}" for number in range(600))
    site.pages = {
        "/": page("/one", "/print", "/v2", "/short", "/short2"),
        "/one": page(text=f"{words} of version 1 and back"),
        "/print": page(text=f"{words} of version 1 and home"),
        "/v2": page(text=f"{words} of version 2 and back"),
        "/short": page(text="A red shirt of cotton."),
        "/short2": page(text="A blue shirt of cotton."),
    }
    read = await site.read()
    assert site.paths(read) == ["/", "/one", "/v2", "/short", "/short2", "/one"]
    assert read[-1].metadata == {"other_urls": [f"{site.url}/print"]}


async def test_a_page_that_sends_its_readers_on_is_followed_and_not_read(site: Site) -> None:
    refresh = '<meta http-equiv="refresh" content="0; url=en/latest/"><title>Redirecting</title>'
    site.pages = {
        "/": page(text="Redirecting…", head=refresh),
        "/en/latest/": page("a.html"),
        "/en/latest/a.html": page(),
    }
    assert site.paths(await site.read()) == ["/en/latest/", "/en/latest/a.html"]


async def test_a_mark_and_relative_addresses_in_robots_and_sitemap_are_understood(site: Site) -> None:
    site.pages = {
        "/robots.txt": b"\xef\xbb\xbfUser-agent: *\nDisallow: /private/\nSitemap: /map.xml\n",
        "/map.xml": "<urlset><url><loc>/one</loc></url><url><loc>/private/a</loc></url></urlset>",
        "/": page(),
        "/one": page(),
        "/private/a": page(),
    }
    assert site.paths(await site.read()) == ["/one"]
    assert not site.asked["/private/a"]


async def test_a_page_that_may_no_longer_be_indexed_goes_though_it_did_not_change(site: Site, tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match") == '"1"':
            return web.Response(status=304, headers={"X-Robots-Tag": "noindex"})
        return web.Response(text=page(text="Text."), content_type="text/html", headers={"ETag": '"1"'})

    site.pages = {"/": page("/a"), "/a": answer}
    assert site.paths(await site.read(state_dir=tmp_path)) == ["/", "/a"]
    assert site.paths(await site.read(state_dir=tmp_path)) == ["/"]


async def test_an_unchanged_page_is_not_sent_again(site: Site, tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        known = request.headers.get("If-None-Match") == '"1"'
        return (
            web.Response(status=304)
            if known
            else web.Response(body=page("/a", "/b").encode(), content_type="text/html", headers={"ETag": '"1"'})
        )

    site.pages = {"/": answer, "/a": page(text="Old."), "/b": page()}
    first = await site.read(state_dir=tmp_path)
    site.pages["/a"] = page(text="New.")
    second = await site.read(state_dir=tmp_path)
    assert site.headers["/"]["If-None-Match"] == '"1"'
    assert site.paths(first) == site.paths(second) == ["/", "/a", "/b"]
    assert first[0] == second[0]
    assert [isinstance(item, Document) and "New." in item.text for item in second] == [False, True, False]


async def test_a_crawl_that_was_cut_short_goes_on_where_it_was(site: Site, tmp_path: Path) -> None:
    site.pages = {"/": page(*(f"/{n:c}" for n in range(97, 117)))} | {f"/{n:c}": page() for n in range(97, 117)}

    items = site.source(state_dir=tmp_path, concurrency=1).read()
    for _ in range(10):
        await anext(items)
    await items.aclose()
    before = site.asked.copy()
    assert 10 <= sum(before.values()) < 20
    resumed = await site.read(state_dir=tmp_path)
    assert len(site.paths(resumed)) == 21
    again = site.asked - before
    assert not [path for path in "abcdefgh" if again[f"/{path}"]]


# --- what bounds the walk ------------------------------------------------------------------------


async def test_an_endless_calendar_is_bounded_and_named(site: Site) -> None:
    async def month(request: web.Request) -> web.StreamResponse:
        number = int(request.path.rpartition("/")[2])
        body = page(
            f"/calendar/{number + 1}",
            f"/calendar/{number}?view=week&day={number}",
            text=f"Month {number}, {request.path_qs}",
        )
        return web.Response(text=body, content_type="text/html")

    class Endless(dict[str, Answer]):
        def get(self, key: str, default: Any = None) -> Any:
            return month if key.startswith("/calendar/") else super().get(key, default)

    site.pages = Endless({"/": page("/calendar/1", "/last"), "/last": page()})
    items = await site.read(max_variants=10)
    assert len(site.paths(items)) == 2 + 10 + 10
    assert {code for code, _ in failures(items)} == {"too_many_variants"}
    assert all(item.document_id for item in items if isinstance(item, Failure))
    assert len(site.paths(await site.read(max_depth=3))) == 1 + 1 + 3 + 2


async def test_a_crawl_stops_at_its_limit_of_pages_and_says_so(site: Site) -> None:
    site.pages = {"/": page(*(f"/{n:c}" for n in range(97, 117)))} | {f"/{n:c}": page() for n in range(97, 117)}
    items = await site.read(max_pages=5)
    assert len(site.paths(items)) == 5
    (failure,) = (item for item in items if isinstance(item, Failure))
    assert (failure.code, failure.document_id) == ("page_limit", "")


async def test_what_a_crawl_did_not_get_to_stays_known(site: Site, tmp_path: Path) -> None:
    site.pages = {"/": page("/a", "/b"), "/a": page(), "/b": page()}
    await site.read(state_dir=tmp_path)
    await site.read(state_dir=tmp_path, max_pages=1)
    await site.read(state_dir=tmp_path)
    assert "If-None-Match" in site.headers["/b"]


async def test_a_server_that_trickles_costs_its_page_only(site: Site) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/html"})
        await response.prepare(request)
        while True:
            await response.write(b"a")
            await asyncio.sleep(0.01)

    site.pages = {"/": page("/slow", "/a"), "/slow": trickle, "/a": page()}
    items = await site.read(page_seconds=0.5)
    assert site.paths(items) == ["/", "/a"]
    assert failures(items) == [("too_slow", f"{site.url}/slow")]


async def test_a_server_that_trickles_its_headers_costs_its_page_only(site: Site) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
        while not request.transport.is_closing():
            request.transport.write(b"a")
            await asyncio.sleep(0.01)
        return web.Response()

    site.pages = {"/": page("/slow", "/a"), "/slow": trickle, "/a": page()}
    items = await site.read(page_seconds=0.5)
    assert site.paths(items) == ["/", "/a"]
    assert failures(items) == [("too_slow", f"{site.url}/slow")]


async def test_a_busy_site_is_asked_again_when_it_says(site: Site) -> None:
    async def busy(request: web.Request) -> web.StreamResponse:
        if site.asked["/"] < 3:  # the start is looked up before it is read
            return web.Response(status=429, headers={"Retry-After": "0"})
        return web.Response(text=page("/later"), content_type="text/html")

    site.pages = {"/": busy, "/later": web.Response(status=503, headers={"Retry-After": "86400"})}
    items = await site.read()
    assert site.paths(items) == ["/"]
    assert failures(items) == [("busy", f"{site.url}/later")]
    assert site.asked["/later"] == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (web.Response(body=bytes(3000), content_type="text/html"), "too_large"),
        (
            web.Response(
                body=gzip.compress(bytes(10_000_000)), headers={"Content-Encoding": "gzip", "Content-Type": "text/html"}
            ),
            "too_large",
        ),
        (web.Response(status=403), "refused"),
        (web.Response(status=302, headers={"Location": "/bad"}), "too_many_redirects"),
        (web.Response(status=302, headers={"Location": "file:///etc/passwd"}), "redirect_refused"),
        (web.Response(body=b"<html><div id=app></div><script>draw()</script>", content_type="text/html"), "no_text"),
    ],
)
async def test_a_bad_page_is_named_with_its_id_and_the_rest_is_read(site: Site, answer: Answer, code: str) -> None:
    site.pages = {"/": page("/bad", "/a"), "/bad": answer, "/a": page()}
    items = await site.read(max_page_bytes=2000)
    assert site.paths(items) == ["/", "/a"]
    (failure,) = (item for item in items if isinstance(item, Failure))
    assert (failure.code, failure.document_id) == (code, f"{site.url}/bad")


async def test_a_site_that_goes_down_is_left_alone(site: Site) -> None:
    names = [f"/{n:c}{m:c}" for n in range(97, 107) for m in range(97, 107)]
    site.pages = {"/": page(*names)} | {name: web.Response(status=500) for name in names}
    items = await site.read(attempts=1)
    assert ("site_down", f"{site.url}/") in failures(items)
    assert sum(site.asked.values()) < 40


async def test_pages_that_fail_for_once_keep_what_hangs_on_them(site: Site, tmp_path: Path) -> None:
    site.pages = {"/": page("/a"), "/a": page("/b"), "/b": page()}
    await site.read(state_dir=tmp_path)
    site.pages["/a"] = web.Response(status=500)
    items = await site.read(state_dir=tmp_path, attempts=1)
    assert site.paths(items) == ["/", "/b"]
    assert [item.document_id for item in items if isinstance(item, Failure)] == [f"{site.url}/a"]


async def test_a_page_that_is_gone_is_no_failure(site: Site) -> None:
    site.pages = {"/": page("/gone", "/a"), "/a": page()}
    items = await site.read()
    assert site.paths(items) == ["/", "/a"]
    assert not failures(items)


async def test_a_crawl_that_is_cancelled_closes_its_requests(site: Site) -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        asked.set()
        try:
            await asyncio.sleep(60)
        finally:
            closed.set()  # the server cancels a handler whose client is gone
        return web.Response()

    site.pages = {"/": page("/slow"), "/slow": hang}
    task = asyncio.create_task(site.read())
    await asyncio.wait_for(asked.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(closed.wait(), 10)
