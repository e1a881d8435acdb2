"""InstantSearch and DocSearch, Algolia's own clients, in a real browser on a page of another origin."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.browser_site import Site
from tests.browser.embedding import Foreign, foreign_site
from tests.support.served import ROOT

MODULES = ROOT / os.environ.get("CLIENTS_NODE", ".clients-node") / "node_modules"
CLIENT = MODULES / "algoliasearch" / "dist" / "lite" / "builds" / "browser.umd.js"
INSTANTSEARCH = MODULES / "instantsearch.js" / "dist" / "instantsearch.production.min.js"
DOCSEARCH = MODULES / "@docsearch" / "js" / "dist" / "umd" / "index.js"

FIELDS = {"lang": "keyword", "year": "integer", "free": "boolean"}
DOCUMENTS = [
    {
        "id": f"chapter-{at:02}",
        "title": f"Chapter {at:02}",
        "url": f"https://example.org/{at}",
        "text": f"The text of chapter {at} has <img src=x onerror=window.hacked=1> in it.",
        "metadata": {"lang": ["en", "de", "fr"][at % 3], "year": 2000 + at, "free": at % 2 == 0},
    }
    for at in range(30)
]
DOCUMENTS.append(
    {
        "id": "guide",
        "title": "Installation guide",
        "url": "https://example.org/guide",
        "format": "markdown",
        "text": "# Installation guide\n\nFirst steps.\n\n## Environment variables\n\n"
        "Set <b onmouseover=window.hacked=1>them</b>.",
        "metadata": {"lang": "en", "year": 1999, "free": True},
    }
)

START = """([address, key]) => {
  const at = new URL(address);
  const lite = window['algoliasearch/lite'] || window.algoliasearch;
  const hosts = [{url: at.hostname, port: +at.port, protocol: 'http', accept: 'readWrite'}];
  window.client = lite.liteClient('winnow', key, {hosts});
}"""

WIDGETS = """() => {
  const {widgets} = instantsearch;
  const search = instantsearch({indexName: 'chapters', searchClient: window.client, future: {}});
  search.addWidgets([
    widgets.configure({hitsPerPage: 5, attributesToSnippet: ['content:6']}),
    widgets.searchBox({container: '#box'}),
    widgets.stats({container: '#stats'}),
    widgets.hits({container: '#hits', templates: {item: (hit, {html, components: {Highlight, Snippet}}) =>
      html`<b>${Highlight({attribute: 'title', hit})}</b> <i>${Snippet({attribute: 'content', hit})}</i>`}}),
    widgets.refinementList({container: '#lang', attribute: 'lang', searchable: true}),
    widgets.toggleRefinement({container: '#free', attribute: 'free'}),
    widgets.rangeInput({container: '#year', attribute: 'year'}),
    widgets.numericMenu({container: '#when', attribute: 'year', items: [{label: 'All'}, {label: 'Old', end: 2005}]}),
    widgets.currentRefinements({container: '#now'}),
    widgets.clearRefinements({container: '#clear'}),
    widgets.hitsPerPage({container: '#size', items: [{label: '5', value: 5, default: true}, {label: '20', value: 20}]}),
    widgets.pagination({container: '#pages'}),
  ]);
  search.on('error', (error) => { window.failed = String(error.message || error); });
  search.start();
}"""

WAIT = 60_000  # milliseconds: a machine with other work is slow, and that is not what is tested
expect.set_options(timeout=WAIT)

PLACES = ("box", "stats", "hits", "lang", "free", "year", "when", "now", "clear", "size", "pages", "docsearch")


@pytest.fixture(scope="module")
def foreign() -> Iterator[Foreign]:
    """A site of another origin."""
    with foreign_site() as site:
        divisions = "".join(f'<div id="{each}"></div>' for each in PLACES)
        site.pages["/"] = f'<!doctype html><meta charset="utf-8"><title>A site</title>{divisions}'
        yield site


@pytest.fixture(scope="module")
def filled(site: Site) -> Site:
    """The service with a collection to search."""
    site.call("PUT", "/v1/collections/chapters", {"fields": FIELDS})
    site.call("POST", "/v1/collections/chapters/documents?wait=true", {"documents": DOCUMENTS})
    site.read_names("chapters")
    return site


@pytest.fixture
def page(context: BrowserContext, filled: Site, foreign: Foreign) -> Page:
    """The foreign page with Algolia's client on it, which has a key for this origin that may search."""
    if not INSTANTSEARCH.exists() or not DOCSEARCH.exists():
        pytest.skip("Algolia's clients are not installed: make clients")
    context.set_default_timeout(WAIT)
    key = filled.command("keys", "create", "--scope", "search", "--origin", foreign.address, "--label", "page")
    page = context.new_page()
    page.goto(f"{foreign.address}/")
    page.add_script_tag(path=CLIENT)
    page.evaluate(START, [filled.url, key_of(key)])
    return page


