"""``winnow reembed`` as a user meets it: real processes, Qdrant Edge, SQLite; deterministic models for quickness."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import EMBEDDER, variables
from tests.integration.test_cli import Cli

NEXT = variables(next_embedding=EMBEDDER | {"dimensions": 32})
DOCUMENTS = 40


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Commands with a next model, and no reranker that would hide what the first stage finds."""
    made = Cli(tmp_path)
    del made.env["WINNOW_RERANK__FACTORY"]
    made.env |= NEXT | {"WINNOW_RERANK__PROVIDER": "none"}
    return made


@pytest.fixture
def docs(cli: Cli, tmp_path: Path) -> Cli:
    """The collection ``docs``, indexed with 64 dimensions."""
    fill(cli, tmp_path, DOCUMENTS)
    return cli


def fill(cli: Cli, folder: Path, number: int) -> None:
    lines = [json.dumps({"id": f"d{each}", "text": f"apple{each} pear{each} {sign(each)}"}) for each in range(number)]
    (folder / "docs.jsonl").write_text("\n".join(lines))
    assert cli.json("index", str(folder / "docs.jsonl"), "-c", "docs")["documents"]["indexed"] == number


def sign(number: int) -> str:
    """A character of private use: the model knows it, the keyword arm does not."""
    return chr(0xE000 + number % 256)


def dimensions(report: dict[str, Any]) -> tuple[int, int | None]:
    other = report["other"]
    return report["serving"]["dimensions"], None if other is None else other["dimensions"]


def found(cli: Cli, query: str) -> str:
    answer = cli.json("search", query, "-c", "docs", "--top-n", "1")
    return str(answer["results"][0]["document_id"])


def test_one_command_builds_and_switches_and_says_what_to_set(docs: Cli) -> None:
    estimated = docs.json("reembed", "-c", "docs", "--dry-run")
    assert (estimated["state"], estimated["estimate"]["chunks"]) == ("none", DOCUMENTS)
    result = docs("reembed", "-c", "docs")
    assert result.returncode == 0, result.stderr
    assert f"{DOCUMENTS} of {DOCUMENTS} documents in both" in result.stdout
    assert "--rollback" in result.stderr
    assert "WINNOW_EMBEDDING__DIMENSIONS=32" in result.stderr
    assert found(docs, "pear7") == "d7"
    back = docs("reembed", "-c", "docs", "--rollback")
    assert back.returncode == 0, back.stderr
    assert "WINNOW_EMBEDDING__DIMENSIONS=32" not in back.stderr
    assert found(docs, "pear7") == "d7"
    dropped = docs.json("reembed", "-c", "docs", "--drop")
    assert (dropped["state"], dimensions(dropped)) == ("none", (64, None))


def test_step_by_step(docs: Cli) -> None:
    built = docs.json("reembed", "-c", "docs", "--no-switch")
    assert (built["state"], dimensions(built), built["done"]) == ("ready", (64, 32), DOCUMENTS)
    shown = docs("reembed", "-c", "docs", "--status")
    assert "ready: winnow reembed -c docs --switch" in shown.stderr
    assert dimensions(docs.json("reembed", "-c", "docs", "--switch")) == (32, 64)
    again = docs("reembed", "-c", "docs")
    assert again.returncode == 1
    assert "already" in again.stderr
    dropped = docs.json("reembed", "-c", "docs", "--drop")
    assert (dropped["state"], dimensions(dropped)) == ("none", (32, None))
    for_good = {"WINNOW_EMBEDDING__DIMENSIONS": "32"}
    searched = docs("search", "apple3", "-c", "docs", "--json", **for_good)
    assert json.loads(searched.stdout)["results"][0]["document_id"] == "d3"


def test_a_model_that_finds_less_is_switched_to_by_force_only(docs: Cli, tmp_path: Path) -> None:
    queries = [json.dumps({"_id": f"q{each}", "text": sign(each)}) for each in range(DOCUMENTS)]
    (tmp_path / "queries.jsonl").write_text("\n".join(queries))
    judged = [f"q{each}\td{each}\t1" for each in range(DOCUMENTS)]
    (tmp_path / "qrels.tsv").write_text("\n".join(judged))
    worse = {"WINNOW_NEXT_EMBEDDING__DIMENSIONS": "2"}
    refused = docs("reembed", "-c", "docs", "--data", str(tmp_path), "--json", **worse)
    assert refused.returncode == 1, refused.stderr
    report = json.loads(refused.stdout)
    assert (report["state"], dimensions(report)) == ("ready", (64, 2))
    comparison = report["comparison"]
    assert comparison["queries"] == DOCUMENTS
    assert comparison["difference"]["high"] < 0
    assert comparison["serving"]["mean"] > comparison["other"]["mean"]
    forced = docs("reembed", "-c", "docs", "--data", str(tmp_path), "--force", "--json", **worse)
    assert forced.returncode == 0, forced.stderr
    assert dimensions(json.loads(forced.stdout)) == (2, 64)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--status", "--drop"), 2, "--status and --drop cannot be combined"),
        (("--data", "/no/such/folder"), 2, "queries.jsonl"),
    ],
)
def test_a_mistake_is_answered_with_one_line(cli: Cli, arguments: tuple[str, ...], status: int, says: str) -> None:
    result = cli("reembed", "-c", "docs", *arguments)
    assert (result.returncode, result.stdout) == (status, "")
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_that_was_killed_goes_on(cli: Cli, tmp_path: Path) -> None:
    number = 300
    fill(cli, tmp_path, number)
    process = cli.start("reembed", "-c", "docs")
    while not 0 < built(cli) < number:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert built(cli) < number
    assert dimensions(cli.json("reembed", "-c", "docs")) == (32, 64)
    assert found(cli, "apple299") == "d299"


def built(cli: Cli) -> int:
    with closing(sqlite3.connect(cli.home / "data" / "winnow.db", timeout=30)) as database:
        return int(database.execute("SELECT count(*) FROM documents WHERE built IS NOT NULL").fetchone()[0])


@pytest.fixture
def server(docs: Cli) -> Iterator[subprocess.Popen[str]]:
    with docs.start("serve", "--port", "0") as process:
        assert process.stdout is not None
        assert any("Winnow serves" in line for line in process.stdout)
        yield process
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_a_running_server_does_it_with_the_model_it_is_configured_with(
    docs: Cli, server: subprocess.Popen[str]
) -> None:
    other = docs("reembed", "-c", "docs", "--dimensions", "48")
    assert other.returncode == 2
    assert "WINNOW_NEXT_EMBEDDING__DIMENSIONS=48" in other.stderr
    assert dimensions(docs.json("reembed", "-c", "docs", "--dimensions", "32")) == (32, 64)
    assert found(docs, "pear7") == "d7"
    assert server.poll() is None
