"""The client of ``stack.py``, a process of its own: asks for searches over kept connections, as cheaply as can be.

Reads one order a line from standard input, ``{"port", "path", "bodies": [JSON text], "clients": n}``, and answers each
with a line: milliseconds of every search, the milliseconds of its stages, the seconds of all.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Final, cast

import orjson
import uvloop

_REQUEST: Final = (
    b"POST %b HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
)
_LENGTH: Final = b"content-length: "
_SOUND: Final = (b'"score_kind":"relevance"', b'"degraded":false')


class Asker(asyncio.Protocol):
    """One connection that sends the next search when it has the answer to the last."""

    def __init__(self, path: bytes, waiting: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self.times: list[float] = []
        self.answers: list[bytes] = []
        self._path, self._waiting, self._done = path, waiting, done
        self._got = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is none by its class
        self._ask()

    def _ask(self) -> None:
        body = next(self._waiting, None)
        if body is None:
            self._transport.close()
            self._done.set_result(None)
            return
        self._began = time.perf_counter()
        self._transport.write(_REQUEST % (self._path, len(body), body))

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._got.index(_LENGTH) + len(_LENGTH)
        size = int(self._got[at : self._got.index(b"\r\n", at)])
        if len(self._got) < end + 4 + size:
            return
        self.times.append((time.perf_counter() - self._began) * 1000)
        answer = bytes(self._got)
        if not answer.startswith(b"HTTP/1.1 200 ") or not all(mark in answer for mark in _SOUND):
            self._done.set_exception(SystemExit(f"a search was not answered by both stages: {answer[:2000]!r}"))
            self._transport.close()
            return
        self.answers.append(answer[end + 4 :])
        self._got.clear()
        self._ask()


def _same(asker: Asker) -> Asker:
    return asker


async def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Send all searches of an order with its number of clients."""
    loop = asyncio.get_running_loop()
    waiting = iter([body.encode() for body in order["bodies"]])
    ends = [loop.create_future() for _ in range(order["clients"])]
    began = time.perf_counter()
    path, port = order["path"].encode(), order["port"]
    askers = [Asker(path, waiting, end) for end in ends]
    await asyncio.gather(*(loop.create_connection(partial(_same, each), "127.0.0.1", port) for each in askers))
    await asyncio.gather(*ends)
    seconds = time.perf_counter() - began
    stages = [orjson.loads(answer)["stages"] for asker in askers for answer in asker.answers]
    return {
        "times": [each for asker in askers for each in asker.times],
        "stages": [{name: stage["ms"] for name, stage in each.items()} for each in stages],
        "seconds": seconds,
    }


def main() -> None:
    """Carry out one order after the other until the input ends."""
    for line in sys.stdin:
        print(json.dumps(uvloop.run(carry_out(json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
