"""The command line as a user meets it: real processes, Qdrant Edge, SQLite; deterministic models for quickness."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fakes import MODELS, variables
from tests.files import docx, pdf, write

PAGES = {
    "copy.md": "---\ntitle: Copying\nlang: en\n---\n# Copying\n\n## Timestamps\n\ncopy2 keeps a file's timestamps.\n",
    "move.md": "# Moving\n\nmove takes a file to another folder.\n",
    "notes.txt": "A note about nothing in particular.\n",
}


class Cli:
    """Runs `winnow` on a data directory of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("WINNOW_")} | {
            "WINNOW_DATA_DIR": str(home / "data"),
            **variables(**MODELS),
            "COLUMNS": "200",
        }

    def __call__(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "winnow.cli.main", *arguments]
        return subprocess.run(
            command,
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def json(self, *arguments: str) -> Any:
        result = self(*arguments, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "winnow.cli.main", *arguments]
        return subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    folder.mkdir()
    for name, text in PAGES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def server(cli: Cli) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with cli.start("serve", "--port", "0") as process:
        assert process.stdout is not None
        lines = (line for line in process.stdout if "Winnow serves" in line)
        yield process, next(word for line in lines for word in line.split() if "http" in word)
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_told_to_stop_closes_everything_first(
    cli: Cli, pages: Path, server: tuple[subprocess.Popen[str], str], number: signal.Signals
) -> None:
    cli.json("index", str(pages), "-c", "docs")
    process, _ = server
    engines = psutil.Process(process.pid).children(recursive=True)
    assert engines, "the vector engine runs in a process of its own"
    process.send_signal(number)
    assert process.wait(30) == 0
    assert not any(engine.is_running() for engine in engines)
    assert not (cli.home / "data" / "winnow.db-wal").exists(), "a database that was closed has no log left"


def test_a_folder_is_indexed_searched_and_kept_in_step(cli: Cli, pages: Path) -> None:
    first = cli.json("index", str(pages), "-c", "docs", "--field", "lang=keyword")
    assert first["documents"] == {"seen": 3, "indexed": 3, "unchanged": 0, "deleted": 0, "failed": 0}

    answer = cli.json("search", "keeps timestamps", "-c", "docs", "--top-n", "1")
    best = answer["results"][0]
    assert (best["document_id"], best["chunk"]["headings"][-1]) == ("copy.md", "Timestamps")
    assert 0 <= best["relevance_score"] <= 1
    assert answer["score_kind"] == "relevance"
    packed = cli.json("search", "keeps timestamps", "-c", "docs", "--expand", "1", "--max-tokens", "60")
    assert 0 < packed["tokens"] == sum(each["tokens"] for each in packed["results"]) <= 60

    again = cli.json("index", str(pages), "-c", "docs")
    assert again["documents"]["unchanged"] == 3
    assert again["chunks_embedded"] == 0

    (pages / "move.md").unlink()
    (pages / "notes.txt").write_text("Another note.")
    planned = cli.json("index", str(pages), "-c", "docs", "--delete-missing", "--dry-run")
    assert (planned["changed"], planned["missing"], planned["unchanged"]) == (["notes.txt"], ["move.md"], 1)
    third = cli.json("index", str(pages), "-c", "docs", "--delete-missing")
    assert third["documents"] == {"seen": 2, "indexed": 1, "unchanged": 1, "deleted": 1, "failed": 0}

    filtered = cli.json("search", "a", "-c", "docs", "--filter", '{"type": "eq", "key": "lang", "value": "en"}')
    assert [result["document_id"] for result in filtered["results"]] == ["copy.md"]


def test_what_cannot_be_read_is_named_and_the_rest_is_indexed(cli: Cli, pages: Path) -> None:
    (pages / "binary.md").write_bytes(b"\x00\x01\x02" * 100)
    (pages / "latin.txt").write_bytes("größe".encode("latin-1"))
    (pages / "empty.md").write_text("")
    (pages / "broken.md").write_text("---\ntitle: [unclosed\n---\ntext")
    lines = [
        '{"id": "x", "text": "fine"}',
        '{"text": "no id"}',
        "not json",
        '{"id": "n", "text": "t", "metadata": {"a": NaN}}',
    ]
    (pages / "data.jsonl").write_text("\n".join(lines))
    result = cli("index", str(pages), "-c", "docs", "--json")
    assert result.returncode == 1
    summary = json.loads(result.stdout)
    named = {Path(item["source"]).name for item in summary["failures"]}
    assert named == {"binary.md", "empty.md", "data.jsonl:2", "data.jsonl:3", "data.jsonl:4"}
    assert summary["documents"]["indexed"] == 6
    lost = {(warning["id"], warning["code"]) for warning in summary["warnings"]}
    assert lost == {("latin.txt", "encoding_detected"), ("broken.md", "invalid_front_matter")}


def test_inspect_prints_what_would_be_indexed_and_stores_nothing(cli: Cli, pages: Path) -> None:
    (pages / "empty.md").write_text("")
    result = cli("inspect", str(pages), "--json")
    assert result.returncode == 1
    rows = {row.get("id") or row["source"]: row for row in map(json.loads, result.stdout.splitlines())}
    page = rows["copy.md"]
    assert (page["title"], page["source_format"], page["metadata"]) == ("Copying", "markdown", {"lang": "en"})
    for chunk in page["chunks"]:
        assert chunk["text"] == chunk["prefix"] + page["text"][chunk["start"] : chunk["end"]]
    assert rows[str(pages / "empty.md")]["code"] == "empty"
    assert not (cli.home / "data" / "winnow.db").exists()


def test_inspect_reads_a_file_as_a_server_would_have_sent_it(cli: Cli, pages: Path) -> None:
    (pages / "a.html").write_bytes("<p>朱镕基，囍".encode("gbk"))
    result = cli("inspect", str(pages / "a.html"), "--content-type", "text/html; charset=gb2312", "--json")
    assert json.loads(result.stdout)["text"] == "朱镕基，囍"


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory hold on Linux only")
def test_hostile_files_are_named_and_the_job_goes_on(cli: Cli, pages: Path) -> None:
    write(pages / "swells.pdf", pdf(["x"], stream=b"BT (a) Tj ET" + b" " * 2**29))
    write(pages / "swells.docx", docx(("Normal", "x"), padding=300 * 2**20))
    write(pages / "deep.html", b"<div>" * 100_000 + b"<p>Deep down.</p>")
    write(pages / "wide.csv", b",".join(b"c%d" % n for n in range(1_000_000)))
    pq.write_table(pa.table({"price": [1.5]}), pages / "prices.parquet")
    result = cli("index", str(pages), "-c", "docs", "--json")
    assert result.returncode == 1
    summary = json.loads(result.stdout)
    named = {Path(item["source"]).name: item["message"] for item in summary["failures"]}
    assert (
        {"swells.pdf", "swells.docx", "wide.csv", "prices.parquet"}
        <= set(named)
        <= {*("swells.pdf", "swells.docx", "wide.csv", "prices.parquet", "deep.html")}
    )
    assert all(named.values())
    assert summary["documents"]["indexed"] == (3 if "deep.html" in named else 4)
    assert cli.json("search", "keeps timestamps", "-c", "docs")["results"][0]["document_id"] == "copy.md"


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("index", "/no/such/folder", "-c", "docs"), 2, "/no/such/folder"),
        (("search", "x", "-c", "nowhere"), 1, "nowhere"),
        (("search", "  ", "-c", "docs"), 2, "query"),
        (("search", "x", "-c", "docs", "--filter", "{"), 2, "--filter"),
        (("index", "python", "-c", "bad name!"), 2, "bad name!"),
        (("serve", "--host", "0.0.0.0", "--port", "0"), 2, "--insecure"),
        (("eval", "--data", "/no/such/folder"), 2, "corpus.jsonl"),
    ],
)
def test_a_mistake_is_answered_with_one_line_that_names_it(
    cli: Cli, arguments: tuple[str, ...], status: int, says: str
) -> None:
    result = cli(*arguments)
    assert (result.returncode, result.stdout) == (status, "")
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_setting_is_an_error(cli: Cli) -> None:
    result = cli("doctor", WINNOW_EMBEDING__PROVIDER="fake")
    assert result.returncode == 2
    assert "WINNOW_EMBEDING__PROVIDER" in result.stderr


