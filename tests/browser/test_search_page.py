"""What a person sees and does on the search page."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Request, Route, expect

from tests.browser.browser_site import Site, Witness
from tests.browser.embedding import violations

pytestmark = pytest.mark.browser

QUERY = "copy a file and keep its timestamps"
SEARCH = "**/v1/collections/python/search"


def ask(page: Page, query: str = QUERY, path: str = "/") -> None:
    """Open the page, type, and wait for the answer to the whole query."""
    page.goto(path)
    box(page).press_sequentially(query)
    expect(page.get_by_role("region", name=f"Results for “{query}”")).to_be_visible()


def box(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Search")


def titles(page: Page) -> Locator:
    return page.locator("winnow-search .title")


def active(page: Page) -> Locator:
    """The result that the arrows have reached."""
    return page.locator("winnow-search [aria-selected=true] .title")


def expect_titles(page: Page, answer: Any) -> None:
    expect(titles(page)).to_have_text([result["title"] for result in answer["results"]])


def moves(answer: Any) -> list[str]:
    """How the page writes the way from the first stage's rank to the second's."""
    lines = []
    for result in answer["results"]:
        before, now = result["stages"]["fused"]["rank"], result["rank"]
        if before == now:
            lines.append(f"#{now} =")
        else:
            lines.append(f"#{before} → #{now} {'▲' if before > now else '▼'}{abs(before - now)}")
    return lines


def overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def test_a_visitor_can_type_at_once_and_is_offered_examples(page: Page) -> None:
    page.goto("/")
    expect(box(page)).to_be_focused()
    expect(page.locator("#counts")).to_have_text("8 documents")
    page.get_by_role("button", name="copy a file and its metadata").click()
    expect(titles(page).first).to_have_text("shutil.copy2")
    expect(page).to_have_url(re.compile(r"\?q=copy\+a\+file\+and\+its\+metadata$"))
    expect(page).to_have_title("copy a file and its metadata · Winnow")


def test_typing_shows_what_both_stages_did(page: Page, site: Site) -> None:
    ask(page)
    answer = site.search(QUERY)
    assert answer["score_kind"] == "relevance"
    expect_titles(page, answer)
    expect(page.locator(".relevance .number")).to_have_text(
        [f"{result['relevance_score']:.2f}" for result in answer["results"]]
    )
    expect(page.locator(".moved .way")).to_have_text(moves(answer))
    assert any("▲" in line for line in moves(answer)), "the documents no longer show a movement"
    expect(page.locator(".stage")).to_contain_text(["Embed", "Retrieve", "Rerank"])
    expect(page.locator(".stage.rerank")).to_contain_text(f"{answer['stages']['rerank']['scored']} scored")
    expect(page.locator("#status")).to_contain_text("ordered by relevance")
    expect(page.get_by_role("status")).to_have_text(f"Results: {len(answer['results'])}")


def test_a_result_shows_its_match_its_whole_text_and_its_scores(page: Page, site: Site) -> None:
    ask(page)
    answer = site.search(QUERY)
    at = next(number for number, one in enumerate(answer["results"]) if one["title"] == "shutil.copy2")
    wanted = answer["results"][at]
    result = page.locator(".details").nth(at)
    marks = [wanted["text"][span["start"] : span["end"]] for span in wanted["highlights"]]
    expect(page.locator("winnow-search .text").nth(at).locator("mark").first).to_have_text(marks[0])
    result.get_by_role("button", name="whole text").click()
    assert result.locator("mark").all_text_contents() == marks
    expect(result.locator(".whole")).to_contain_text("the link itself is copied.")
    result.get_by_role("button", name="Scores of each stage").click()
    ranks = [wanted["stages"][step] for step in ("dense", "sparse", "fused", "rerank")]
    expect(result.locator("tbody td:nth-child(2)")).to_have_text([f"#{one['rank']}" if one else "–" for one in ranks])


def test_without_the_second_stage_the_page_says_so(page: Page, site: Site) -> None:
    ask(page)
    page.get_by_role("switch", name="Rerank").uncheck()
    expect(page.locator(".stage.rerank")).to_contain_text("skipped")
    expect(page.locator("#status")).to_contain_text("ordered by retrieval score, not reranked")
    expect_titles(page, site.search(QUERY, rerank=False))
    expect(page.locator(".relevance .label").first).to_have_text("retrieval")
    expect(page).to_have_url(re.compile("rerank=off"))


def test_the_mode_and_the_number_of_results_are_asked_for(page: Page, site: Site) -> None:
    ask(page)
    page.get_by_role("radio", name="Keyword").check()
    expect_titles(page, site.search(QUERY, mode="sparse"))
    page.get_by_label("Results per page").select_option("5")
    expect_titles(page, site.search(QUERY, mode="sparse", top_n=5))


def test_a_chip_filters_and_back_undoes_it(page: Page) -> None:
    ask(page)
    everything = titles(page).all_text_contents()
    page.locator(".details").get_by_role("button", name="Filter by module: os").first.click()
    expect(titles(page)).to_have_text([re.compile(r"^os\.")] * 2)
    expect(page).to_have_url(re.compile(r"f\.module=os"))
    page.go_back()
    expect(titles(page)).to_have_text(everything)
    page.go_forward()
    page.get_by_role("button", name="Remove the filter module: os").click()
    expect(titles(page)).to_have_text(everything)


def test_each_query_that_was_meant_is_one_step_back(page: Page) -> None:
    ask(page, "parse a date")
    page.keyboard.press("Enter")
    box(page).fill("")
    box(page).press_sequentially("capture output")
    expect(titles(page).first).to_have_text("subprocess.run")
    page.go_back()
    expect(box(page)).to_have_value("parse a date")
    expect(titles(page).first).to_have_text("datetime.strptime")
    page.go_back()
    expect(page.get_by_role("heading", name="Ask in your own words")).to_be_visible()


def test_a_link_to_a_collection_that_is_gone_says_so(page: Page) -> None:
    page.goto("/?c=gone&q=file")
    expect(page.get_by_role("heading", name="There is no collection “gone”")).to_be_visible()
    page.get_by_role("list", name="Collections").get_by_role("button", name="python").click()
    expect(titles(page)).not_to_have_count(0)


def test_the_filter_panel_asks_by_the_type_of_each_field(page: Page) -> None:
    ask(page, "file")
    page.get_by_role("button", name="Filters").click()
    panel = page.get_by_role("region", name="Filters")
    module = panel.get_by_role("combobox", name="module")
    module.fill("shutil")
    module.press("Enter")
    expect(titles(page)).to_have_text([re.compile(r"^shutil\.")] * 3)
    expect(module).to_be_focused()
    year = panel.get_by_label("year, from")
    year.fill("2000")
    year.press("Enter")
    expect(titles(page)).to_have_text([re.compile("copy2|copytree")] * 2)
    panel.get_by_label("since, to").fill("2003-06-01")
    panel.get_by_label("since, to").press("Tab")
    expect(titles(page)).to_have_text(["shutil.copy2"])
    page.get_by_role("group", name="public").get_by_role("checkbox", name="true").check()
    expect(page).to_have_url(re.compile("f.public=true"))
    year.fill("2099")
    year.press("Enter")
    expect(page.locator(".state[part=state]")).to_have_text("Nothing found for “file”")
    page.get_by_role("button", name="Remove the filters").click()
    expect(titles(page)).not_to_have_count(0)


def test_a_link_to_a_search_restores_all_of_it(page: Page) -> None:
    page.goto("/?q=file&mode=dense&rerank=off&group=chunk&n=5&f.module=os&f.module=shutil&min.year=1995")
    expect(box(page)).to_have_value("file")
    expect(page.get_by_role("radio", name="Dense")).to_be_checked()
    expect(page.get_by_role("switch", name="Rerank")).not_to_be_checked()
    expect(page.get_by_label("Group results")).to_have_value("chunk")
    expect(page.get_by_label("Results per page")).to_have_value("5")
    expect(page.locator("#active-filters .chip")).to_have_text(
        [re.compile("module.*os"), re.compile("module.*shutil"), re.compile("year.*from 1995")]
    )
    expect(titles(page).filter(has_text="os.utime")).to_have_count(0)
    expect(titles(page).first).to_have_text(re.compile(r"^(os|shutil)\."))


def test_everything_can_be_done_from_the_keyboard(page: Page) -> None:
    ask(page)
    keys = page.keyboard
    found = titles(page).all_text_contents()
    keys.press("ArrowDown")
    expect(active(page)).to_have_text(found[0])
    keys.press("ArrowDown")
    expect(active(page)).to_have_text(found[1])
    keys.press("ArrowRight")
    scores = page.locator(".details").nth(1).get_by_role("button", name="Scores of each stage")
    expect(scores).to_be_focused()
    keys.press("Enter")
    expect(page.locator(".trace").nth(1)).to_be_visible()
    keys.press("ArrowUp")
    expect(active(page)).to_have_text(found[0])
    expect(box(page)).to_be_focused()
    keys.press("Escape")
    expect(box(page)).to_have_value("")
    expect(page.get_by_role("heading", name="Ask in your own words")).to_be_visible()
    keys.press("Tab")
    keys.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    keys.press("Escape")
    keys.press("/")
    expect(box(page)).to_be_focused()
    keys.type("capture output")
    keys.press("Enter")
    expect(page.get_by_role("region", name="Results for “capture output”")).to_be_visible()
    expect(titles(page).first).to_have_text("subprocess.run")
    page.get_by_role("switch", name="Rerank").focus()
    keys.press("Control+k")
    expect(box(page)).to_be_focused()
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(page).to_have_url(re.compile(r"\?q=timestamps#:~:text=|\?q=timestamps$"))
    expect(page.get_by_role("region", name="Results for “timestamps”")).to_be_visible()
    expect(box(page)).to_be_focused()
    keys.press("Escape")
    recent = page.locator("winnow-search [part=list]").get_by_role("option")
    expect(recent).to_have_text(["capture output"])
    keys.press("ArrowDown")
    keys.press("Shift+Delete")
    expect(recent).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto("/")
    expect(page.get_by_role("heading", name="Ask in your own words")).to_be_visible()
    assert violations(page) == []
    ask(page)
    page.get_by_role("button", name="Filters").click()
    expect(page.get_by_role("group", name="module")).to_be_visible()
    page.get_by_role("button", name="Scores of each stage").first.click()
    page.keyboard.press("ArrowDown")
    assert violations(page) == []


def test_the_focus_in_details_is_not_lost_when_they_are_drawn_again(page: Page) -> None:
    ask(page)
    page.locator(".details").first.get_by_role("button", name="Filter by module: shutil").press("Enter")
    expect(titles(page)).to_have_text([re.compile(r"^shutil\.")] * 3)
    expect(box(page)).to_be_focused()


def test_what_documents_say_is_never_run(page: Page) -> None:
    ask(page, "peculiar payload")
    result = page.locator("winnow-search .option").filter(has_text="peculiar")
    expect(result.locator(".title")).to_have_text("<img src=x onerror=document.title='owned'>")
    assert result.get_attribute("href") is None
    expect(result.locator("a, img, script, b")).to_have_count(0)
    expect(result.locator("mark")).to_have_text(["peculiar", "payload"])
    expect(page.locator(".details").locator("a, img, script, b:not(.moved b)")).to_have_count(0)
    expect(page.get_by_role("button", name="Filter by module: <b>bold</b>")).to_be_visible()
    expect(page).to_have_title("peculiar payload · Winnow")


def is_full(request: Request) -> bool:
    """Whether it asks both stages, and not for names while one types."""
    return request.method == "POST" and "mode" not in json.loads(request.post_data or "{}")


def test_a_newer_query_aborts_the_older(page: Page) -> None:
    aborted: list[str] = []
    page.on("requestfailed", lambda request: aborted.append(json.loads(request.post_data or "{}")["query"]))

    def hold(route: Route) -> None:
        body = json.loads(route.request.post_data or "{}")
        if body["query"] != "parse" or body.get("mode") == "instant":
            route.continue_()

    page.route(SEARCH, hold)
    page.goto("/")
    with page.expect_request(is_full):
        box(page).fill("parse")  # in one step, so that a slow machine sends no query in between
    with page.expect_event("requestfailed"):
        box(page).fill("parse a date")
    expect(titles(page).first).to_have_text("datetime.strptime")
    assert aborted == ["parse"]


def test_a_slow_backend_is_not_asked_for_every_key(page: Page) -> None:
    asked: list[str] = []

    def slow(route: Route) -> None:
        body = json.loads(route.request.post_data or "{}")
        instant = body.get("mode") == "instant"
        if not instant:
            asked.append(body["query"])
        if instant or body["query"] == "parse a date":
            route.continue_()

    page.route(SEARCH, slow)
    page.clock.install()
    page.goto("/")
    expect(page.locator("#counts")).to_be_visible()
    with page.expect_request(is_full):
        box(page).press_sequentially("parse")
        page.clock.run_for(300)
    page.clock.run_for(1000)  # no answer in a second: the next pause is at least that long
    box(page).press_sequentially(" a dat")
    page.clock.run_for(500)
    box(page).press_sequentially("e")
    page.clock.run_for(900)
    assert asked == ["parse"]
    page.clock.run_for(700)
    expect(titles(page).first).to_have_text("datetime.strptime")
    assert asked == ["parse", "parse a date"]


def test_a_degraded_answer_says_what_happened(page: Page, site: Site) -> None:
    answer = site.search(QUERY, rerank=False)
    answer["degraded"] = True
    answer["stages"]["rerank"] |= {"status": "timeout", "ms": 600, "reason": "no answer within 600 ms"}
    page.route(SEARCH, lambda route: route.fulfill(json=answer))
    ask(page)
    expect(page.locator(".trouble")).to_have_text(
        "Rerank ran out of time: no answer within 600 ms. Results keep the first stage's order."
    )


def test_an_error_is_shown_in_the_services_words_and_can_be_retried(page: Page, witness: Witness) -> None:
    problem = {"title": "Overloaded", "status": 503, "detail": "64 requests wait.", "code": "overloaded"}
    headers = {"Content-Type": "application/problem+json", "Retry-After": "2"}
    page.route(SEARCH, lambda route: route.fulfill(status=503, headers=headers, body=json.dumps(problem)))
    page.goto(f"/?q={QUERY}")
    expect(page.get_by_role("heading", name="Overloaded")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("64 requests wait.")
    page.unroute(SEARCH)
    page.get_by_role("button", name="Try again").click()
    expect(titles(page)).not_to_have_count(0)
    witness.expect_failed_request()


def test_a_limit_is_waited_for(page: Page, witness: Witness) -> None:
    problem = {"title": "Too many requests", "status": 429, "code": "rate_limited"}
    headers = {"Content-Type": "application/problem+json", "Retry-After": "60"}
    page.route(SEARCH, lambda route: route.fulfill(status=429, headers=headers, body=json.dumps(problem)))
    page.goto(f"/?q={QUERY}")
    expect(page.locator(".state[part=state]")).to_contain_text("Too many searches. Going on in")
    page.unroute(SEARCH)
    page.get_by_role("button", name="Try again").click()
    expect(titles(page)).not_to_have_count(0)
    witness.expect_failed_request()


def test_a_server_that_is_gone_is_named_as_such(page: Page, witness: Witness) -> None:
    ask(page)
    page.route(SEARCH, lambda route: route.abort())
    page.get_by_role("switch", name="Rerank").uncheck()
    expect(page.get_by_role("heading", name="The server does not answer")).to_be_visible()
    witness.expect_failed_request()


def test_a_key_is_asked_for_and_sent(page: Page, witness: Witness) -> None:
    def guard(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer wk_test":
            route.continue_(headers={**route.request.headers, "authorization": ""})
        else:
            route.fulfill(status=401, content_type="application/problem+json", body='{"title": "Unauthorized"}')

    page.route("**/v1/**", guard)
    page.goto(f"/?q={QUERY}")
    page.get_by_label("API key").fill("wk_test")
    page.get_by_role("button", name="Use it").click()
    expect(titles(page)).not_to_have_count(0)
    witness.expect_failed_request()


def test_an_empty_service_explains_how_to_begin(page: Page) -> None:
    page.route("**/v1/collections", lambda route: route.fulfill(json={"collections": []}))
    page.goto("/")
    expect(page.locator("#notice")).to_contain_text("winnow index ./docs -c docs")


def test_indexing_progress_is_shown_until_it_is_done(page: Page, site: Site) -> None:
    with page.expect_response("**/v1/collections") as listing:
        page.goto("/")
    body = listing.value.json()
    body["collections"][0]["counts"] |= {"documents": 10, "pending": 4}
    page.route("**/v1/collections", lambda route: route.fulfill(json=body))
    page.goto("/?q=file")
    expect(page.locator("#indexing")).to_contain_text("6 of 10 documents")
    expect(page.locator("#indexing")).to_be_hidden()
    expect(page.locator("#counts")).to_have_text("8 documents")


def test_the_search_can_be_copied_as_curl(page: Page, context: BrowserContext, site: Site) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, "it's a file", "/?f.module=os&rerank=off")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    words = shlex.split(page.evaluate("navigator.clipboard.readText()").replace("\\\n", ""))
    assert words[2] == f"{site.url}/v1/collections/python/search"
    body = json.loads(words[words.index("-d") + 1])
    assert body["query"] == "it's a file"
    expect_titles(page, site.call("POST", "/v1/collections/python/search", body))


def test_the_theme_follows_the_system_until_it_is_chosen(page: Page) -> None:
    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.emulate_media(color_scheme="light")
    page.goto("/")
    light = background()
    page.emulate_media(color_scheme="dark")
    dark = background()
    assert light != dark
    page.get_by_role("button", name="Theme: automatic").click()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert background() == light
    page.reload()
    assert background() == light


def test_nothing_needs_sideways_scrolling_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/")
    expect(page.get_by_role("button", name="split a path into name and extension")).to_be_visible()
    assert overflow(page) <= 0
    ask(page)
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("button", name="Scores of each stage").first.click()
    expect(page.locator(".trace").first).to_be_visible()
    assert overflow(page) <= 0
