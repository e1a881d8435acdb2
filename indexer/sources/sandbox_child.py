"""The process behind ``indexer.sources.sandbox``: reads requests as JSON lines, writes frames of length and JSON.

A request names the parser, the file and the limits. Frames: ``["item", {…}]`` any number of times, then ``["end"]`` or
``["failed", code, message]``.
"""

from __future__ import annotations

import os
import resource
import struct
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final

import orjson

from indexer.sources.base import ReadError
from indexer.sources.confinement import leave_network
from indexer.sources.kinds import PARSED
from indexer.sources.opening import open_file

PARSERS: Final = {
    **{name: f"indexer.sources.{name}" for name in (*PARSED.values(), "csv", "parquet")},
    "feed": "indexer.sources.feed.entries",
    "confinement": "indexer.sources.confinement",
}
HEADER: Final = struct.Struct("<I")
MAX_FRAME: Final = 256 * 1024 * 1024

_OPEN_FILES: Final = 64
_FLUSH_BYTES: Final = 64 * 1024
_FLUSH_SECONDS: Final = 0.5

Parser = Callable[..., Iterator[dict[str, Any]]]


class _Channel:
    """Writes frames, many at a time if they come fast."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._held = bytearray()
        self._flushed = time.monotonic()

    def send(self, *frame: Any) -> None:
        data = orjson.dumps(frame, default=_plain, option=orjson.OPT_NON_STR_KEYS)
        if len(data) > MAX_FRAME:
            raise ReadError("too_large", f"one item is larger than {MAX_FRAME // 1024 // 1024} MiB; split the file")
        self._held += HEADER.pack(len(data)) + data
        if len(self._held) > _FLUSH_BYTES or time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        self._out.write(self._held)
        self._out.flush()
        self._held.clear()
        self._flushed = time.monotonic()


def main() -> None:
    """Serve requests until stdin ends. The output of libraries is discarded."""
    channel = _Channel(os.fdopen(os.dup(1), "wb", buffering=0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    leave_network()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        if not _serve(channel, orjson.loads(line)):
            return


def _serve(channel: _Channel, request: dict[str, Any]) -> bool:
    """Answer one request; false if the process must not serve another."""
    try:
        module = import_module(PARSERS[request["parser"]])  # before the limits, which are for the file alone
    except ImportError as error:
        reason = f"reading this file needs {error.name}: pip install 'winnow-search[{request['parser']}]'"
        channel.send("failed", "not_installed", reason)
        channel.flush()
        return True
    memory = request["memory_mib"] * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    fit = True
    try:
        with open_file(Path(_decoded(request["path"])), _decoded(request["root"])) as file:
            _allow_cpu(request["cpu_seconds"])
            for item in module.parse(file, **request["options"]):
                channel.send("item", item)
                _allow_cpu(request["cpu_seconds"])
        channel.send("end")
    except ReadError as error:
        channel.send("failed", error.code, error.message)
    except (MemoryError, RecursionError) as error:
        needs = isinstance(error, MemoryError)
        what = f"needs more than {request['memory_mib']} MiB of memory" if needs else "is too deeply nested"
        channel.send("failed", "too_complex", f"the file {what}: it is too complex, or hostile; split it")
        fit = False
    except OSError as error:
        channel.send("failed", "unreadable", f"cannot be read: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001 - the libraries raise anything on damaged files
        reason = f"{type(error).__name__}: {error!s:.200}"
        channel.send("failed", "damaged", f"the file is damaged ({reason}); save it again")
    channel.flush()
    return fit


def _decoded(path: str) -> str:
    return os.fsdecode(bytes.fromhex(path))


def _allow_cpu(seconds: int) -> None:
    """Allow ``seconds`` of CPU time from now on, after which SIGXCPU ends the process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _plain(value: Any) -> Any:
    """A value that JSON has no type for, as one that a filter can use; bytes are left out."""
    if isinstance(value, Decimal):
        return float(value)
    return None if isinstance(value, bytes) else str(value)
