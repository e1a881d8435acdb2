"""`winnow jobs` as a user meets it, on a data directory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FAKES, variables
from winnow.cli.main import main

DOCUMENTS = '{"id": "good", "text": "some words"}\n{"id": "empty", "text": "<!-- -->", "format": "markdown"}\n'


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    status: int
    stdout: str
    stderr: str


def _leave_logging_alone(*_: object, **__: object) -> None:
    """Stand in for what sets logging up."""


class Winnow:
    """The command, run in this process, on a data directory of its own; the models and the index are fakes."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        for name, value in variables(**FAKES).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("WINNOW_DATA_DIR", str(home / "data"))
        monkeypatch.setenv("COLUMNS", "200")
        # logging is the whole process's: it stays as the tests have set it up
        monkeypatch.setattr("winnow.cli.logging.configure_logging", _leave_logging_alone)

    def __call__(self, *arguments: str) -> Answer:
        self._capsys.readouterr()
        status = 0
        try:
            main(arguments)
        except SystemExit as exit_:
            status = int(exit_.code or 0)
        said = self._capsys.readouterr()
        return Answer(status, said.out, said.err)

    def json(self, *arguments: str) -> Any:
        answer = self(*arguments, "--json")
        assert answer.status == 0, answer.stderr
        return json.loads(answer.stdout)


@pytest.fixture
def winnow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Winnow:
    """With a job, one document of which has failed."""
    (tmp_path / "documents.jsonl").write_text(DOCUMENTS)
    made = Winnow(tmp_path, monkeypatch, capsys)
    assert made("index", str(tmp_path / "documents.jsonl"), "-c", "docs").status == 1
    return made


def test_jobs_are_listed_shown_and_tried_again(winnow: Winnow) -> None:
    (job,) = winnow.json("jobs")["jobs"]
    assert (job["collection"], job["indexed"], job["failed"]) == ("docs", 1, 1)
    shown = winnow("jobs", "show", job["id"]).stdout
    assert "empty" in shown
    assert "no readable text" in shown
    retried = winnow.json("jobs", "retry", "--failed", "-c", "docs")["retried"]
    assert [(each["job"], each["documents"]) for each in retried] == [(job["id"], 1)]
    newest = winnow("jobs", "--limit", "1").stdout
    assert retried[0]["job_id"] in newest
    assert "older ones: --after" in winnow("jobs", "--limit", "1").stderr


def test_a_job_that_is_done_is_shown_by_cancel_as_it_is(winnow: Winnow) -> None:
    done = winnow.json("jobs", "--status", "done")["jobs"][-1]
    cancelled = winnow.json("jobs", "cancel", done["id"])
    assert (cancelled["status"], cancelled["cancelled"]) == ("done", 0)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["retry"], 2, "--failed"),
        (["retry", "job_x", "--failed"], 2, "--failed"),
        (["show", "job_x"], 1, "job_x"),
        (["list", "--status", "odd"], 2, "status"),
    ],
)
def test_mistakes_are_told(winnow: Winnow, arguments: list[str], status: int, says: str) -> None:
    result = winnow("jobs", *arguments)
    assert (result.status, says in result.stderr) == (status, True), result.stderr


def test_commands_name_a_tenant_as_requests_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    winnow = Winnow(tmp_path, monkeypatch, capsys)
    for name in variables(vectors=FAKES["vectors"]):
        monkeypatch.delenv(name)  # the next command finds what was written
    (tmp_path / "documents.jsonl").write_text(DOCUMENTS.splitlines()[0])
    winnow("index", str(tmp_path / "documents.jsonl"), "-c", "docs")
    file = tmp_path / "acme.jsonl"
    lines = ['{"id": "good", "text": "words of acme"}\n', '{"id": "own", "text": "more words", "tenant": "acme"}\n']
    file.write_text("".join(lines))
    index = ("index", str(file), "-c", "docs", "--tenant", "acme", "--delete-missing", "--yes-delete")
    assert winnow.json(*index)["documents"]["indexed"] == 2
    again = winnow.json(*index)["documents"]
    assert (again["unchanged"], again["deleted"]) == (2, 0)
    assert winnow.json(*index, "--dry-run")["missing"] == []
    assert texts(winnow, "--tenant", "acme") == {"words of acme", "more words"}
    assert texts(winnow) == {"some words"}
    assert {each["tenant"] for each in winnow.json("jobs", "--tenant", "acme")["jobs"]} == {"acme"}
    file.write_text(lines[1])
    assert winnow.json(*index)["documents"]["deleted"] == 1
    assert texts(winnow) == {"some words"}  # of the same id, but of no tenant


def texts(winnow: Winnow, *options: str) -> set[str]:
    found = winnow.json("search", "words", "-c", "docs", *options)["results"]
    return {each["text"] for each in found}
