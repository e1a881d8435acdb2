"""One spelling for each page, and what belongs to a site."""

from __future__ import annotations

import pytest

from indexer.sources.site.fetch import FetchedPage
from indexer.sources.site.page import read_page
from indexer.sources.site.urls import Scope, is_media, normalise, shape_of
from winnow.core.errors import InvalidSource


@pytest.mark.parametrize(
    ("href", "url"),
    [
        ("HTTPS://Example.ORG:443/a/../b#c", "https://example.org/b"),
        ("https://example.org", "https://example.org/"),
        ("/x?b=2&a=1&utm_source=n&gclid=9&PHPSESSID=1", "https://example.org/x?b=2&a=1"),
        ("/p?print", "https://example.org/p?print"),
        ("/p?utm_source=x", "https://example.org/p"),
        ("?page=2&q=", "https://example.org/docs/?page=2&q="),
        ("?keyword=a&uid=3&ref=b", "https://example.org/docs/?keyword=a&uid=3&ref=b"),
        (" ../ü b ", "https://example.org/%C3%BC%20b"),
        ("a;jsessionid=12AB", "https://example.org/docs/a"),
        ("//other.org/x", "https://other.org/x"),
        ("mailto:x@example.org", ""),
        ("javascript:alert(1)", ""),
        ("file:///etc/passwd", ""),
        ("https://user:pw@example.org/", ""),
        ("http://[broken", ""),
        ("http://example.org:99999/", ""),
        ("/" + "a" * 600, ""),
    ],
)
def test_an_address_has_one_spelling(href: str, url: str) -> None:
    assert normalise(href, "https://example.org/docs/") == url
    assert not url or normalise(url) == url


@pytest.mark.parametrize(
    ("start", "inside", "outside"),
    [
        ("https://x.org/", ["https://x.org/", "https://x.org/a", "http://x.org/a"], ["https://www.x.org/"]),
        ("https://x.org/docs", ["https://x.org/docs", "https://x.org/docs/a"], ["https://x.org/docsother"]),
        ("https://x.org/docs/a.html", ["https://x.org/docs/b"], ["https://x.org/"]),
        ("http://x.org:8080/", ["http://x.org:8080/a"], ["http://x.org/a", "https://x.org:8081/"]),
    ],
)
def test_a_site_is_a_host_and_what_stands_under_a_path(start: str, inside: list[str], outside: list[str]) -> None:
    scope = Scope.of(start)
    assert all(scope.claim(url) for url in inside)
    assert not any(scope.claim(url) for url in outside)


def test_pages_of_the_other_scheme_are_the_same_pages() -> None:
    assert Scope.of("https://x.org/").claim("http://x.org/a?b=1") == "https://x.org/a?b=1"


@pytest.mark.parametrize("start", ["ftp://x.org/", "x.org", "http:///a"])
def test_what_is_no_site_is_refused(start: str) -> None:
    with pytest.raises(InvalidSource, match="site:https://"):
        Scope.of(start)


def test_addresses_that_a_program_makes_have_one_shape() -> None:
    assert shape_of("https://x.org/2026/11?day=3&view=a") == shape_of("https://x.org/1999/1?view=b&day=30")
    assert shape_of("https://x.org/2026/11?day=3") != shape_of("https://x.org/2026/other?day=3")


def test_media_is_told_by_its_ending() -> None:
    assert is_media("https://x.org/logo.PNG?v=1")
    assert not is_media("https://x.org/manual.pdf")
    assert not is_media("https://x.org/v1.2")


def test_a_base_element_changes_where_links_lead() -> None:
    body = b"""<html><head><base href='/other/'></head><p>Text.
        <a href='x'>1</a><A HREF="y?a=1&amp;b=2">2</A><!-- <a href='no'> -->"""
    links = read_page(FetchedPage("https://x.org/docs/", "text/html", body)).links
    assert links == ("https://x.org/other/x", "https://x.org/other/y?a=1&b=2")


@pytest.mark.parametrize(
    "unit",
    ["<script>", "<!--", "<a href=", "<a href='", "<svg ", "<base href=//[>", "<meta name=robots content=", "<a\n"],
)
def test_hostile_markup_is_read_to_its_end(unit: str) -> None:
    """Within the limit of time for a test: quadratic reading would take hours."""
    page = read_page(FetchedPage("https://x.org/", "text/html", b"<p>Text.</p>" + unit.encode() * 200_000))
    assert page.url == "https://x.org/"


@pytest.mark.parametrize(
    ("content", "refresh"),
    [
        ("0; url=en/latest/", "https://x.org/docs/en/latest/"),
        ("0;URL='/start'", "https://x.org/start"),
        ("3", ""),
        ("600; url=/later", ""),
        ("0; url=https://x.org/docs/", ""),
    ],
)
def test_a_page_that_sends_its_readers_on_is_a_redirect(content: str, refresh: str) -> None:
    body = f'<html><head><meta http-equiv="Refresh" content="{content}"></head><body><p>Text.</p></body></html>'
    page = read_page(FetchedPage("https://x.org/docs/", "text/html", body.encode()))
    assert page.refresh == refresh
    assert bool(page.text) == (not refresh)


def test_a_label_that_names_no_encoding_is_ignored() -> None:
    page = read_page(FetchedPage("https://x.org/", "text/html", "<p>Müller".encode(), charset="undefined"))
    assert page.text == "Müller"
