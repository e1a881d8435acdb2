"""The example sites: built by their own tools, indexed as published, searched in a real browser, led to the words."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.browser_site import Site
from tests.browser.embedding import violations
from tests.support.served import ROOT

pytestmark = pytest.mark.browser

SITES = ROOT / "examples" / "sites"
PYTHON_TOOLS = (ROOT / os.environ.get("SITES_VENV", ".sites-venv") / "bin").absolute()
SECONDS = 280


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@contextmanager
def published(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(command: list[str], folder: Path, service: str) -> None:
    """Run a tool of the site; its output is shown if it fails."""
    environment = {**os.environ, "WINNOW_URL": service, "WINNOW_SCRIPT": f"{service}/widget/v1.js"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def plain(folder: Path, service: str) -> None:
    (folder / "_site").mkdir()
    for page in folder.glob("*.html"):
        (folder / "_site" / page.name).write_text(page.read_text().replace("http://127.0.0.1:8000", service))


def python_tool(name: str, *arguments: str) -> Callable[[Path, str], None]:
    def build(folder: Path, service: str) -> None:
        if not (PYTHON_TOOLS / name).exists():
            pytest.skip(f"{name} is not installed: make site-packages")
        run([str(PYTHON_TOOLS / name), *arguments], folder, service)

    return build


def node_tool(folder: Path, service: str) -> None:
    home = SITES / folder.name
    if not (home / "node_modules").exists():
        pytest.skip("the site's packages are not installed (they need npm): make site-packages")
    run(["npm", "run", "build"], home, service)  # in its place: bundlers resolve links to where the packages are
    shutil.copytree(home / "_site", folder / "_site")


BUILDERS: dict[str, Callable[[Path, str], None]] = {
    "plain": plain,
    "mkdocs": python_tool("mkdocs", "build", "--quiet", "--site-dir", "_site"),
    "sphinx": python_tool("sphinx-build", "-q", "-W", ".", "_site"),
    "vitepress": node_tool,
    "docusaurus": node_tool,
}


@pytest.mark.parametrize("name", BUILDERS)
def test_a_site_of_this_kind_is_searched(name: str, site: Site, context: BrowserContext, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(SITES / name, folder, ignore=shutil.ignore_patterns("node_modules", "_site", "build"))
    BUILDERS[name](folder, site.url)
    with published(folder / "_site") as address:
        key = _opened_to(address, site)
        site.command("index", f"site:{address}", "-c", "docs", "--allow-private", "--delay", "0", "--yes-delete")
        page = context.new_page()
        page.goto(address)
        page.locator("winnow-search").evaluate("(search, key) => { search.token = key; }", key)
        page.keyboard.press("Control+k")
        page.get_by_role("combobox", name="Search").press_sequentially("does a copy keep timestamps")
        first = page.locator("winnow-search [role=option]").first
        expect(first.locator(".text")).to_contain_text("keeps the timestamps")
        assert [line for line in violations(page) if "winnow-search" in line] == []
        page.keyboard.press("Enter")
        expect(page).to_have_title(re.compile("Copying"))
        assert "copying" in page.url
        page.close()
        site.command("collections", "delete", "docs", "--yes")  # the next site has another address


def _opened_to(address: str, site: Site) -> str:
    """A key for pages of an origin; the service is closed from the first one on."""
    return site.command("keys", "create", "-s", "search", "-c", "docs", "--origin", address.rstrip("/"))
