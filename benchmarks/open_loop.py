"""An open-loop client: requests leave at their own times, whether or not earlier ones have been answered."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Answer:
    """One exchange: when it was sent (seconds of ``perf_counter``), how long it took, status (0: none) and body."""

    sent: float
    seconds: float
    status: int
    body: bytes

    @property
    def reranked(self) -> bool:
        """Whether the second stage ran."""
        return self.status == 200 and json.loads(self.body)["stages"]["rerank"]["status"] == "ok"


@dataclass
class Answers:
    """The exchanges of one load, and the seconds over which they were sent."""

    seconds: float
    all: list[Answer] = field(default_factory=list)

    def rate(self, chosen: Callable[[Answer], bool]) -> float:
        """Chosen answers a second."""
        return sum(map(chosen, self.all)) / self.seconds

    def percentile(self, share: float, chosen: Callable[[Answer], bool]) -> float:
        """Milliseconds of the chosen ones; NaN without any."""
        times = [each.seconds for each in self.all if chosen(each)]
        return float(np.percentile(times, share)) * 1000 if times else float("nan")


class _Connection(asyncio.Protocol):
    """A kept connection that carries one exchange at a time. Reads answers with a ``Content-Length`` alone."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result((0, b""))

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._data[:end]).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        if len(self._data) >= end + 4 + length and self.answer is not None and not self.answer.done():
            self.answer.set_result((int(head[9:12]), bytes(self._data[end + 4 : end + 4 + length])))
            self._data.clear()


class OpenLoop:
    """Sends searches to one service.

    Args:
        port: of the service, on loopback.
        path: of the search.
        fields: of every body, beside the query.
    """

    def __init__(self, port: int, path: str, **fields: Any) -> None:
        self._port, self._path, self._fields = port, path, fields
        self._free: deque[_Connection] = deque()
        self._queries = _queries()

    async def ask(self) -> Answer:
        """Send one search, none like another."""
        body = json.dumps({"query": next(self._queries), **self._fields}).encode()
        head = f"POST {self._path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        sent = time.perf_counter()
        connection = self._free.popleft() if self._free else await self._connect()
        connection.answer = asyncio.get_running_loop().create_future()
        connection.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status, answered = await connection.answer
        if status and not connection.transport.is_closing():
            self._free.append(connection)
        return Answer(sent, time.perf_counter() - sent, status, answered)

    async def load(self, rate: float, seconds: float) -> Answers:
        """Send ``rate`` searches a second at random times (a Poisson process) for ``seconds``."""
        loop, tasks = asyncio.get_running_loop(), []
        start = at = loop.time()
        while at < start + seconds:
            await asyncio.sleep(max(0.0, at - loop.time()))
            tasks.append(asyncio.create_task(self.ask()))
            at += random.expovariate(rate)
        return Answers(seconds, list(await asyncio.gather(*tasks)))

    async def closed(self, callers: int, seconds: float) -> Answers:
        """``callers`` that each send their next search when they have an answer."""
        found = Answers(seconds)
        end = time.perf_counter() + seconds

        async def caller() -> None:
            while time.perf_counter() < end:
                found.all.append(await self.ask())

        await asyncio.gather(*(caller() for _ in range(callers)))
        return found

    async def _connect(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self._port)
        return connection


def _queries() -> Iterator[str]:
    words = "copy file folder date parse tree walk thread socket string number list sort time zone path read".split()
    for number in range(10**9):
        yield f"how to {random.choice(words)} a {random.choice(words)} number {number}"  # noqa: S311 - no secret
