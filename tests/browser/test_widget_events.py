"""Clicks and conversions that `<winnow-search>` reports to a service with analytics, from pages of another origin."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.browser_site import DOCUMENTS, FIELDS, Site, Witness
from tests.browser.embedding import Foreign
from tests.browser.test_algolia_clients import CLIENT, INSTANTSEARCH, MODULES, START
from tests.support.served import served

pytestmark = pytest.mark.browser

INSIGHTS = MODULES / "search-insights" / "dist" / "search-insights.iife.min.js"
ALGOLIAS_SNIPPET = """() => {
  window.AlgoliaAnalyticsObject = 'aa';
  window.aa = (...args) => { (window.aa.queue ||= []).push(args); };
}"""
INSTANTSEARCH_WITH_INSIGHTS = """(host) => {
  const {widgets, middlewares} = instantsearch;
  const search = instantsearch({indexName: 'python', searchClient: window.client, future: {}});
  search.use(middlewares.createInsightsMiddleware({insightsInitParams: {host}}));
  search.addWidgets([
    widgets.searchBox({container: '#box'}),
    widgets.hits({container: '#hits', templates: {item: (hit, {html, sendEvent}) =>
      html`<button onClick=${() => sendEvent('conversion', hit, 'Read')}>${hit.title}</button>`}}),
  ]);
  search.start();
}"""
QUERY = "copy a file and keep its timestamps"
Events = Callable[[], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The service, which records what visitors do."""
    with served(tmp_path_factory.mktemp("site"), WINNOW_ANALYTICS__ENABLED="true") as service:
        site = Site(service.address, service.command)
        site.call("PUT", "/v1/collections/python", {"fields": FIELDS})
        site.call("POST", "/v1/collections/python/documents?wait=true", {"documents": DOCUMENTS})
        yield site


@pytest.fixture(scope="module")
def key(site: Site, foreign: Foreign) -> str:
    """What is written into the page."""
    return site.command("keys", "create", "-s", "search", "-c", "python", "--origin", foreign.address)


@pytest.fixture
def witness(site: Site, foreign: Foreign) -> Witness:
    return Witness((foreign.address, site.url))


@pytest.fixture
def recorded(site: Site) -> Events:
    """The events that the service has."""

    def read() -> list[dict[str, Any]]:
        lines = site.command("analytics", "export", "--collection", "python").splitlines()
        return [event for line in lines for event in json.loads(line)["events"]]

    return read


def ask(page: Page, foreign: Foreign, site: Site, attributes: str) -> None:
    page.goto(foreign.embed("/", site.url, f'collection="python" {attributes}'))
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill(QUERY)
    expect(page.get_by_role("option")).to_have_count(len(DOCUMENTS))  # the instant answer has fewer


def eventually(page: Page, recorded: Events, count: int) -> list[dict[str, Any]]:
    """The events, once there are ``count`` of them."""
    for _ in range(100):
        found = recorded()
        if len(found) >= count:
            return found
        page.wait_for_timeout(100)
    raise AssertionError(f"{found} after 10 s")


def test_a_result_that_is_followed_is_reported_and_so_is_what_comes_of_it(
    page: Page, foreign: Foreign, site: Site, key: str, recorded: Events
) -> None:
    ask(page, foreign, site, f'token="{key}"')
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?q=timestamps"))  # another page: the request outlives the one that sent it
    click = eventually(page, recorded, 1)[0]
    assert (click["type"], click["position"]) == ("click", 2)
    assert not click.get("session")
    document = json.dumps(click["document_id"])
    assert page.evaluate(f"document.querySelector('winnow-search').conversion({document})") is True
    conversion = eventually(page, recorded, 2)[1]
    assert (conversion["type"], conversion["document_id"]) == ("conversion", click["document_id"])
    assert page.evaluate("document.querySelector('winnow-search').conversion('never followed')") is False
    assert page.context.cookies() == []


def test_a_session_is_sent_where_the_site_names_one(
    page: Page, foreign: Foreign, site: Site, key: str, recorded: Events
) -> None:
    before = len(recorded())
    ask(page, foreign, site, f'token="{key}" session="view-7"')
    page.keyboard.press("Enter")
    assert eventually(page, recorded, before + 1)[-1]["session"] == "view-7"


def test_nothing_is_sent_where_answers_have_no_search_id(page: Page, foreign: Foreign, site: Site, key: str) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))

    def strip(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, json={**response.json(), "search_id": None})

    page.route("**/v1/collections/python/search", strip)
    ask(page, foreign, site, f'token="{key}"')
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?q=timestamps"))
    assert not [url for url in sent if "/v1/events" in url]


def test_insights_of_instantsearch_are_kept(
    page: Page, foreign: Foreign, site: Site, key: str, recorded: Events
) -> None:
    if not INSIGHTS.exists():
        pytest.skip("Algolia's clients are not installed: make clients")
    before = len(recorded())
    foreign.policy = ""  # of the pages before, which forbids the scripts that the test adds
    foreign.pages["/insights"] = (
        '<!doctype html><link rel="icon" href="data:,"><title>A site</title><div id="box"></div><div id="hits"></div>'
    )
    page.goto(f"{foreign.address}/insights")
    page.evaluate(ALGOLIAS_SNIPPET)
    for script in (CLIENT, INSTANTSEARCH, INSIGHTS):
        page.add_script_tag(path=script)
    page.evaluate(START, [site.url, key])
    page.evaluate(INSTANTSEARCH_WITH_INSIGHTS, site.url)
    page.locator("#box input").fill("shutil.copyt")
    hit = page.get_by_role("button", name="shutil.copytree")
    expect(hit).to_have_count(1)
    hit.click()  # a click is sent too: the conversion's button is inside the hit
    click, conversion = sorted(eventually(page, recorded, before + 2)[before:], key=lambda each: each["type"])
    assert (click["type"], click["document_id"], click["position"]) == ("click", "shutil.copytree", 1)
    assert (conversion["type"], conversion["document_id"]) == ("conversion", "shutil.copytree")
    assert click["session"].startswith("anonymous-")
