"""A real service in its own process, a few documents in it, and a real browser in front of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.browser_site import DOCUMENTS, FIELDS, HOSTILE, Site, Witness
from tests.browser.embedding import Foreign, foreign_site
from tests.support.served import served

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The service as `winnow serve` starts it, on a free port, with models that need no weights."""
    with served(tmp_path_factory.mktemp("site")) as service:
        site = Site(service.address, service.command)
        site.call("PUT", "/v1/collections/python", {"fields": FIELDS})
        site.call("POST", "/v1/collections/python/documents?wait=true", {"documents": [*DOCUMENTS, HOSTILE]})
        site.read_names("python")
        yield site


@pytest.fixture(scope="module")
def foreign() -> Iterator[Foreign]:
    """A site of another origin."""
    with foreign_site() as site:
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium from the machine."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: install one of {', '.join(BROWSERS)}, or name it in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    """A browser profile of its own, with a desktop's window."""
    context = browser.new_context(base_url=site.url, viewport={"width": 1100, "height": 900})
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def witness(site: Site) -> Witness:
    """What the page of this test did beside its work."""
    return Witness(site.url)


@pytest.fixture
def page(context: BrowserContext, witness: Witness) -> Iterator[Page]:
    """An empty tab that must stay clean: no errors, no other hosts."""
    page = context.new_page()
    witness.watch(page)
    yield page
    page.unroute_all(behavior="ignoreErrors")
    assert witness.complaints == []
    assert witness.strangers == []
