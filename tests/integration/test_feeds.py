"""A real feed on loopback: what becomes a document, what is asked for again, and what bounds it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from indexer.sources.build import open_source
from tests.files import pdf
from tests.integration.test_site_crawl import Site, serving
from tests.sources import collect
from winnow.core.errors import InvalidSource
from winnow.core.types import Document
from winnow.ports.source import Failure, SiteOptions, Source, SourceOptions

RSS = """<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>Mills</title><link>{home}</link>{items}</channel></rss>"""
WHOLE = """<item><title>Stones &amp;amp; sails</title><guid isPermaLink="false">whole</guid><link>{home}/whole</link>
<pubDate>Mon, 02 Mar 2026 10:00:00 +0100</pubDate><category>craft</category><description>Short.</description>
<content:encoded><![CDATA[<h2>Stones</h2><p>They <b>grind</b>.</p><script>x()</script>]]></content:encoded></item>"""
SUMMARY = """<item><title>Sieves</title><link>{home}/sieves</link><description>A teaser …</description></item>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Mills</title><id>urn:feed</id><entry><id>urn:1</id>
<title type="html">Bran &lt;b&gt;and&lt;/b&gt; flour</title><updated>2026-03-02T10:00:00Z</updated>
<author><name>Miller</name></author><link href="/bran"/><content type="text">Bran is kept.</content></entry></feed>"""


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving() as running:
        yield running


def feed(site: Site, *items: str, home: str = "") -> web.Response:
    home = home or site.url
    body = RSS.format(home=home, items="".join(items).replace("{home}", site.url))
    return web.Response(body=body.encode(), content_type="application/rss+xml", headers={"ETag": f'"{hash(body)}"'})


def answering_304(site: Site, response: web.Response) -> Any:
    """Answers like a server that knows the ETag that it sent."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match") == response.headers["ETag"]:
            return web.Response(status=304)
        return web.Response(status=200, headers=response.headers, body=response.body)

    return answer


def source(site: Site, state_dir: Path | None = None, path: str = "/feed.xml", **limits: Any) -> Source:
    options = SiteOptions(**{"allow_private": True, "delay": 0.0, "attempts": 1} | limits)
    return open_source(f"feed:{site.url}{path}", SourceOptions(state_dir=state_dir, site=options))


async def test_entries_are_documents_with_their_own_content_or_that_of_their_page(site: Site) -> None:
    site.pages["/feed.xml"] = feed(site, WHOLE, SUMMARY)
    head = "<!doctype html><title>T</title><nav>Menu</nav>"
    site.pages["/sieves"] = f"{head}<main><h1>Sieves of silk</h1><p>They sift.</p></main>"
    whole, sieves = await collect(source(site))
    assert isinstance(whole, Document)
    assert (whole.id, whole.url, whole.title) == ("whole", f"{site.url}/whole", "Stones & sails")
    assert whole.text == "## Stones\n\nThey grind."
    assert whole.metadata == {"published": "2026-03-02T09:00:00Z", "tags": ["craft"]}
    assert isinstance(sieves, Document)
    assert (sieves.id, sieves.title) == (f"{site.url}/sieves", "Sieves")
    assert sieves.text == "# Sieves of silk\n\nThey sift."
    assert not site.asked["/whole"]


async def test_atom_is_read_as_well(site: Site) -> None:
    site.pages["/feed.xml"] = web.Response(body=ATOM.encode(), content_type="application/atom+xml")
    (entry,) = await collect(source(site))
    assert isinstance(entry, Document)
    assert (entry.id, entry.title, entry.url) == ("urn:1", "Bran and flour", f"{site.url}/bran")
    assert (entry.text, entry.metadata["author"]) == ("Bran is kept.", "Miller")


async def test_what_is_unchanged_is_not_sent_again(site: Site, tmp_path: Path) -> None:
    page = web.Response(body=b"<main><p>They sift.</p></main>", content_type="text/html", headers={"ETag": '"1"'})
    site.pages["/feed.xml"] = answering_304(site, feed(site, WHOLE, SUMMARY))
    site.pages["/sieves"] = answering_304(site, page)
    first = await collect(source(site, tmp_path))
    assert await collect(source(site, tmp_path)) == first
    assert site.headers["/feed.xml"]["If-None-Match"]
    assert site.headers["/sieves"]["If-None-Match"] == '"1"'


