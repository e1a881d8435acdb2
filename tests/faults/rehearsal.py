"""A rolling-restart rehearsal: real services behind a proxy that learns late which of them are ready.

``python -m tests.faults.rehearsal --restarts 100``

Two services share PostgreSQL and a Qdrant server's stub. Each restart starts a new one, waits until the proxy sends to
it, and ends the older one with SIGTERM, as a Deployment with ``maxUnavailable: 0`` does. The proxy asks for readiness
once a second, as a kubelet does, and acts upon a change up to two seconds later, as kube-proxy does. Each request comes
over a new connection. One that is refused, cut off or answered with an error counts as lost.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.faults.editors import Client
from tests.faults.houses import Scale
from tests.faults.processes import DEADLINE_SECONDS, Program, free_port, polls

PROBE_SECONDS: Final = 1.0
LATEST_SECONDS: Final = 2.0  # after which the proxy acts upon a change
DRAIN_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0
SERVICES: Final = 2
DOCUMENTS: Final = 20
OK: Final = "200"
SEARCH: Final = "/v1/collections/docs/search?q=words&top_n=3"


@dataclass
class Rehearsal:
    """What happened.

    Attributes:
        answers: number of requests by status, or by how they were lost.
        exits: statuses of the ended services, by number.
    """

    restarts: int = 0
    seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(self.answers.values())

    @property
    def lost(self) -> int:
        """Requests that were refused, cut off or answered with an error."""
        return self.requests - self.answers[OK]

    def __str__(self) -> str:
        return (
            f"{self.restarts} restarts in {self.seconds:.0f} s: {self.requests} requests, {self.lost} lost; "
            f"answers {dict(self.answers)}; exits {dict(self.exits)}"
        )


class LateProxy:
    """Sends each connection to one of the services that were ready a short while ago.

    Attributes:
        ready: ports of these.
        port: where it listens.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.ready: set[int] = set()
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[LateProxy]:
        """Pass connections on until the block ends."""
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def watch(self, port: int) -> None:
        """Learn about one service until cancelled."""
        seen = False
        while True:
            ready = await status_of(port, "/readyz", seconds=PROBE_SECONDS) == OK
            if ready != seen:
                seen = ready
                await asyncio.sleep(self._chance.uniform(0.0, LATEST_SECONDS))
                (self.ready.add if ready else self.ready.discard)(port)
            await asyncio.sleep(PROBE_SECONDS)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            port = self._chance.choice(sorted(self.ready))
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except (OSError, IndexError):
            writer.transport.abort()  # as a refused connection shows itself behind the proxy
            return
        try:
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            for end in (back, writer):
                end.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await source.read(1 << 16):
            target.write(part)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()


async def status_of(port: int, path: str, *, seconds: float = ANSWER_SECONDS) -> str:
    """The status of one request over a connection of its own, or how it was lost."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                answer = await reader.read()
            finally:
                writer.close()
    except TimeoutError:
        return "late"
    except OSError as error:
        return type(error).__name__
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1].decode() if head.count(b" ") > 1 else "cut off"
    return status if status != OK or body else "cut off"


class Rolling:
    """Two services behind a proxy, requests at a steady rate, and restarts one after the other.

    Args:
        house: with PostgreSQL and a store.
        rate: requests a second.
        seed: of the proxy's delays.
        drain_seconds: of the services.
    """

    def __init__(self, house: Scale, *, rate: float, seed: int, drain_seconds: float = DRAIN_SECONDS) -> None:
        self._house = house
        self._rate = rate
        self._drain_seconds = drain_seconds
        self._proxy = LateProxy(random.Random(seed))
        self._number = 0
        self._running: list[tuple[Program, int]] = []
        self._watching: dict[int, asyncio.Task[None]] = {}
        self.report = Rehearsal()

    async def run(self, restarts: int, requests: int = 0) -> Rehearsal:
        """Restart ``restarts`` times, and go on until there were ``requests`` requests; returns what happened."""
        async with self._proxy.listening():
            try:
                for _ in range(SERVICES):
                    await self._start()
                began = time.monotonic()
                stop = asyncio.Event()
                load = asyncio.create_task(self._load(stop))
                while self.report.restarts < restarts or self.report.requests < requests:
                    await self._start()
                    await self._end(*self._running.pop(0))
                    self.report.restarts += 1
                    if self.report.restarts % 10 == 0:
                        print(self.report, file=sys.stderr, flush=True)
                stop.set()
                await load
                self.report.seconds = time.monotonic() - began
            finally:
                for program, _ in self._running:
                    program.kill()
                for task in self._watching.values():
                    task.cancel()
                await asyncio.gather(*self._watching.values(), return_exceptions=True)
        return self.report

    async def _load(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                group.create_task(self._ask())
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 1 / self._rate)

    async def _ask(self) -> None:
        self.report.answers[await status_of(self._proxy.port, SEARCH)] += 1

    async def _start(self) -> None:
        """Start a service, and wait until the proxy sends to it."""
        self._number += 1
        port = free_port()
        drain = {"WINNOW_SERVER__DRAIN_SECONDS": f"{self._drain_seconds:g}"}
        program = self._house.program(f"service-{self._number}", ["serve", "--port", str(port)], **drain)
        await asyncio.to_thread(program.start)
        self._running.append((program, port))
        self._watching[port] = asyncio.create_task(self._proxy.watch(port))
        async with asyncio.timeout(DEADLINE_SECONDS):
            while port not in self._proxy.ready:
                await asyncio.sleep(0.05)

    async def _end(self, program: Program, port: int) -> None:
        status = await asyncio.to_thread(program.terminate)
        self.report.exits[str(status)] += 1
        self._watching.pop(port).cancel()
        self._proxy.ready.discard(port)


def fill(house: Scale) -> None:
    """Start what services need, and index some documents."""
    house.start()
    client = Client(house.port)
    documents = [{"id": f"d{number}", "text": f"some words and number {number}"} for number in range(DOCUMENTS)]
    client.call("PUT", "/v1/collections/docs", {})
    client.call("POST", "/v1/collections/docs/documents", {"documents": documents})
    for _ in polls("the documents are indexed"):
        _, answer = client.call("GET", SEARCH)
        if len(answer["results"]) == 3:
            break
    house.kill()


def rehearse(restarts: int, requests: int, *, rate: float, seed: int, **options: Any) -> Rehearsal:
    """A rehearsal in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="winnow-", ignore_cleanup_errors=True) as folder:
        house = Scale(Path(folder), (), workers=1)
        try:
            fill(house)
            return asyncio.run(Rolling(house, rate=rate, seed=seed, **options).run(restarts, requests))
        finally:
            house.close()


def main() -> None:
    """Rehearse, print what happened, and end with 1 if a request was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restarts", type=int, default=100)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=25.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    report = rehearse(options.restarts, options.requests, rate=options.rate, seed=options.seed)
    print(report)
    sys.exit(bool(report.lost or set(report.exits) != {"0"}))


if __name__ == "__main__":
    main()
