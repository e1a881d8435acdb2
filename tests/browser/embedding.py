"""A site of another origin whose pages embed the search, and what accessibility checkers say of a page."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.served import ROOT

AXE = ROOT / os.environ.get("CLIENTS_NODE", ".clients-node") / "node_modules" / "axe-core" / "axe.min.js"
STRICT = "default-src 'none'; script-src {service}; connect-src {service}; require-trusted-types-for 'script'"


class Foreign:
    """Pages of another origin.

    Attributes:
        address: the origin.
        pages: HTML by path; every page is sent with the policy of ``policy``.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.pages: dict[str, str] = {}
        self.policy = ""

    def embed(self, path: str, service: str, attributes: str, *, lang: str = "en", more: str = "") -> str:
        """A page with one search box; returns its address. ``attributes`` are those of the element."""
        self.policy = STRICT.format(service=service)
        self.pages[path] = (
            f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>A site</title>'
            f'<script type="module" src="{service}/widget/v1.js"></script></head><body><main><h1>A site</h1>'
            f'<winnow-search endpoint="{service}" {attributes}></winnow-search>{more}</main></body></html>'
        )
        return self.address + path


@contextmanager
def foreign_site() -> Iterator[Foreign]:
    """Serve pages on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = site.pages.get(self.path.partition("?")[0])
            body = (page or "not here").encode()
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", site.policy)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Foreign(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def violations(page: Page) -> list[str]:
    """What axe-core finds on the page as it is shown now: the rule and where."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: make clients")
    page.evaluate(AXE.read_text())  # runs outside of the page's content security policy
    found = page.evaluate("axe.run().then((result) => result.violations)")
    return [f"{one['id']}: {json.dumps([node['target'] for node in one['nodes']])}" for one in found]
