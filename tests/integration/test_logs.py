"""The log of a real process in each format: one line an event, and what it says."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from tests.support.served import Served, served


def lines_of(folder: Path, log_format: str) -> list[str]:
    """What a service logs that was probed, indexed a document and answered a search."""
    (folder / "docs").mkdir()
    (folder / "docs" / "one.md").write_text("# One\n\nsome words\n")
    with served(folder, WINNOW_LOG_FORMAT=log_format) as service:
        service.command("index", str(folder / "docs"), "-c", "docs")
        _get(service, "/healthz")
        _get(service, "/v1/collections/docs/search?q=words")
    return (folder / "log").read_text().splitlines()


def _get(service: Served, path: str) -> None:
    with urllib.request.urlopen(service.address + path, timeout=30) as answer:
        assert answer.status == 200


def test_every_line_is_an_object_in_json(tmp_path: Path) -> None:
    entries = [json.loads(line) for line in lines_of(tmp_path, "json")]
    by_event = {entry["event"]: entry for entry in entries}
    assert [entry["event"] for entry in entries].count("serving") == 1
    assert by_event["serving"]["indexes"] is True
    assert by_event["batch"]["collection"] == "docs"
    assert (by_event["batch"]["documents"], by_event["batch"]["failed"]) == (1, 0)
    searches = [entry for entry in entries if entry.get("route") == "/v1/collections/{name}/search"]
    assert [entry["collection"] for entry in searches] == ["docs"]
    assert not [entry for entry in entries if entry.get("route") == "/healthz"]
    assert all({"timestamp", "level", "event"} <= entry.keys() for entry in entries)
    assert "some words" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("log_format", "start"), [("logfmt", "timestamp="), ("text", "20")])
def test_other_formats_begin_with_the_time(tmp_path: Path, log_format: str, start: str) -> None:
    lines = lines_of(tmp_path, log_format)
    assert all(line.startswith(start) for line in lines), lines
    assert len([line for line in lines if "serving" in line]) == 1
