"""A real Qdrant server for tests, as the environment names it, in place of a stub.

``QDRANT_URL``, and where they differ from a plain installation ``QDRANT_GRPC_PORT`` and ``QDRANT_API_KEY``. With
``QDRANT_PID`` the soak also kills the server, and starts it again as it was started: same command, folder, variables.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
import uuid
from contextlib import suppress
from typing import Any, Final

import psutil  # type: ignore[import-untyped]

from winnow.core.settings.vectors import QdrantVectors
from winnow.vectors.qdrant.server import server_client
from winnow.vectors.qdrant.store import QdrantVectorStore

GIVEN: Final = "QDRANT_URL" in os.environ


def server_settings(**changes: Any) -> dict[str, Any]:
    """The settings of the server that the environment names, under a prefix that nothing else uses."""
    found = {
        "url": os.environ["QDRANT_URL"],
        "grpc_port": int(os.environ.get("QDRANT_GRPC_PORT", "6334")),
        "prefix": f"test-{uuid.uuid4().hex[:12]}",
    }
    key = {"api_key": os.environ["QDRANT_API_KEY"]} if "QDRANT_API_KEY" in os.environ else {}
    return found | key | changes


async def remove_indexes(settings: dict[str, Any]) -> None:
    """Leave nothing under the prefix of these settings."""
    configured = QdrantVectors.model_validate(settings)
    store = QdrantVectorStore(server_client(configured), configured)
    for index in await store.indexes():
        await store.drop(index)
    await store.close()


class RealQdrant:
    """The server that the environment names, as something that can befall a soak.

    Attributes:
        settings: for the processes that use it.
        killable: whether ``QDRANT_PID`` names its process.
    """

    def __init__(self) -> None:
        self.settings = server_settings()
        self._pid = int(os.environ.get("QDRANT_PID", "0"))
        self.killable = self._pid > 0
        if self.killable:
            process = psutil.Process(self._pid)
            self._command, self._folder, self._variables = process.cmdline(), process.cwd(), process.environ()

    def lose(self, pause: float) -> None:
        """Kill it, and start it again after ``pause`` seconds."""
        os.kill(self._pid, signal.SIGKILL)
        with suppress(psutil.NoSuchProcess, ChildProcessError):
            psutil.Process(self._pid).wait()
        time.sleep(pause)
        started = subprocess.Popen(
            self._command, cwd=self._folder, env=self._variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._pid = started.pid

    def pause(self, seconds: float) -> None:
        """Pause it for ``seconds``; it answers no call meanwhile."""
        os.kill(self._pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self._pid, signal.SIGCONT)

    def kill(self) -> None:
        """Remove what was made on it. The server itself goes on: it is not ours."""
        asyncio.run(remove_indexes(self.settings))