def key_of(printed: str) -> str:
    """The key in what the command printed."""
    return next(word for word in printed.split() if word.startswith("wk_") or len(word) > 40)


def shown(page: Page) -> list[str]:
    return page.locator("#hits li").all_inner_texts()


def test_the_widgets_of_instantsearch_work(page: Page) -> None:
    page.add_script_tag(path=INSTANTSEARCH)
    page.evaluate(WIDGETS)
    expect(page.locator("#stats")).to_contain_text("31 results")
    expect(page.locator("#hits li")).to_have_count(5)
    page.locator("#box input").fill("chaptr 07")
    expect(page.locator("#hits li").first).to_contain_text("Chapter 07")
    page.locator("#box input").fill("chapter")
    expect(page.locator("#stats")).to_contain_text("30 results")
    expect(page.locator("#hits li mark").first).to_have_text("Chapter")
    expect(page.locator("#hits li").first).to_contain_text("<img")
    page.locator("#pages").get_by_role("link", name="Page 2", exact=False).first.click()
    expect(page.locator("#hits li").first).not_to_contain_text("Chapter 00")
    page.locator("#lang").get_by_role("checkbox").first.check()
    expect(page.locator("#stats")).to_contain_text("10 results")
    expect(page.locator("#lang li")).to_have_count(3)  # the others stay to choose from
    page.locator("#clear button").click()
    expect(page.locator("#stats")).to_contain_text("30 results")
    page.locator("#free input").check()
    expect(page.locator("#stats")).to_contain_text("15 results")
    page.locator("#clear button").click()
    expect(page.locator("#stats")).to_contain_text("30 results")
    page.locator("#when").get_by_label("Old").check()
    expect(page.locator("#stats")).to_contain_text("6 results")
    page.locator("#clear button").click()
    expect(page.locator("#stats")).to_contain_text("30 results")
    page.locator("#lang input[type=search]").fill("d")
    expect(page.locator("#lang li")).to_have_count(1)
    assert page.evaluate("[window.failed, window.hacked]") == [None, None]


def test_docsearch_works(page: Page) -> None:
    page.add_script_tag(path=DOCSEARCH)
    options: dict[str, Any] = {"container": "#docsearch", "appId": "winnow", "apiKey": "-", "indices": ["chapters"]}
    page.evaluate("(options) => docsearch({...options, transformSearchClient: () => window.client})", options)
    page.locator("#docsearch button").first.click()
    page.locator(".DocSearch-Input").fill("environm")
    hit = page.locator(".DocSearch-Hit a").first
    expect(hit).to_have_attribute("href", re.compile(r"https://example\.org/guide"))
    expect(page.locator(".DocSearch-Hit mark").first).to_have_text("Environm")
    expect(page.locator(".DocSearch-Hit-source").first).to_contain_text("Installation guide")
    assert page.evaluate("window.hacked") is None
