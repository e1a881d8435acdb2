"""A power cut: what was not flushed is gone. kill -9 alone cannot show that, for the kernel keeps what it was given."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes import EMBEDDER, variables
from tests.faults.editors import COLLECTION, Client, marks, text_of
from tests.faults.houses import Unplugged
from tests.faults.processes import Tampering, free_port, polls
from tests.faults.soak import Report, Soak

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

LAUNCH = "import sys; from tests.faults.processes import winnow; winnow(sys.argv[2:], {}, sys.argv[1].split())"


def outlive_power_cuts(folder: Path, tampering: Tampering) -> Report:
    house = Unplugged(folder, tampering)
    try:
        return Soak(house, folder, seed=22).run(12)
    finally:
        house.close()


def test_what_is_indexed_survives_the_loss_of_everything_unflushed(tmp_path: Path) -> None:
    report = outlive_power_cuts(tmp_path, ("log_embeddings",))
    assert report.violations == [], report.table()
    assert report.fates["power"] >= 12


def test_the_proof_fails_when_points_are_not_flushed(tmp_path: Path) -> None:
    report = outlive_power_cuts(tmp_path, ("log_embeddings", "without_flush"))
    assert {each.crime for each in report.violations} & {"half", "mixed", "unfinished"}, report.table()


# --- SQLite: the system calls of a service, in their order -----------------------------------------

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

_CALL = re.compile(r"^(?P<process>\d+) +(?P<name>\w+)\(\d+<(?P<file>[^>]*)>(?P<rest>.*)$")
_RESUMED = re.compile(r"^(?P<process>\d+) +<\.\.\. (?P<name>\w+) resumed>")


@dataclass
class Flushes:
    """Reads a trace line by line: which words have been written to the write-ahead log, and which are on disk."""

    words: list[str]
    written: set[str] = field(default_factory=set)
    on_disk: set[str] = field(default_factory=set)
    in_hand: dict[str, set[str]] = field(default_factory=dict)
    acknowledged: list[set[str]] = field(default_factory=list)

    def read(self, line: str) -> None:
        if resumed := _RESUMED.match(line):
            self.on_disk |= self.in_hand.pop(resumed["process"], set())
            return
        call = _CALL.match(line)
        if call is None:
            return
        if call["name"] == "pwrite64" and "winnow.db" in call["file"]:
            self.written |= {word for word in self.words if word in call["rest"]}
        elif call["name"] in ("fsync", "fdatasync") and call["file"].endswith("winnow.db-wal"):
            if "unfinished" in line:
                self.in_hand[call["process"]] = set(self.written)
            else:
                self.on_disk |= self.written
        elif "HTTP/1.1 202" in call["rest"]:
            self.acknowledged.append(set(self.on_disk))


def traced_uploads(folder: Path, tampering: Tampering, documents: list[str]) -> Flushes:
    """Upload documents one by one to a service whose system calls are traced; reads the trace."""
    trace, port = folder / "trace", free_port()
    calls = "pwrite64,fsync,fdatasync,write,writev,sendto,sendmsg"
    strace = ["strace", "-f", "-y", "-s", "70000", "-e", f"trace={calls}", "-e", "signal=none", "-o", str(trace)]
    serve = ["serve", "--port", str(port), "--data-dir", str(folder / "data")]
    settings = variables(embedding=EMBEDDER, rerank={"provider": "none"})
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [*strace, sys.executable, "-c", LAUNCH, " ".join(tampering), *serve],
            env=os.environ | settings | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            client = reached(port, process)
            assert client.call("PUT", f"/v1/collections/{COLLECTION}", {})[0] == 201
            for each in documents:
                body = {"documents": [{"id": each, "text": text_of(each, 0)}]}
                assert client.call("POST", f"/v1/collections/{COLLECTION}/documents", body)[0] == 202
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    flushes = Flushes([marks(each, 0)[0] for each in documents])
    for line in trace.read_text(errors="replace").splitlines():
        flushes.read(line)
    return flushes


def reached(port: int, process: subprocess.Popen[bytes]) -> Client:
    for _ in polls("the traced service answers"):
        assert process.poll() is None, "the traced service has ended"
        client = Client(port)
        try:
            if client.call("GET", "/readyz")[1]["status"] != "starting":
                return client
        except OSError:
            continue
    raise AssertionError("unreachable")


def unflushed(flushes: Flushes) -> Iterator[str]:
    """Words of documents that were acknowledged before they were on disk."""
    for number, on_disk in enumerate(flushes.acknowledged):
        yield from set(flushes.words[: number + 1]) - on_disk


@needs_strace
def test_an_upload_is_on_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    documents = [f"d0-{number}" for number in range(5)]
    flushes = traced_uploads(tmp_path, (), documents)
    assert len(flushes.acknowledged) == len(documents)
    assert list(unflushed(flushes)) == []


@needs_strace
def test_the_proof_fails_when_the_database_does_not_sync(tmp_path: Path) -> None:
    documents = [f"d0-{number}" for number in range(5)]
    flushes = traced_uploads(tmp_path, ("without_sync",), documents)
    assert len(flushes.acknowledged) == len(documents)
    assert list(unflushed(flushes)) != []
