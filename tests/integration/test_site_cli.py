"""``winnow index site:…`` as a user meets it: indexed, searched, kept in step with the site."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import MODELS, variables


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.pages``."""

    def do_GET(self) -> None:
        text = self.server.pages.get(self.path)  # type: ignore[attr-defined]
        self.send_response(200 if text else 404)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    running: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    running.url = f"site:http://127.0.0.1:{running.server_port}/"
    running.pages = {
        "/": "<h1>Home</h1><a href='/copy'>copy</a><a href='/move'>move</a>",
        "/copy": "<h1>Copying</h1><h2 id='times'>Timestamps</h2><p>copy2 keeps a file's timestamps.</p>",
        "/move": "<h1>Moving</h1><p>move takes a file to another folder.</p>",
    }
    yield running
    running.shutdown()
    running.server_close()


def winnow(home: Path, *arguments: str) -> tuple[int, Any]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("WINNOW_")} | {
        "WINNOW_DATA_DIR": str(home),
        **variables(**MODELS),
    }
    command = [sys.executable, "-m", "winnow.cli.main", *arguments, "--json"]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode in {0, 1}, result.stderr
    return result.returncode, json.loads(result.stdout)


def test_a_site_is_indexed_searched_and_kept_in_step(server: Any, tmp_path: Path) -> None:
    index = ("index", server.url, "-c", "site", "--allow-private", "--delay", "0", "--delete-missing")
    code, planned = winnow(tmp_path, *index, "--dry-run")
    assert (code, len(planned["new"])) == (0, 3)
    code, done = winnow(tmp_path, *index)
    assert (code, done["documents"]["indexed"]) == (0, 3)

    _, answer = winnow(tmp_path, "search", "keeps timestamps", "-c", "site", "--top-n", "1")
    assert answer["results"][0]["url"].startswith(server.url.removeprefix("site:") + "copy")

    del server.pages["/move"]
    code, limited = winnow(tmp_path, *index, "--max-pages", "1")
    assert (code, limited["documents"]["deleted"]) == (1, 0)
    assert [failure["code"] for failure in limited["failures"]] == ["page_limit", "kept_missing"]
    code, done = winnow(tmp_path, *index)
    assert (code, done["documents"]["unchanged"], done["documents"]["deleted"]) == (0, 2, 1)


def test_loopback_is_refused_unless_it_is_permitted(server: Any, tmp_path: Path) -> None:
    code, done = winnow(tmp_path, "index", server.url, "-c", "site")
    assert (code, done["documents"]["indexed"]) == (1, 0)
    (failure,) = done["failures"]
    assert failure["code"] == "address_refused"
    assert "--allow-private" in failure["message"]
