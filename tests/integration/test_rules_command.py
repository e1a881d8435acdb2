"""``winnow rules``: YAML in and out, on the data directory alone and through a running service."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import yaml

from tests.integration.test_cli import Cli

RULES = """
synonyms:
  - words: [sofa, couch]
  - {from: js, to: [JavaScript], language: no}
pins:
  - {query: opening hours, match: contains, documents: [a]}
hidden:
  - {query: prices, documents: [1]}
stop_words: [the, no, {words: [der], language: de}]
"""
KEPT = {
    "synonyms": [{"words": ["sofa", "couch"]}, {"from": "js", "to": ["JavaScript"], "language": "no"}],
    "pins": [{"query": "opening hours", "match": "contains", "documents": ["a"]}],
    "hidden": [{"query": "prices", "match": "exact", "documents": ["1"]}],
    "stop_words": ["the", "no", {"words": ["der"], "language": "de"}],
}


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    made = Cli(tmp_path)
    (tmp_path / "documents.jsonl").write_text('{"id": "a", "text": "some words"}\n')
    made("index", str(tmp_path / "documents.jsonl"), "-c", "docs")
    (tmp_path / "rules.yaml").write_text(RULES)
    return made


def test_rules_go_in_and_out_as_yaml(cli: Cli, tmp_path: Path) -> None:
    file, other = str(tmp_path / "rules.yaml"), tmp_path / "exported.yaml"
    cli("rules", "import", file, "-c", "docs", "--version", "0")
    assert cli.json("rules", "show", "-c", "docs") == {**KEPT, "version": 1}
    cli("rules", "export", "-c", "docs", "--to", str(other))
    assert yaml.safe_load(other.read_text()) == KEPT
    with cli.start("serve", "--port", "0") as server:
        assert server.stdout is not None
        next(line for line in server.stdout if "Winnow serves" in line)
        assert cli.json("rules", "show", "-c", "docs") == {**KEPT, "version": 1}
        cli("rules", "clear", "-c", "docs", "--version", "1")
        cli("rules", "import", str(other), "-c", "docs")
        server.send_signal(signal.SIGTERM)
    assert cli.json("rules", "show", "-c", "docs") == {**KEPT, "version": 3}
    cli("rules", "clear", "-c", "docs")
    empty = {name: [] for name in KEPT}
    assert yaml.safe_load(cli("rules", "export", "-c", "docs").stdout) == empty


def test_wrong_files_are_refused_with_the_place(cli: Cli, tmp_path: Path) -> None:
    wrong = {
        "stop_words: [of the]": "stop_words.0",
        "pins: [{query: a, match: like, documents: [x]}]": "pins.0.match",
        "synonym: []": "synonym",
        "- a": "synonyms, pins, hidden and stop_words",
        "a: [": "not YAML",
        "version: 7": "version 0",
    }
    for text, says in wrong.items():
        (tmp_path / "wrong.yaml").write_text(text)
        done = cli("rules", "import", str(tmp_path / "wrong.yaml"), "-c", "docs")
        assert done.returncode != 0, text
        assert says in done.stderr, text
