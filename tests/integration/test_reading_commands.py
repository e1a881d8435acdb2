"""Commands that only read: they answer as a running service does, and load neither models nor the vector engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_cli import Cli

DOCUMENTS = '{"id": "good", "text": "some words"}\n{"id": "empty", "text": "<!-- -->", "format": "markdown"}\n'
HEAVY = ("openvino", "torch", "transformers", "qdrant_edge", "qdrant_client", "fastapi", "uvicorn")
LOADED = f"""
import sys
from winnow.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print("loaded:", *(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)
"""


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """With a collection, and a job one document of which has failed."""
    made = Cli(tmp_path)
    (tmp_path / "documents.jsonl").write_text(DOCUMENTS)
    made("index", str(tmp_path / "documents.jsonl"), "-c", "docs")
    return made


def reading(cli: Cli) -> list[tuple[str, ...]]:
    (job,) = cli.json("jobs")["jobs"]
    return [
        ("collections", "list"),
        ("collections", "show", "docs"),
        ("jobs", "list", "--failed", "-c", "docs"),
        ("jobs", "show", job["id"]),
        ("reembed", "-c", "docs", "--status"),
    ]


def test_they_answer_as_a_running_service_does(cli: Cli) -> None:
    commands = [(*command, *form) for command in reading(cli) for form in ((), ("--json",))]
    alone = [cli(*command).stdout for command in commands]
    with cli.start("serve", "--port", "0") as server:
        assert server.stdout is not None
        next(line for line in server.stdout if "Winnow serves" in line)
        served = [cli(*command).stdout for command in commands]
        server.send_signal(signal.SIGTERM)
    assert all(alone)
    assert alone == served


def test_they_load_no_model_and_no_engine(cli: Cli, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WINNOW_")}
    for command in reading(cli):
        arguments = [sys.executable, "-c", LOADED, *command, "--json", "--data-dir", str(tmp_path / "data")]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment, timeout=60)
        assert done.stderr.splitlines()[-1].split() == ["loaded:"], command


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        (("collections", "show", "nowhere"), 1, "nowhere"),
        (("collections", "show", "bad name!"), 2, "bad name!"),
        (("jobs", "show", "job_x"), 1, "job_x"),
        (("jobs", "list", "-c", "nowhere"), 1, "nowhere"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, command: tuple[str, ...], status: int, says: str) -> None:
    result = Cli(tmp_path)(*command)
    assert (result.returncode, result.stdout) == (status, "")
    assert says in result.stderr
    assert "Traceback" not in result.stderr
