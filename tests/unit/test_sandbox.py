"""The process for parsers: it may die or swell, and the next file is read all the same."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.sources import sandbox_child
from indexer.sources.base import ReadError
from indexer.sources.sandbox import Sandbox, SandboxLimits
from tests.files import pdf, write

PDF = {"max_chars": 1_000_000}

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and limits of memory hold on Linux only")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path / "a.csv", b"id,text\n" + b"".join(b"%d,row %d\n" % (n, n) for n in range(1000)))


def pid_of(sandbox: Sandbox) -> int:
    assert sandbox._process is not None
    return sandbox._process.pid


def test_one_process_reads_many_files(sandbox: Sandbox, table: Path) -> None:
    assert len(list(sandbox.parse("csv", table))) == 1001
    first = pid_of(sandbox)
    assert len(list(sandbox.parse("csv", table))) == 1001
    assert pid_of(sandbox) == first


def test_the_process_ends_with_the_sandbox(table: Path) -> None:
    with Sandbox() as sandbox:
        list(sandbox.parse("csv", table))
        pid = pid_of(sandbox)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_file_that_is_left_half_read_leaves_nothing_for_the_next(
    sandbox: Sandbox, table: Path, tmp_path: Path
) -> None:
    rows = sandbox.parse("csv", table)
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    other = write(tmp_path / "b.csv", b"id\n1\n")
    assert list(sandbox.parse("csv", other)) == [{"columns": ["id"], "encoding": ""}, {"row": 1, "values": {"id": "1"}}]


def test_a_process_that_was_killed_is_started_again(sandbox: Sandbox, table: Path) -> None:
    long = write(table.with_name("long.csv"), b"id,text\n" + b"1,more than the pipe between them holds\n" * 100_000)
    rows = sandbox.parse("csv", long)
    next(rows)
    os.kill(pid_of(sandbox), signal.SIGKILL)
    with pytest.raises(ReadError, match="SIGKILL") as caught:
        list(rows)
    assert caught.value.code == "parser_died"
    assert len(list(sandbox.parse("csv", table))) == 1001


@linux
def test_a_file_that_swells_is_refused_and_the_next_is_read(tmp_path: Path, table: Path) -> None:
    bomb = write(tmp_path / "bomb.pdf", pdf(["x"], stream=b"BT (a) Tj ET" + b" " * 2**29))
    assert bomb.stat().st_size < 600_000
    with Sandbox(SandboxLimits(memory_mib=512)) as sandbox:
        with pytest.raises(ReadError, match="512 MiB") as caught:
            list(sandbox.parse("pdf", bomb, PDF))
        assert caught.value.code in {"parser_died", "too_complex"}
        assert len(list(sandbox.parse("csv", table))) == 1001


@linux
def test_a_file_that_takes_too_much_cpu_time_is_refused(tmp_path: Path) -> None:
    slow = write(tmp_path / "slow.pdf", pdf(["x"], stream=b"BT /F1 12 Tf " + b"(a) Tj " * 4_000_000))
    with Sandbox(SandboxLimits(cpu_seconds=0)) as sandbox, pytest.raises(ReadError) as caught:
        list(sandbox.parse("pdf", slow, PDF))
    assert caught.value.code == "too_slow"


def test_a_parser_that_does_not_answer_is_ended(table: Path) -> None:
    with (
        Sandbox(SandboxLimits(wall_seconds=0.0)) as sandbox,
        pytest.raises(ReadError, match="took longer") as caught,
    ):
        list(sandbox.parse("csv", table))
    assert caught.value.code == "too_slow"


@linux
def test_the_process_has_no_secrets_and_may_write_no_file(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, table: Path
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    list(sandbox.parse("csv", table))
    process = Path(f"/proc/{pid_of(sandbox)}")
    assert b"hush" not in (process / "environ").read_bytes()
    limits = {line[:26].strip(): line[26:].split()[:2] for line in (process / "limits").read_text().splitlines()}
    assert limits["Max file size"] == ["0", "0"]
    assert limits["Max open files"] == ["64", "64"]
    assert int(limits["Max address space"][1]) < 2**31


REACH = """
import socket, sys
from indexer.sources import confinement
if {filter}:
    confinement._refuse_sockets = lambda library: False
if {namespace}:
    class Library:
        unshare = staticmethod(lambda flags: -1)
        prctl = staticmethod(confinement.ctypes.CDLL(None).prctl)
    confinement.ctypes.CDLL = lambda *_, **__: Library
confinement.leave_network()
print(next(confinement.parse(None))["held"])
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
    print("reached")
except OSError as error:
    print("refused", error.errno)
"""


@linux
@pytest.mark.parametrize("without", [[], ["filter"], ["namespace"], ["filter", "namespace"]])
def test_either_means_keeps_a_process_from_the_network(without: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = REACH.format(filter="filter" in without, namespace="namespace" in without)
        command = [sys.executable, "-c", code, str(server.getsockname()[1])]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    means = {"namespace": "a network namespace", "filter": "a filter of system calls"}
    held = [name for key, name in means.items() if key not in without]
    if said[0] != str(held):
        pytest.skip(f"this system refuses one: {said[0]}")
    assert said[1].startswith("refused") == bool(held)


@linux
def test_the_process_has_no_network(sandbox: Sandbox) -> None:
    held = sandbox.confined_by()
    if not held:
        pytest.skip("this system has neither namespaces nor filters for us")
    process = Path(f"/proc/{pid_of(sandbox)}")
    if "a network namespace" in held:
        assert (process / "ns" / "net").readlink() != Path("/proc/self/ns/net").readlink()
    if "a filter of system calls" in held:
        assert "Seccomp:\t2" in (process / "status").read_text()


def test_a_file_that_is_gone_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="No such file"):
        list(sandbox.parse("pdf", tmp_path / "gone.pdf", PDF))


def test_a_parser_whose_library_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name="pyarrow")

    monkeypatch.setattr(sandbox_child, "import_module", missing)
    out = io.BytesIO()
    assert sandbox_child._serve(sandbox_child._Channel(out), {"parser": "parquet"})
    assert b"reading this file needs pyarrow: pip install 'winnow-search[parquet]'" in out.getvalue()
