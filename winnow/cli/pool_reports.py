"""What a pool of worker processes says about itself: the reports of all of them together.

Each process answers on a Unix socket in the pool's own folder, in the way of the port of operations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiohttp

from service.schemas.operations import Readiness

ASK_SECONDS: Final = 4.0  # for one answer; a probe usually waits for five
_ORDER: Final = ("ready", "degraded", "draining", "unavailable", "starting")  # the first one that a process has counts


class PoolReports:
    """The reports of a pool.

    Args:
        folder: of the sockets; ``1.sock`` is that of the first process.
        count: the number of processes.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._sockets = {number: folder / f"{number}.sock" for number in range(1, count + 1)}

    async def stalled(self) -> str | None:
        """Whether one of the processes is stalled, or answers nothing at all. One that starts is well."""
        answers = await self._ask("/healthz")
        found = [f"worker {number}: {text}" for number, (status, text) in answers.items() if status != 200]
        return "; ".join(found) or None

    async def readiness(self) -> Readiness:
        """That of the process that is best off: work goes on with it."""
        found = [
            Readiness.model_validate_json(text) for status, text in (await self._ask("/readyz")).values() if status
        ]
        return min(found, key=lambda each: _ORDER.index(each.status), default=Readiness(status="starting", checks={}))

    async def metrics(self) -> bytes:
        """The metrics of all processes, each with its number as the label ``process``."""
        answers = await self._ask("/metrics")
        return merged({number: text for number, (status, text) in answers.items() if status == 200}).encode()

    async def _ask(self, path: str) -> dict[int, tuple[int, str]]:
        """Status and body of each process that listens, by its number; status 0: it gave no answer, and why."""
        answers = await asyncio.gather(*(_answer(socket, path) for socket in self._sockets.values()))
        return {number: each for number, each in zip(self._sockets, answers, strict=True) if each is not None}


async def _answer(socket: Path, path: str) -> tuple[int, str] | None:
    """What the process behind ``socket`` answers; ``None`` while it starts, or starts again."""
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(socket)), timeout=aiohttp.ClientTimeout(total=ASK_SECONDS)
            ) as session,
            session.get(f"http://localhost{path}") as answer,
        ):
            return answer.status, await answer.text()
    except TimeoutError:
        return 0, f"gave no answer within {ASK_SECONDS:g} s"
    except (aiohttp.ClientError, OSError):
        return None


def merged(texts: Mapping[int, str]) -> str:
    """Several texts in Prometheus' format as one: each family once, each sample with the label ``process``.

    https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
    """
    families: dict[str, list[str]] = {}
    for number, text in texts.items():
        head: list[str] = []
        for line in text.splitlines():
            if line.startswith("# HELP "):
                head = families.setdefault(line, [line])
            elif line.startswith("#"):
                if line not in head:
                    head.append(line)
            elif line:
                head.append(_labelled(line, number))
    return "".join(f"{line}\n" for family in families.values() for line in family)


def _labelled(sample: str, number: int) -> str:
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{process="{number}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{process="{number}"}} {value}'
