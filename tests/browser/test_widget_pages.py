"""`<winnow-search>` in pages that make it hard: low windows, styles, shadow trees, parts that come and go."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.browser_site import Site, Witness
from tests.browser.embedding import Foreign, violations

pytestmark = pytest.mark.browser

SEARCH = "**/v1/collections/python/search"
FIRST, SECOND = "winnow-search >> nth=0", "winnow-search >> nth=1"


@pytest.fixture(scope="module")
def key(site: Site, foreign: Foreign) -> str:
    """A key for pages of the foreign site; it closes the service."""
    site.command("keys", "create")
    return site.command("keys", "create", "-s", "search", "-c", "python", "--origin", foreign.address)


@pytest.fixture
def witness(site: Site, foreign: Foreign) -> Witness:
    """What the page of this test did beside its work; the service is at home here, too."""
    return Witness((foreign.address, site.url))


@pytest.fixture
def element(site: Site, key: str) -> str:
    """The start tag of an element, without its end."""
    return f'<winnow-search endpoint="{site.url}" collection="python" token="{key}"'


@pytest.fixture
def opened(page: Page, foreign: Foreign, site: Site, key: str) -> Any:
    """Opens a page with a search box and what else the test wants in it."""

    def make(attributes: str = "", more: str = "") -> None:
        page.goto(foreign.embed("/", site.url, f'collection="python" token="{key}" {attributes}', more=more))

    return make


def box(page: Page) -> Locator:
    return page.get_by_role("combobox")


def titles(page: Page) -> Locator:
    return page.locator("winnow-search .title")


def found(*results: dict[str, Any]) -> dict[str, Any]:
    """An answer with these results."""
    whole = [
        {"rank": at, "document_id": f"d{at}", "chunk": {"index": 0, "headings": []}, "stages": {}, **each}
        for at, each in enumerate(results, 1)
    ]
    return {"results": whole, "stages": {}, "degraded": False, "speed": "full", "next": None}


def answered(page: Page, *results: dict[str, Any]) -> None:
    page.route(SEARCH, lambda route: route.fulfill(json=found(*results)))


@pytest.mark.parametrize("size", [(1100, 500), (1366, 650), (320, 480)])
def test_all_of_the_dialog_is_in_the_window(page: Page, opened: Any, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    opened()
    answered(page, *({"title": "A long title of a page " * 9, "text": "words " * 90} for _ in range(9)))
    page.keyboard.press("/")
    box(page).fill("copy")
    expect(titles(page)).to_have_count(9)
    place = page.locator("winnow-search dialog").bounding_box()
    assert place is not None
    assert place["y"] > 0
    assert place["y"] + place["height"] <= size[1]
    assert place["x"] >= 0
    assert place["x"] + place["width"] <= size[0]
    expect(page.get_by_role("button", name="Why these results?")).to_be_in_viewport(ratio=1)


def test_styles_around_it_stay_outside(page: Page, opened: Any) -> None:
    opened()
    page.evaluate("""() => { const sheet = new CSSStyleSheet();
        sheet.replaceSync("body { white-space: nowrap; text-transform: uppercase; letter-spacing: 9px }");
        document.adoptedStyleSheets = [sheet]; }""")
    page.keyboard.press("/")
    box(page).fill("copy a file and keep its timestamps")
    text = page.locator("winnow-search .text").first
    expect(text).to_have_css("white-space", "normal")
    expect(text).to_have_css("text-transform", "none")
    expect(text).to_have_css("letter-spacing", "normal")


def test_an_input_method_keeps_its_keys(page: Page, opened: Any, foreign: Foreign) -> None:
    opened()
    page.keyboard.press("/")
    box(page).fill("copy a file")
    expect(titles(page).first).to_be_visible()
    active = box(page).get_attribute("aria-activedescendant")
    for event in ({"isComposing": True}, {"keyCode": 229}):  # the second is Safari's key that ends a composition
        for name in ("Enter", "ArrowDown", "Escape"):
            box(page).dispatch_event("keydown", {"key": name, "bubbles": True, "cancelable": True, **event})
    expect(page).to_have_url(f"{foreign.address}/")
    expect(box(page)).to_be_visible()
    assert box(page).get_attribute("aria-activedescendant") == active


def test_two_boxes_on_a_page_do_not_open_each_other(page: Page, opened: Any, element: str) -> None:
    opened(more=f'{element} hotkeys="on"></winnow-search>')
    page.get_by_role("button", name="Search").nth(1).click()
    expect(page.locator(SECOND).get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Control+k")  # the focus is on its button
    expect(page.locator(SECOND).get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Control+k")
    expect(page.locator(FIRST).get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(1)


def test_a_box_that_is_not_shown_leaves_the_keys_to_the_page(page: Page, opened: Any, element: str) -> None:
    opened(more=f"{element}></winnow-search>")
    page.locator(FIRST).evaluate("search => { search.hidden = true; }")
    page.keyboard.press("/")
    expect(page.locator(SECOND).get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(1)


def test_it_works_in_a_shadow_tree_and_where_somebody_types(page: Page, opened: Any) -> None:
    opened(more="<div id='host'></div>")
    page.evaluate("""() => { const root = document.querySelector('#host').attachShadow({mode: 'open'});
        const input = document.createElement('input');
        root.append(input, document.querySelector('winnow-search'));
        input.focus(); }""")
    page.keyboard.type("a/b")
    expect(box(page)).to_be_hidden()
    assert page.evaluate("document.querySelector('#host').shadowRoot.querySelector('input').value") == "a/b"
    page.evaluate("document.querySelector('#host').shadowRoot.activeElement.blur()")
    page.keyboard.press("/")
    box(page).fill("copy a file")
    expect(titles(page).first).to_be_visible()


def test_it_may_be_taken_out_of_the_page_and_put_back(page: Page, opened: Any) -> None:
    opened()
    page.keyboard.press("/")
    box(page).fill("copy a file")
    expect(titles(page).first).to_be_visible()
    page.evaluate("""() => { const search = document.querySelector('winnow-search'), {parentNode} = search;
        search.remove(); parentNode.append(search); }""")
    page.keyboard.press("Control+k")
    expect(box(page)).to_have_value("copy a file")
    expect(titles(page).first).to_be_visible()
    page.evaluate("document.querySelector('winnow-search').setAttribute('lang', 'de')")
    expect(page.locator("winnow-search").get_by_role("button", name="Suchen")).to_be_attached()
    page.evaluate("document.body.replaceWith(document.body.cloneNode(true))")  # as Turbo keeps and restores pages
    page.keyboard.press("Control+k")
    box(page).fill("copy a file")
    expect(titles(page).first).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(1)


def test_a_refused_key_is_not_tried_with_every_letter(page: Page, opened: Any, witness: Witness) -> None:
    opened()
    page.evaluate("document.querySelector('winnow-search').token = 'wnw_wrong'")
    asked: list[str] = []

    def note(route: Route) -> None:
        if route.request.method == "POST":
            asked.append(json.loads(route.request.post_data or "{}").get("mode", "full"))
        route.continue_()

    page.route(SEARCH, note)
    page.keyboard.press("/")
    page.keyboard.type("t")
    expect(page.locator("winnow-search .state")).to_contain_text("The search refused this page's key")
    page.keyboard.type("imestamps")
    expect(page.locator("winnow-search .state")).to_be_visible()
    assert asked.count("instant") == 1
    witness.expect_failed_request()


TABLE = """\
# Limits

