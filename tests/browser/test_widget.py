"""`<winnow-search>` in pages of another origin, under a content security policy without 'unsafe-inline'."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from tests.browser.browser_site import DOCUMENTS, Site, Witness
from tests.browser.embedding import Foreign, violations

pytestmark = pytest.mark.browser

QUERY = "copy a file and keep its timestamps"
SEARCH = "**/v1/collections/python/search"


@pytest.fixture(scope="module")
def keys(site: Site, foreign: Foreign) -> dict[str, str]:
    """Keys for pages: of the foreign site, of another site; the first one closes the service."""
    made = {"admin": site.command("keys", "create")}
    for name, origin in (("page", foreign.address), ("other", "https://www.example.com")):
        made[name] = site.command("keys", "create", "-s", "search", "-c", "python", "--origin", origin)
    return made


@pytest.fixture
def witness(site: Site, foreign: Foreign) -> Witness:
    """What the page of this test did beside its work; the service is at home here, too."""
    return Witness((foreign.address, site.url))


@pytest.fixture
def embedded(site: Site, foreign: Foreign, keys: dict[str, str]) -> Any:
    """Makes a page with a search box; returns its address."""

    def make(attributes: str = "", *, key: str = "page", lang: str = "en", more: str = "") -> str:
        token = f'token="{keys[key]}"' if key else ""
        return foreign.embed("/", site.url, f'collection="python" {token} {attributes}', lang=lang, more=more)

    return make


def box(page: Page) -> Locator:
    return page.get_by_role("combobox")


def options(page: Page) -> Locator:
    return page.get_by_role("option")


def titles(page: Page) -> Locator:
    return page.locator("winnow-search .title")


def ask(page: Page, address: str, query: str = QUERY) -> None:
    page.goto(address)
    page.keyboard.press("Control+k")
    box(page).press_sequentially(query)
    expect(titles(page).first).to_have_text("shutil.copy2")


def test_a_visitor_searches_by_keyboard_alone(page: Page, embedded: Any, site: Site) -> None:
    page.goto(embedded())
    page.keyboard.press("/")
    expect(box(page)).to_be_focused()
    expect(box(page)).to_have_attribute("aria-expanded", "false")
    page.keyboard.type(QUERY)
    expect(titles(page).first).to_have_text("shutil.copy2")
    expect(box(page)).to_have_attribute("aria-expanded", "true")
    expect(options(page).nth(0)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    active = box(page).get_attribute("aria-activedescendant")
    expect(options(page).nth(1)).to_have_attribute("id", active or "")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(options(page).last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(box(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(box(page)).to_be_hidden()
    page.keyboard.press("Control+k")
    expect(box(page)).to_have_value(QUERY)


def test_enter_follows_the_link_to_the_words_that_matched(page: Page, embedded: Any, foreign: Foreign) -> None:
    ask(page, embedded())
    link = options(page).first.get_attribute("href") or ""
    assert link.startswith(f"{foreign.address}/?q=timestamps#")
    assert ":~:text=" in link
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?q=timestamps"))
    page.keyboard.press("Control+k")
    expect(page.get_by_text("Recent searches", exact=True)).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(titles(page).first).to_have_text("shutil.copy2")


def test_a_screen_reader_hears_a_box_a_list_and_a_count(page: Page, embedded: Any) -> None:
    ask(page, embedded())
    expect(page.get_by_role("dialog", name="Search")).to_be_visible()
    expect(page.get_by_role("listbox", name="Search")).to_be_visible()
    count = options(page).count()
    expect(page.get_by_role("status")).to_have_text(f"Results: {count}")
    box(page).fill("")
    expect(page.get_by_role("listbox")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("layout", ["modal", "inline"])
def test_axe_finds_nothing(page: Page, embedded: Any, scheme: Any, layout: str) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(embedded(f'layout="{layout}"'))
    assert violations(page) == []
    page.keyboard.press("/")
    box(page).fill(QUERY)
    expect(titles(page).first).to_have_text("shutil.copy2")
    page.get_by_role("button", name="Why these results?").click()
    page.mouse.move(0, 0)
    assert violations(page) == []
    page.route(SEARCH, lambda route: route.fulfill(json={"results": [], "stages": {}, "degraded": False}))
    box(page).fill("zzz")
    expect(page.locator("winnow-search .state")).to_have_text("Nothing found for “zzz”")
    assert violations(page) == []


def test_the_scores_of_both_stages_are_shown_on_request(page: Page, embedded: Any, site: Site) -> None:
    ask(page, embedded())
    expect(page.locator(".why")).to_have_count(0)
    page.get_by_role("button", name="Why these results?").click()
    line = options(page).first.locator(".why")
    expect(line).to_contain_text(re.compile(r"#\d+ → #1 · .*meaning .*words .*together .*reranked #1 \("))
    expect(page.get_by_role("button", name="Why these results?")).to_have_attribute("aria-pressed", "true")


def test_nothing_from_a_document_runs(page: Page, embedded: Any) -> None:
    page.goto(embedded())
    page.keyboard.press("/")
    box(page).fill("peculiar payload")
    hostile = options(page).filter(has_text="onerror")
    expect(hostile.locator(".title")).to_have_text("<img src=x onerror=document.title='owned'>")
    assert hostile.get_attribute("href") is None
    hostile.click()
    expect(page).to_have_title("A site")


def test_right_to_left_pages_are_answered_in_their_language(page: Page, embedded: Any) -> None:
    page.goto(embedded(lang="ar"))
    page.get_by_role("button", name="بحث").click()
    box(page).fill("file")
    expect(options(page)).not_to_have_count(0)
    panel = page.locator("winnow-search .panel")
    expect(panel).to_have_css("direction", "rtl")
    lens, field = panel.locator("svg").bounding_box(), box(page).bounding_box()
    assert lens is not None
    assert field is not None
    assert lens["x"] > field["x"], "the glass is not at the start of the line"
    assert violations(page) == []


LANGUAGES = {"en": "Search", "zh-CN": "搜索", "ja": "検索", "ko": "검색", "es": "Buscar", "pt-BR": "Pesquisar"} | {
    "fr": "Rechercher", "de-AT": "Suchen", "it": "Cerca", "ru": "Поиск", "ar": "بحث", "hi": "खोजें"
}  # fmt: skip


def test_it_speaks_twelve_languages(page: Page, embedded: Any) -> None:
    page.goto(embedded())
    for lang, word in LANGUAGES.items():
        page.evaluate("lang => document.querySelector('winnow-search').setAttribute('lang', lang)", lang)
        expect(page.get_by_role("button", name=word)).to_be_visible()


def test_dark_follows_the_page_or_the_system(page: Page, embedded: Any) -> None:
    address, panel = embedded(), page.locator("winnow-search .panel")
    light, dark = "rgb(255, 255, 255)", "rgb(27, 28, 32)"
    for scheme, surface in (("light", light), ("dark", dark)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(address)
        page.keyboard.press("/")
        expect(panel).to_have_css("background-color", surface)
    page.evaluate("document.documentElement.style.colorScheme = 'light'")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(panel).to_have_css("background-color", light)
    page.evaluate("document.querySelector('winnow-search').setAttribute('theme', 'dark')")
    expect(panel).to_have_css("background-color", dark)


def test_a_site_themes_it_by_properties_and_parts(page: Page, embedded: Any) -> None:
    ask(page, embedded())
    page.evaluate("""() => { const sheet = new CSSStyleSheet();
        sheet.replaceSync("winnow-search { --winnow-accent: rgb(1, 2, 3) } ::part(text) { color: rgb(4, 5, 6) }");
        document.adoptedStyleSheets = [sheet]; }""")
    expect(titles(page).first).to_have_css("color", "rgb(1, 2, 3)")
    expect(page.locator("winnow-search .text").first).to_have_css("color", "rgb(4, 5, 6)")


def test_offline_is_said_and_the_search_goes_on_by_itself(
    page: Page, embedded: Any, context: BrowserContext, witness: Witness
) -> None:
    ask(page, embedded())
    context.set_offline(True)
    box(page).fill("timestamps")
    expect(page.locator("winnow-search .state")).to_contain_text("You are offline")
    assert violations(page) == []
    context.set_offline(False)
    expect(titles(page)).not_to_have_count(0)
    witness.expect_failed_request()


def test_a_refused_token_is_said(page: Page, embedded: Any, site: Site, keys: dict[str, str], witness: Witness) -> None:
    key = site.command("keys", "create", "-s", "search", "-c", "python", "--origin", "https://docs.example.com")
    page.goto(embedded())
    page.evaluate("key => document.querySelector('winnow-search').setAttribute('token', key)", key)
    site.command("keys", "revoke", key[:12])
    page.keyboard.press("/")
    box(page).fill("file")
    expect(page.locator("winnow-search .state")).to_contain_text("The search refused this page's key")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    witness.expect_failed_request()


def test_a_key_of_another_site_is_refused_here(page: Page, embedded: Any, witness: Witness) -> None:
    page.goto(embedded(key="other"))
    page.keyboard.press("/")
    box(page).fill("file")
    expect(page.locator("winnow-search .state")).to_contain_text("The search refused this page's key")
    witness.expect_failed_request()


def test_a_page_that_fetches_tokens_goes_on(page: Page, embedded: Any, keys: dict[str, str], witness: Witness) -> None:
    page.goto(embedded(key=""))
    page.evaluate(
        """keys => { const found = [...keys];
        document.querySelector('winnow-search').token = () => Promise.resolve(found.shift()); }""",
        [keys["other"], keys["page"]],
    )
    page.keyboard.press("/")
    box(page).fill("timestamps")
    expect(titles(page)).not_to_have_count(0)
    witness.expect_failed_request()


def test_a_limit_is_waited_for(page: Page, embedded: Any, witness: Witness) -> None:
    headers = {"Retry-After": "2", "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
    body = json.dumps({"title": "Too many", "status": 429, "code": "rate_limited"})

    def limit(route: Route) -> None:
        if route.request.method == "POST":
            route.fulfill(status=429, headers=headers, body=body)
        else:
            route.continue_()

    page.clock.install()
    page.route(SEARCH, limit)
    page.goto(embedded())
    page.keyboard.press("/")
    box(page).fill("timestamps")
    page.clock.run_for(2000)
    expect(page.locator("winnow-search .state")).to_contain_text(re.compile(r"Too many searches. Going on in \d s"))
    page.unroute(SEARCH)
    page.clock.run_for(3000)
    expect(titles(page)).not_to_have_count(0)
    witness.expect_failed_request()


def test_a_degraded_answer_is_marked(page: Page, embedded: Any) -> None:
    def worsen(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        route.fulfill(response=response, json={**answer, "degraded": True})

    page.route(SEARCH, worsen)
    ask(page, embedded())
    expect(page.locator("winnow-search .note")).to_contain_text("Part of the search failed")


def test_a_newer_query_drops_the_older(page: Page, embedded: Any) -> None:
    page.goto(embedded())
    page.keyboard.press("/")
    asked: list[str] = []

    def hold(route: Route) -> None:
        asked.append(json.loads(route.request.post_data or "{}")["query"])
        if asked[-1] != "parse":
            route.continue_()

    page.route(SEARCH, hold)
    with page.expect_request(SEARCH):
        box(page).fill("parse")
    with page.expect_event("requestfailed"):
        box(page).fill("parse a date")
    expect(titles(page).first).to_have_text("datetime.strptime")


def test_every_document_of_the_site_is_a_link_that_is_safe(page: Page, embedded: Any) -> None:
    ask(page, embedded('results="20"'))
    expect(options(page)).to_have_count(len(DOCUMENTS) + 1)  # the instant answer has fewer
    links = [option.get_attribute("href") for option in options(page).all()]
    assert all(link is None or link.startswith("http://127.0.0.1") for link in links)


def test_names_are_shown_for_every_key_and_the_full_search_when_typing_pauses(page: Page, embedded: Any) -> None:
    asked: list[tuple[str, str]] = []

    def note(route: Route) -> None:
        body = json.loads(route.request.post_data or "{}")
        if route.request.method == "POST":
            asked.append((body.get("mode", "full"), body["query"]))
        if body.get("mode") == "instant" or route.request.method != "POST":
            route.continue_()

    page.route(SEARCH, note)  # the full search is never answered
    page.clock.install()
    page.goto(embedded())
    page.keyboard.press("/")
    page.clock.pause_at(2**41)  # a slow machine types without a pause, too
    with page.expect_request(lambda request: '"query":"datetime.strp"' in (request.post_data or "")):
        box(page).press_sequentially("datetime.strp")
    expect(titles(page).first).to_have_text("datetime.strptime")
    assert len(asked) > 1
    assert {mode for mode, _ in asked} == {"instant"}
    with page.expect_request(lambda request: '"mode"' not in (request.post_data or '"mode"')) as full:
        page.clock.run_for(2000)
    assert json.loads(full.value.post_data or "")["query"] == "datetime.strp"


def test_facets_narrow_and_are_reached_by_keyboard(page: Page, embedded: Any) -> None:
    ask(page, embedded('facets="module:Module"'))
    group = page.get_by_role("group", name="Module")
    expect(group.get_by_role("checkbox").first).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    while page.evaluate("document.querySelector('winnow-search').shadowRoot.activeElement?.type") != "checkbox":
        page.keyboard.press("Tab")
    group.get_by_role("checkbox", name=re.compile("^os")).focus()
    page.keyboard.press("Space")
    expect(titles(page)).to_have_text([re.compile(r"^os\.")] * 2)
    expect(group.get_by_role("checkbox", name=re.compile("^os"))).to_be_checked()
    expect(group.get_by_role("checkbox", name=re.compile("^os"))).to_be_focused()
    expect(group.get_by_role("checkbox", name=re.compile("^shutil"))).to_be_visible()
    assert violations(page) == []


def test_more_results_follow_and_none_comes_twice(page: Page, embedded: Any) -> None:
    ask(page, embedded('results="3"'))
    more = page.get_by_role("button", name="More results")
    for count in (6, 8):
        more.click()
        expect(options(page)).to_have_count(count)
        expect(box(page)).to_be_focused()
    assert len(set(titles(page).all_text_contents())) == 8
    expect(options(page).nth(6)).to_have_attribute("aria-selected", "true")
    expect(more).to_be_hidden()
