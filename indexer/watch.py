"""Waits for changes of files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from watchfiles import awatch

from winnow.core.errors import InvalidSource


async def changes(specs: Sequence[str]) -> AsyncIterator[int]:
    """Yield the number of changed files each time that changes under one of the paths have settled."""
    async for changed in awatch(*specs):
        yield len(changed)


def require_paths(specs: Sequence[str]) -> None:
    """Raise ``InvalidSource`` for a source that is not a path."""
    for spec in specs:
        if not Path(spec).exists():
            raise InvalidSource(f"cannot watch {spec!r}: only files and folders can be watched")
