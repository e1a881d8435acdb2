"""The documents that the page searches, the service that serves them, and a witness of what the page does."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page, Request

FIELDS = {"module": "keyword", "year": "integer", "since": "datetime", "public": "boolean"}


def _document(title: str, text: str, *, year: int, public: bool = True, url: str = "/?q=timestamps") -> dict[str, Any]:
    metadata = {"module": title.partition(".")[0], "year": year, "since": f"{year}-06-01T00:00:00Z", "public": public}
    return {"id": title, "title": title, "text": text, "url": url, "metadata": metadata}


DOCUMENTS = [
    _document("shutil.copy", "Copy a file and its mode bits. Timestamps are not kept.", year=1998),
    _document(
        "shutil.copy2",
        "Copy a file and keep its timestamps.\n\nAs much metadata as the platform allows is kept as well. "
        + "The destination may be a directory; then the file keeps its own name in there. " * 5
        + "Symbolic links are followed unless the caller says otherwise, and then the link itself is copied.",
        year=2003,
    ),
    _document("shutil.copytree", "Copy a whole tree of directories, file by file.", year=2008),
    _document("os.utime", "Set the timestamps of a file: when it was read and when it was written.", year=1994),
    _document("os.replace", "Rename a file, replacing the destination in one step.", year=2012, public=False),
    _document("datetime.strptime", "Parse a date string by a format.", year=2005),
    _document("subprocess.run", "Run a command and capture its output.", year=2015),
]
HOSTILE = {
    "id": "hostile",
    "title": "<img src=x onerror=document.title='owned'>",
    "text": "<script>document.title='owned'</script> peculiar 😀 payload",
    "url": "javascript:document.title='owned'",
    "metadata": {"module": "<b>bold</b>"},
}


@dataclass(frozen=True)
class Site:
    """A running service."""

    url: str
    command: Callable[..., str] = lambda *_: ""  # runs `winnow` on the site's machine and data, returns its output

    def call(self, method: str, path: str, body: object) -> Any:
        """Send JSON, return the JSON that comes back."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def read_names(self, collection: str) -> None:
        """Wait until the service has read the names of a collection: before, instant searches answer by keywords."""
        while True:
            address = f"{self.url}/v1/collections/{collection}/suggest?q=a"  # answers a moment later if they are not
            with urllib.request.urlopen(address, timeout=60) as response:
                if json.load(response)["ready"]:
                    return

    def search(self, query: str, **options: Any) -> Any:
        """What the service answers to a search of the collection that the page opens."""
        return self.call("POST", "/v1/collections/python/search", {"query": query, "highlight": True, **options})


@dataclass
class Witness:
    """Notes what a page must not do: complain on the console, or talk to another host."""

    home: str | tuple[str, ...]
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Listen to a page."""
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._request)

    def expect_failed_request(self) -> None:
        """Leave out that the browser reports a request which failed on purpose."""
        self.complaints = [line for line in self.complaints if not line.startswith("Failed to load resource")]

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    def _request(self, request: Request) -> None:
        home = (self.home,) if isinstance(self.home, str) else self.home
        if not request.url.startswith((*home, "data:")):
            self.strangers.append(request.url)
