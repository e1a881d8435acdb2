"""The page of analytics: what visitors did, as charts and as tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.browser_site import DOCUMENTS, FIELDS, Site
from tests.browser.embedding import violations
from tests.support.served import served

FIGURES = "**/v1/collections/python/analytics?*"
HOSTILE = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service that records, with visitors who searched in one of its two collections."""
    with served(tmp_path_factory.mktemp("recorded"), WINNOW_ANALYTICS__ENABLED="true") as service:
        site = Site(service.address, service.command)
        for name in ("python", "quiet"):
            site.call("PUT", f"/v1/collections/{name}", {"fields": FIELDS})
        site.call("POST", "/v1/collections/python/documents?wait=true", {"documents": DOCUMENTS})
        visit(site)
        yield site


def visit(site: Site) -> None:
    """Three visitors copy files and click, one types markup, one finds nothing, one types along."""
    for visitor, position in (("ann", 1), ("bob", 2), ("cy", 1)):
        answer = site.search("copy a file", session=visitor)
        document = answer["results"][position - 1]["document_id"]
        clicked = {"search_id": answer["search_id"], "document_id": document, "position": position, "session": visitor}
        events = [{"type": "click", **clicked}] + [{"type": "conversion", **clicked}] * (visitor == "ann")
        taken = site.call("POST", "/v1/events", {"events": events})
        assert taken == {"accepted": len(events), "rejected": []}
    site.search(HOSTILE, session="dee")
    site.search("qqqzzz", session="eve", mode="sparse")
    site.search("shu", session="fay", mode="instant")


def figures(site: Site, days: int = 30) -> Any:
    return site.call("GET", f"/v1/collections/python/analytics?days={days}", None)


def card(page: Page, title: str) -> Locator:
    return page.locator(".card", has=page.get_by_role("heading", name=title, exact=True))


def cells(of: Locator) -> list[list[str]]:
    rows = of.locator("tbody tr").all()
    return [row.locator("th, td").all_text_contents() for row in rows]


def opened(page: Page, path: str = "/analytics?c=python") -> Page:
    page.goto(path)
    expect(page.get_by_role("heading", name="Searches per day")).to_be_visible()
    return page


def test_the_figures_are_those_of_the_api(page: Page, site: Site) -> None:
    told = figures(site)
    assert (told["totals"]["searches"], told["totals"]["clicks"], told["totals"]["conversions"]) == (6, 3, 1)
    opened(page)
    expect(page.locator(".totals")).to_contain_text("Searches6in 6 sessions")
    expect(page.locator(".totals")).to_contain_text("3 clicks")
    top = [
        [one["query"], str(one["searches"]), str(one["clicks"]), f"{one['position']:.1f}" if one["clicks"] else "–"]
        for one in told["top_queries"]
    ]
    assert cells(card(page, "Top queries")) == top
    assert top[0] == ["copy a file", "3", "3", "1.3"]
    assert cells(card(page, "Nothing found")) == [["qqqzzz", "1"]]
    assert ["shu", "1"] in cells(card(page, "Found, but nothing clicked"))
    expect(page).to_have_title("python · Analytics · Winnow")


def test_behind_every_chart_is_its_table(page: Page, site: Site) -> None:
    told = figures(site)
    opened(page)
    day = told["days"][-1]
    expected = {
        "Searches per day": [[day["day"], "6", "1", "3", "1"]],
        "Click position": [["1", "2"], ["2", "1"]],
        "Speed": [["Instant, while typing", "1"], ["Full, two stages", "5"]],
    }
    for title, rows in expected.items():
        part = card(page, title)
        expect(part.get_by_role("img")).to_have_accessible_name(re.compile(r"^(Columns|Bars) of .+"))
        expect(part.get_by_role("table")).to_be_hidden()
        part.get_by_text("As a table").click()
        expect(part.get_by_role("table")).to_be_visible()
        found = sorted(row[: len(rows[0])] for row in cells(part))
        assert found == sorted(rows)


def test_the_newest_column_is_as_high_as_its_share_of_the_axis(page: Page) -> None:
    opened(page)
    chart = card(page, "Searches per day").locator("svg")
    assert chart.locator("g").count() == 31
    found, lacking = chart.locator("rect.solid"), chart.locator("rect.lacking")
    assert (found.count(), lacking.count()) == (1, 1)
    heights = [float(bar.get_attribute("height") or 0) for bar in (found, lacking)]
    assert heights[0] == pytest.approx(5 * heights[1])
    assert chart.locator("g title").last.text_content().endswith("6 searches, 1 without results")  # type: ignore[union-attr]


def test_markup_in_a_query_is_text_and_a_query_leads_to_its_search(page: Page) -> None:
    opened(page)
    expect(card(page, "Top queries")).to_contain_text(HOSTILE)
    card(page, "Top queries").get_by_role("link", name="copy a file").click()
    expect(page).to_have_url(re.compile(r"/\?q=copy\+a\+file"))


def test_by_keyboard_alone_the_period_changes_and_a_table_opens(page: Page) -> None:
    opened(page)
    period = page.get_by_role("radio", name="30 days")
    expect(period).to_be_checked()
    period.focus()
    with page.expect_response(FIGURES) as asked:
        page.keyboard.press("ArrowRight")
    assert asked.value.url.endswith("days=90")
    expect(page).to_have_url(re.compile(r"\?c=python&days=90$"))
    expect(card(page, "Searches per day").locator("svg g")).to_have_count(91)
    summary = card(page, "Searches per day").locator("summary")
    for _ in range(12):
        page.keyboard.press("Tab")
        if summary.evaluate("(one) => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(card(page, "Searches per day").get_by_role("table")).to_be_visible()
    page.go_back()
    expect(period).to_be_checked()


def test_a_collection_without_searches_says_so(page: Page) -> None:
    opened(page)
    page.get_by_label("Collection").select_option("quiet")
    expect(page.get_by_role("heading", name="No searches in 30 days")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?c=quiet$"))
    page.goto("/analytics?c=nowhere")
    expect(page.get_by_role("heading", name="There is no collection “nowhere”")).to_be_visible()
    page.get_by_role("button", name="python").click()
    expect(page.get_by_role("heading", name="Top queries")).to_be_visible()


def off(route: Route, **changed: Any) -> None:
    route.fulfill(json=route.fetch().json() | {"enabled": False} | changed)


def test_where_nothing_is_recorded_the_setting_is_named(page: Page, site: Site) -> None:
    page.route(FIGURES, lambda route: off(route, totals=dict.fromkeys(figures(site)["totals"], 0)))
    page.goto("/analytics?c=python")
    expect(page.get_by_role("heading", name="Searches are not recorded here")).to_be_visible()
    expect(page.locator("#report")).to_contain_text("WINNOW_ANALYTICS__ENABLED=true")


def test_figures_from_before_recording_ended_are_shown_and_marked(page: Page) -> None:
    page.route(FIGURES, off)
    opened(page)
    expect(page.locator(".off")).to_contain_text("Recording is switched off")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    opened(page)
    assert violations(page) == []
    for summary in page.locator("summary").all():
        summary.click()
    page.mouse.move(0, 0)
    assert violations(page) == []
    page.goto("/analytics?c=quiet")
    expect(page.get_by_role("heading", name="No searches in 30 days")).to_be_visible()
    assert violations(page) == []


def test_on_a_phone_nothing_is_wider_than_the_screen(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    opened(page, "/analytics?c=python&days=365")
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") == 0
    page.set_viewport_size({"width": 900, "height": 740})
    expect(page.locator(".picture").first).to_have_attribute("width", re.compile(r"^8\d\d"))
