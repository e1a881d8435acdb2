"""``winnow analytics``: on the data directory alone, and through a running service that records."""

from __future__ import annotations

import json
import signal
import urllib.request
from pathlib import Path
from typing import Any

from tests.integration.test_cli import Cli


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def test_what_visitors_did_is_shown_exported_and_deleted(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.env["WINNOW_ANALYTICS__ENABLED"] = "true"
    (tmp_path / "documents.jsonl").write_text('{"id": "a", "text": "some words"}\n')
    cli("index", str(tmp_path / "documents.jsonl"), "-c", "docs")
    with cli.start("serve", "--port", "0") as server:
        assert server.stdout is not None
        line = next(line for line in server.stdout if "Winnow serves" in line)
        service = line.split()[2]
        search = f"{service}/v1/collections/docs/search"
        found = post(search, {"query": "some words", "session": "s"})
        post(search, {"query": "other words", "session": "t"})
        click = {"type": "click", "search_id": found["search_id"], "document_id": "a", "position": 1}
        assert post(f"{service}/v1/events", {"events": [click]}) == {"accepted": 1, "rejected": []}
        running = cli.json("analytics", "-c", "docs", "--days", "2")
        assert (running["totals"]["searches"], running["totals"]["clicks"]) == (2, 1)
        server.send_signal(signal.SIGTERM)
    alone = cli.json("analytics")
    assert alone["analytics"][0]["totals"] == running["totals"]
    shown = cli("analytics", "-c", "docs").stdout
    assert "2 searches (50% clicked)" in shown
    assert "some words" in shown
    lines = [json.loads(each) for each in cli("analytics", "export", "-c", "docs").stdout.splitlines()]
    assert [(each["query"], len(each["events"])) for each in lines] == [("some words", 1), ("other words", 0)]
    refused = cli("analytics", "export", "-c", "docs", "--to", str(tmp_path / "missing" / "x.jsonl"))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
    cli("analytics", "export", "-c", "docs", "--to", str(tmp_path / "x.jsonl"))
    assert (tmp_path / "x.jsonl").read_text().count("\n") == 2
    gone = cli.json("analytics", "delete", "-c", "docs", "--session", "s", "--yes")
    assert gone == {"searches": 1, "events": 1}
    assert cli.json("analytics", "-c", "docs")["totals"]["searches"] == 1