| Variable | Default |
| --- | --- |
| LIMIT | 20 |

```bash
export LIMIT=3
```

- first | one
  - second"""


def test_markdown_is_shown_as_plain_text_with_its_marks_in_place(page: Page, opened: Any) -> None:
    opened()
    at = TABLE.index("20")
    answered(page, {"title": "Limits", "text": TABLE, "highlights": [{"start": at, "end": at + 2}]})
    page.keyboard.press("/")
    box(page).fill("limit")
    text = page.locator("winnow-search .text")
    expect(text).to_have_text("Limits Variable · Default LIMIT · 20 export LIMIT=3 • first | one • second")
    expect(text.locator("mark")).to_have_text("20")


def test_results_of_one_title_show_where_they_are(page: Page, opened: Any) -> None:
    opened()
    answered(
        page,
        {"title": "Install", "url": "/v1/install", "text": "x", "chunk": {"index": 0, "headings": ["Linux"]}},
        {"title": "Install", "url": "/v2/install", "text": "x"},
        {"title": "Remove", "url": "/v2/remove", "text": "x"},
    )
    page.keyboard.press("/")
    box(page).fill("install")
    expect(page.locator("winnow-search .path")).to_have_text(["/v1/install › Linux", "/v2/install"])
    assert violations(page) == []


def test_a_result_without_an_address_leaves_the_dialog_open(page: Page, opened: Any) -> None:
    opened()
    answered(page, {"title": "Nowhere", "text": "x", "url": ""})
    page.keyboard.press("/")
    box(page).fill("now")
    expect(titles(page)).to_have_count(1)
    page.evaluate("addEventListener('winnow-select', (event) => { window.chosen = event.detail.title; })")
    page.keyboard.press("Enter")
    assert page.evaluate("window.chosen") == "Nowhere"
    expect(box(page)).to_be_visible()
