"""The reader of attached files, when the process ends while it asks for work."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from winnow.operations.attachment_reader import AT_ONCE, AttachmentReader


class SlowFiles:
    """Leases files, of which the answer takes until it is told to come."""

    def __init__(self) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.leased: list[object] = []
        self.given_back: list[object] = []

    async def claim(self, *, lease_seconds: float) -> object:
        self.leased.append(claim := object())
        self.asked.set()
        await self.answer.wait()
        return claim

    async def put_off(self, claim: object, *, seconds: float, tried: bool) -> None:
        assert (seconds, tried) == (0, False)
        self.given_back.append(claim)


async def test_what_is_leased_while_the_process_ends_is_given_back() -> None:
    files = SlowFiles()
    resources: Any = SimpleNamespace(catalog=SimpleNamespace(files=files))
    reader = AttachmentReader(lambda: resources, count=lambda *_: None, warn=lambda _: None)
    reader.start()
    await files.asked.wait()
    closing = asyncio.create_task(reader.close())
    await asyncio.sleep(0)
    files.answer.set()
    await closing
    assert len(files.leased) == 1
    assert files.given_back == files.leased


class Waiting:
    """Leases what waits; counts how often it was asked."""

    def __init__(self, waits: int) -> None:
        self.waits, self.asked = waits, 0

    async def claim(self, *, lease_seconds: float) -> object | None:
        self.asked += 1
        self.waits -= 1
        return object() if self.waits >= 0 else None


async def test_files_are_read_side_by_side_and_an_idle_reader_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    together = asyncio.Barrier(AT_ONCE)

    async def read(self: AttachmentReader, claim: object) -> None:
        await together.wait()

    monkeypatch.setattr(AttachmentReader, "read", read)
    for waits, asked in ((0, 1), (AT_ONCE * 2, AT_ONCE * 3)):
        files = Waiting(waits)
        resources: Any = SimpleNamespace(catalog=SimpleNamespace(files=files))
        async with asyncio.timeout(10):
            await AttachmentReader(lambda it=resources: it, count=lambda *_: None, warn=lambda _: None).read_all()
        assert files.asked == asked
