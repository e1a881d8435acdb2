"""Real vLLM servers on this machine's CPU, started with the flags that ``deploy/vllm`` ships, over tiny models."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "vllm"
PYTHON = ROOT / os.environ.get("VLLM_VENV", ".vllm-venv") / "bin" / "python"
READY_SECONDS = 300.0

# What a test machine's CPU needs and a deployment does not; float32, so that scores can be held to a reference.
FLAGS = (
    "--host=127.0.0.1",
    "--dtype=float32",
    "--enforce-eager",
    "--kv-cache-memory-bytes=256M",
    "--distributed-executor-backend=uni",
)
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # or all servers share the first core
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # with the executor above: the engine's own process runs the model
    "VLLM_NO_USAGE_STATS": "1",
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(levelname)s %(asctime)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {
        "vllm": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "vllm.entrypoints.serve.utils.request_logger": {"level": "DEBUG"},  # with the tokens of every prompt
    },
}
MORTAL = ("setpriv", "--pdeathsig", "TERM")  # no server outlives the test run, however that ends
PROMPT = re.compile(r"request_logger Request .*? prompt_token_ids: (\[[^\]]*\])")


@dataclass(frozen=True)
class Deployment:
    """How one server is deployed.

    Attributes:
        config: which file of ``deploy/vllm`` it starts from, without ``.yaml``.
        model: folder of the tiny model that stands in for the one the file names.
        changes: what a wrong deployment has otherwise; ``None`` leaves a setting out.
    """

    config: str
    model: Path
    changes: Mapping[str, Any] = field(default_factory=dict)
    api_key: str = ""

    @property
    def file(self) -> Path:
        """The settings as they are shipped."""
        return DEPLOY / f"{self.config}.yaml"

    def settings(self) -> dict[str, Any]:
        """The settings as this server has them."""
        changed = yaml.safe_load(self.file.read_text("utf-8")) | self.changes
        return {key: value for key, value in changed.items() if value is not None}


class Server:
    """One vLLM server in a process group of its own.

    Args:
        folder: where its log lies, and its settings where they are not the shipped ones.
    """

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment = deployment
        self.model = str(deployment.settings()["model"])
        self._folder = folder
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; about a minute later it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        logging = self._folder / "logging.json"
        logging.write_text(json.dumps(LOGGING))
        self.port = _free_port()
        flags = ["--config", str(self._config()), "--model", str(self.deployment.model)]
        flags += ["--served-model-name", self.model, "--port", str(self.port), "--enable-log-requests", *FLAGS]
        if self.deployment.api_key:
            flags += ["--api-key", self.deployment.api_key]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("VLLM_", "WINNOW_", "PYTHON"))}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*MORTAL, str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", *flags],
                cwd=DEPLOY,
                env=inherited | ENVIRONMENT | {"VLLM_LOGGING_CONFIG_PATH": str(logging)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Return when the server answers; fail when it ends instead, with the end of its log."""
        end = time.monotonic() + READY_SECONDS
        while not self._answers():
            assert self.running, f"vLLM ended; the end of {self._log}:\n{self.tail()}"
            assert time.monotonic() < end, f"vLLM is not ready after {READY_SECONDS:.0f} s:\n{self.tail()}"
            time.sleep(0.2)

    def tail(self, lines: int = 40) -> str:
        """The last lines of the server's log."""
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End the server and all its processes: politely, then not."""
        if self._process is None:
            return
        self.signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self.kill()

    def kill(self) -> None:
        """End the server and all its processes as a power cut does."""
        assert self._process is not None
        self.signal(signal.SIGKILL)
        self._process.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the server and all its processes."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    @contextmanager
    def prompts(self) -> Iterator[list[list[int]]]:
        """Collect the tokens of every prompt that the engine is given during the block; filled at its end."""
        found: list[list[int]] = []
        begin = self._log.stat().st_size
        yield found
        with self._log.open("rb") as log:
            log.seek(begin)
            written = log.read().decode("utf-8", "replace")
        found += [ast.literal_eval(ids) for ids in PROMPT.findall(written)]

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """POST JSON as a client without Winnow does; status and answer."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.deployment.api_key}"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def _config(self) -> Path:
        """The shipped file itself, unless this deployment is another."""
        if not self.deployment.changes:
            return self.deployment.file
        changed = self._folder / "config.yaml"
        changed.write_text(yaml.safe_dump(self.deployment.settings()))
        return changed


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
