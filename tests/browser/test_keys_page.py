"""The search page of a service that needs a key: asked for once, and a refused one is told apart from a missing one."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.browser_site import Site, Witness


@pytest.fixture(scope="module")
def keys(site: Site) -> dict[str, str]:
    """Keys of three kinds; the first one closes the site."""
    made = {"reader": site.call("POST", "/v1/keys", {"scopes": ["documents:read"]})["key"]}
    made["search"] = site.command("keys", "create", "-s", "search", "-c", "python")
    made["operate"] = site.command("keys", "create", "-s", "operate", "-c", "python")
    made["revoked"] = site.command("keys", "create")
    site.command("keys", "revoke", made["revoked"][:12])
    return made


def test_the_page_of_analytics_asks_for_a_key_that_operates(page: Page, keys: dict[str, str], witness: Witness) -> None:
    page.goto("/analytics")
    expect(page.get_by_role("heading", name="A key is needed")).to_be_visible()
    give(page, keys["revoked"])
    expect(page.get_by_role("heading", name="The key was refused")).to_be_visible()
    give(page, keys["search"])
    expect(page.get_by_role("heading", name="This key does not allow that")).to_be_visible()
    expect(page.locator("#report")).to_contain_text("lacks the scope operate")
    give(page, keys["operate"])
    expect(page.get_by_role("heading", name="Searches are not recorded here")).to_be_visible()
    witness.expect_failed_request()


def give(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use it").click()


def test_a_key_is_asked_for_once_and_a_refusal_says_why(page: Page, keys: dict[str, str], witness: Witness) -> None:
    page.goto("/?q=file")
    expect(page.get_by_role("heading", name="A key is needed")).to_be_visible()
    give(page, keys["revoked"])
    expect(page.get_by_role("heading", name="The key was refused")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("was revoked")
    give(page, keys["reader"])
    expect(page.get_by_role("heading", name="This key does not allow that")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("lacks the scope search")
    give(page, keys["search"])
    expect(page.locator("winnow-search .title")).not_to_have_count(0)
    page.reload()
    expect(page.locator("winnow-search .title")).not_to_have_count(0)
    assert page.get_by_label("API key").count() == 0
    witness.expect_failed_request()
