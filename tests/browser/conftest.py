"""A real service in its own process, a few documents in it, and a real browser in front of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.browser_site import DOCUMENTS, FIELDS, HOSTILE, Site, Witness
from tests.fakes import MODELS, variables

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
    folder = tmp_path_factory.mktemp("site")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("WINNOW_")},
        **variables(**MODELS),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "winnow.cli.main", "serve", "--port", "0", "--data-dir", str(folder / "data")]
    log = folder / "log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            site = Site(_address(process, log), partial(_command, environment, folder / "data"))
            site.call("PUT", "/v1/collections/python", {"fields": FIELDS})
            site.call("POST", "/v1/collections/python/documents?wait=true", {"documents": [*DOCUMENTS, HOSTILE]})
            yield site
        finally:
            process.terminate()
            process.communicate(timeout=30)


def _command(environment: dict[str, str], data: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "winnow.cli.main", *arguments, "--data-dir", str(data)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://[\d.]+:\d+", line):
            return found.group()
    pytest.fail(f"the service did not start:\n{log.read_text()}")


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
