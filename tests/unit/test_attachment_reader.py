"""The reader of attached files, when the process ends while it asks for work."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

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
    assert len(files.leased) == AT_ONCE
    assert set(files.given_back) == set(files.leased)
