"""Lists of results that later pages of a search are cut from, in the catalog, so that every replica has them."""

from __future__ import annotations

from typing import Protocol


class ResultLists(Protocol):
    """Lists under ids, each until a moment. Every method is one transaction."""

    async def keep(self, list_id: str, body: bytes, *, seconds: float) -> None:
        """Store a list for a number of seconds. Committed on return."""

    async def get(self, list_id: str) -> bytes | None:
        """The list; ``None`` where there is none, or its time is over."""

    async def prune(self, *, limit: int = 1000) -> int:
        """Delete at most ``limit`` lists whose time is over; return how many."""
