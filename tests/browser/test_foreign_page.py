"""A page of another origin in a real browser, in every way that pages have, on every route: nothing is done or read.

Of a service on loopback without a key, as on a developer's laptop, and of one with the settings of ``compose.yaml``.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.browser_site import DOCUMENTS, FIELDS
from tests.browser.embedding import foreign_site
from tests.support.served import served

pytestmark = pytest.mark.browser

SECRET: Final = "a-secret-of-the-operator-of-36-chars"
COMPOSE: Final = {
    "WINNOW_SERVER__HOST": "0.0.0.0",
    "WINNOW_SERVER__BOOTSTRAP_KEY": SECRET,
    "WINNOW_SERVER__ALLOWED_HOSTS": '["winnow", "service", "service-gpu"]',
}
# names that exist, so that a request would do something
EXISTING: Final = {"name": "python", "id": "shutil.copy", "document_id": "shutil.copy", "vector_store_id": "python"}
# beside OpenAPI: other protocols, files, pages, and what is open to all
UNLISTED: Final = [
    ("get", "/mcp"),
    ("post", "/mcp"),
    ("delete", "/mcp"),
    ("get", "/"),
    ("get", "/analytics"),
    ("get", "/docs"),
    ("get", "/openapi.json"),
    ("get", "/static/page.js"),
    ("get", "/widget/v1.js"),
    ("get", "/widget/v1.json"),
]
CALL: Final = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_collections"}}
PAGE: Final = """
async ({service, routes, body}) => {
  const read = [];
  const note = (how, url) => read.push(how + " " + url.slice(service.length));
  const ask = async (how, url, options) => {
    try {
      const answer = await fetch(url, {credentials: "omit", ...options});
      if (answer.type !== "opaque") { await answer.text(); note(how, url); }
    } catch {}
  };
  const load = (tag, url) => new Promise((done) => {
    const element = document.createElement(tag);
    element.onload = () => { note(tag, url); done(); };
    element.onerror = done;
    element.src = url;
    document.head.append(element);
  });
  const events = (url) => new Promise((done) => {
    const source = new EventSource(url);
    source.onopen = () => { note("events", url); source.close(); done(); };
    source.onerror = () => { source.close(); done(); };
  });
  const submit = (url) => new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.name = "to " + url;
    const form = document.createElement("form");
    Object.assign(form, {method: "post", action: url, enctype: "text/plain", target: frame.name});
    const field = document.createElement("input");
    Object.assign(field, {name: body.slice(0, -1) + ',"x":"', value: '"}'});
    form.append(field);
    document.body.append(frame, form);
    frame.onload = done;
    form.submit();
    setTimeout(done, 3000);
  });
  const plain = {"Content-Type": "text/plain"};
  for (const [method, path] of routes) {
    const url = service + path;
    const options = {method: method.toUpperCase()};
    const ways = [ask("cors", url, {...options, ...(method === "get" ? {} : {headers: plain, body})})];
    if (method === "get") {
      ways.push(ask("no-cors", url, {mode: "no-cors"}), load("img", url), load("script", url), events(url));
      ways.push(ask("steps", url, {headers: {Accept: "text/event-stream"}}));
    } else {
      ways.push(ask("json", url, {...options, headers: {"Content-Type": "application/json"}, body}));
      ways.push(ask("key", url, {...options, headers: {...plain, Authorization: "Bearer none"}, body}));
    }
    if (method === "post") {
      ways.push(ask("no-cors", url, {...options, mode: "no-cors", headers: plain, body}), submit(url));
      navigator.sendBeacon(url, body);
    }
    await Promise.all(ways);
  }
  return read;
}
"""


class Target:
    """A service, asked as its operator asks it."""

    def __init__(self, address: str, key: str) -> None:
        self.address = address
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})

    def call(self, method: str, path: str, body: Any = None) -> str:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, self._headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return str(response.read().decode())

    def routes(self) -> list[tuple[str, str]]:
        paths = json.loads(self.call("GET", "/openapi.json"))["paths"]
        listed = [(method, path) for path, operations in paths.items() for method in operations]
        return [(method, re.sub(r"\{(\w+)\}", _existing, path)) for method, path in listed] + UNLISTED

    def changes(self) -> Counter[tuple[str, str]]:
        """Requests of unsafe methods so far, by method and status."""
        found: Counter[tuple[str, str]] = Counter()
        for line in self.call("GET", "/metrics").splitlines():
            if line.startswith("winnow_http_request_seconds_count"):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
                if labels["method"] not in ("GET", "HEAD", "OPTIONS"):
                    found[labels["method"], labels["status"]] += int(float(line.rpartition(" ")[2]))
        return found


def _existing(name: re.Match[str]) -> str:
    return EXISTING.get(name[1], "python")


@pytest.fixture(params=["loopback", "compose"])
def target(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Target]:
    """A service with a collection."""
    settings, key = (COMPOSE, SECRET) if request.param == "compose" else ({}, "")
    with served(tmp_path, **settings) as service:
        target = Target(re.sub(r"//[\d.]+:", "//127.0.0.1:", service.address), key)
        target.call("PUT", "/v1/collections/python", {"fields": FIELDS})
        target.call("POST", "/v1/collections/python/documents?wait=true", {"documents": DOCUMENTS})
        yield target


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty tab."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_a_foreign_page_does_and_reads_nothing(page: Page, target: Target) -> None:
    routes = target.routes()
    assert len(routes) > 60
    before, documents = target.changes(), target.call("GET", "/v1/collections/python/documents?limit=100")
    with foreign_site() as foreign:
        foreign.pages["/"] = "<!doctype html><title>Elsewhere</title><body></body>"
        page.goto(f"{foreign.address}/")
        read = page.evaluate(PAGE, {"service": target.address, "routes": routes, "body": json.dumps(CALL)})
    done = target.changes() - before
    assert {status for _, status in done} == {"403"}
    assert done["POST", "403"] > 2 * sum(method == "post" for method, _ in routes)
    assert [each for each in read if not each.split(" ")[1].startswith("/widget/")] == []
    assert "cors /widget/v1.js" in read
    assert target.call("GET", "/v1/collections/python/documents?limit=100") == documents
