"""The service in a process of its own, as `winnow serve` starts it, with models that need no weights."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes import MODELS, variables

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Served:
    """A running service: its address, its data directory, and the environment of commands beside it."""

    address: str
    data: Path
    environment: Mapping[str, str]

    def command(self, *arguments: str) -> str:
        """Run a command on the data directory; returns what it printed."""
        command = [sys.executable, "-m", "winnow.cli.main", *arguments, "--data-dir", str(self.data)]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def served(folder: Path, **settings: str) -> Iterator[Served]:
    """Serve on a free port, with the data in ``folder``; ``settings`` are further variables."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("WINNOW_")},
        **variables(**MODELS),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    data, log = folder / "data", folder / "log"
    command = [sys.executable, "-m", "winnow.cli.main", "serve", "--port", "0", "--data-dir", str(data)]
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            yield Served(_address(process, log), data, environment)
        finally:
            process.terminate()
            process.communicate(timeout=30)


def _address(process: subprocess.Popen[str], log: Path) -> str:
    """The address in the one line that a service logs when it answers, in any format."""
    while process.poll() is None:
        if found := re.search(r'url"?[=:]"?(http://[\d.]+:\d+)', log.read_text()):
            return found.group(1)
        time.sleep(0.02)
    raise AssertionError(f"the service did not start:\n{log.read_text()}")