def test_commands_work_through_the_process_that_owns_the_data(
    cli: Cli, pages: Path, server: tuple[subprocess.Popen[str], str]
) -> None:
    process, url = server
    summary = cli.json("index", str(pages), "-c", "docs")
    assert summary["documents"]["indexed"] == 3
    assert cli.json("index", str(pages), "-c", "docs", "--url", url)["documents"]["unchanged"] == 3
    names = [row["name"] for row in cli.json("collections", "list")["collections"]]
    assert names == ["docs"]
    second = cli("serve", "--port", "0")
    assert second.returncode == 1
    assert str(process.pid) in second.stderr
    assert cli("collections", "delete", "docs", "--yes").returncode == 0
    assert cli.json("collections", "list")["collections"] == []


def test_a_run_that_was_killed_is_resumed(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(400):
        (folder / f"{number:03}.txt").write_text(f"document number{number}")
    process = cli.start("index", str(folder), "-c", "many")
    while not (tmp_path / "data" / "winnow.db").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    summary = cli.json("index", str(folder), "-c", "many")
    assert summary["documents"]["failed"] == 0
    shown = cli.json("collections", "show", "many")
    assert shown["counts"]["documents"] == shown["counts"]["chunks"] == 400
    assert shown["counts"]["pending"] == 0


def test_doctor_probes_the_parts_and_masks_secrets(cli: Cli) -> None:
    report = json.loads(cli("doctor", "--json").stdout)
    names = {check["name"]: check["status"] for check in report["checks"]}
    assert {"catalog", "vectors", "embedder", "reranker"} <= names.keys()
    masked = cli("doctor", "--json", WINNOW_CATALOG__URL=f"sqlite:///{cli.home}/secret-name.db")
    assert "secret-name" not in json.dumps(json.loads(masked.stdout)["settings"])


@pytest.mark.parametrize("command", ["serve", "worker", "index", "search", "eval", "doctor", "collections"])
def test_every_command_explains_itself(cli: Cli, command: str) -> None:
    result = cli(command, "--help")
    assert result.returncode == 0
    assert "Usage" in result.stdout