async def test_nothing_of_a_feed_counts_as_gone(site: Site) -> None:
    assert not source(site).is_complete


async def test_a_page_that_cannot_be_read_leaves_the_summary_with_a_warning(site: Site) -> None:
    site.pages["/feed.xml"] = feed(site, SUMMARY)
    (sieves,) = await collect(source(site))
    assert isinstance(sieves, Document)
    assert sieves.text == "A teaser …"
    assert [warning.code for warning in sieves.warnings] == ["page_unread"]


async def test_pages_on_other_hosts_are_not_fetched(site: Site) -> None:
    elsewhere = SUMMARY.replace("{home}", "http://other.example")
    bare = '<item><guid isPermaLink="false">bare</guid><link>http://other.example/x</link></item>'
    site.pages["/feed.xml"] = feed(site, elsewhere, bare)
    summary, nothing = await collect(source(site))
    assert isinstance(summary, Document)
    assert (summary.text, summary.warnings) == ("A teaser …", ())
    assert isinstance(nothing, Failure)
    assert (nothing.code, nothing.document_id) == ("no_text", "bare")


async def test_robots_txt_is_obeyed(site: Site) -> None:
    site.pages["/robots.txt"] = "User-agent: *\nDisallow: /sieves"
    site.pages["/feed.xml"] = feed(site, SUMMARY)
    site.pages["/sieves"] = "<main><p>Private.</p></main>"
    (sieves,) = await collect(source(site))
    assert isinstance(sieves, Document)
    assert sieves.text == "A teaser …"
    site.pages["/robots.txt"] = "User-agent: *\nDisallow: /"
    (failure,) = await collect(source(site))
    assert isinstance(failure, Failure)
    assert (failure.code, failure.document_id) == ("robots_denied", "")


async def test_an_entry_may_link_to_a_pdf(site: Site) -> None:
    site.pages["/feed.xml"] = feed(site, SUMMARY)
    site.pages["/sieves"] = web.Response(body=pdf(["Sieves in print."]), content_type="application/pdf")
    (sieves,) = await collect(source(site))
    assert isinstance(sieves, Document)
    assert (sieves.text, sieves.source_format) == ("Sieves in print.", "pdf")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><link rel=alternate type='application/rss+xml' href='/rss'>", "the page names feed:http"),
        (b"not XML at all", "neither RSS nor Atom"),
        (b"<?xml version='1.0'?><other/>", "neither RSS nor Atom"),
    ],
)
async def test_what_is_not_a_feed_is_refused_by_name(site: Site, body: bytes, words: str) -> None:
    site.pages["/feed.xml"] = web.Response(body=body, content_type="text/html")
    (failure,) = await collect(source(site))
    assert isinstance(failure, Failure)
    assert (failure.code, failure.document_id) == ("not_a_feed", "")
    assert words in failure.message


async def test_entities_of_a_feed_reach_no_file_and_do_not_grow(site: Site) -> None:
    bomb = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    head = f'<!DOCTYPE rss [<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY l0 "ha">{bomb}]>'
    item = "<item><guid>a</guid><title>A</title><description>Text &f; &l11; end</description></item>"
    body = f'<?xml version="1.0"?>{head}<rss version="2.0"><channel>{item}</channel></rss>'
    site.pages["/feed.xml"] = web.Response(body=body.encode(), content_type="application/rss+xml")
    items = await collect(source(site))
    assert all(len(item.text) < 1000 and "root:" not in item.text for item in items if isinstance(item, Document))
    assert len(items) == 1


async def test_private_addresses_are_refused(site: Site) -> None:
    site.pages["/feed.xml"] = feed(site, WHOLE)
    (failure,) = await collect(source(site, allow_private=False))
    assert isinstance(failure, Failure)
    assert failure.code == "address_refused"


async def test_the_number_of_entries_is_bounded(site: Site) -> None:
    items = [f"<item><guid>{n}</guid><description>Text {n}.</description></item>" for n in range(5)]
    site.pages["/feed.xml"] = feed(site, *items)
    found = await collect(source(site, max_pages=3))
    assert [type(item) for item in found] == [Document] * 3 + [Failure]
    assert isinstance(found[-1], Failure)
    assert found[-1].code == "page_limit"


def test_what_is_not_an_address_is_refused() -> None:
    with pytest.raises(InvalidSource, match="write feed:https://"):
        open_source("feed:ftp://example.org/x")
