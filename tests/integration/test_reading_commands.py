"""Commands that only read: they answer as a running service does, and load neither models nor the vector engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import STORE, variables
from tests.integration.test_cli import Cli
from tests.integration.test_jobs_cli import DOCUMENTS, Winnow

HEAVY = ("openvino", "torch", "transformers", "qdrant_edge", "qdrant_client", "fastapi", "uvicorn")
LOADED = f"""
import json, sys
from winnow.cli.main import main
for command in json.loads(sys.argv[1]):
    try:
        main(command)
    except SystemExit as exit_:
        assert not exit_.code, command
    print("loaded:", *(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)
"""


@pytest.fixture
def winnow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Winnow:
    """With a collection, and a job one document of which has failed."""
    (tmp_path / "documents.jsonl").write_text(DOCUMENTS)
    made = Winnow(tmp_path, monkeypatch, capsys)
    for name in variables(vectors=STORE):  # the service must find the index
        monkeypatch.delenv(name)
    assert made("index", str(tmp_path / "documents.jsonl"), "-c", "docs").status == 1
    return made


def reading(winnow: Winnow) -> list[tuple[str, ...]]:
    (job,) = winnow.json("jobs")["jobs"]
    return [
        ("collections", "list"),
        ("collections", "show", "docs"),
        ("jobs", "list", "--failed", "-c", "docs"),
        ("jobs", "show", job["id"]),
        ("reembed", "-c", "docs", "--status"),
    ]


def test_they_answer_as_a_running_service_does(winnow: Winnow, tmp_path: Path) -> None:
    commands = [(*command, *form) for command in reading(winnow) for form in ((), ("--json",))]
    alone = [winnow(*command).stdout for command in commands]
    with Cli(tmp_path).start("serve", "--port", "0") as server:
        assert server.stdout is not None
        next(line for line in server.stdout if "Winnow serves" in line)
        served = [winnow(*command) for command in commands]
        server.send_signal(signal.SIGTERM)
    assert all(alone)
    assert alone == [each.stdout for each in served]
    assert all("is in use by process" in each.stderr for each in served), "a service answered"


def test_they_load_no_model_and_no_engine(winnow: Winnow, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WINNOW_")}
    commands = [[*command, "--json", "--data-dir", str(tmp_path / "data")] for command in reading(winnow)]
    arguments = [sys.executable, "-c", LOADED, json.dumps(commands)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment, timeout=60)
    told = [line for line in done.stderr.splitlines() if line.startswith("loaded:")]
    assert told == ["loaded:"] * len(commands)


def test_mistakes_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    winnow = Winnow(tmp_path, monkeypatch, capsys)
    for command, status, says in (
        (("collections", "show", "nowhere"), 1, "nowhere"),
        (("collections", "show", "bad name!"), 2, "bad name!"),
        (("jobs", "show", "job_x"), 1, "job_x"),
        (("jobs", "list", "-c", "nowhere"), 1, "nowhere"),
    ):
        result = winnow(*command)
        assert (result.status, result.stdout) == (status, "")
        assert says in result.stderr
