"""Waiting for changes of files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from watchfiles import awatch

from winnow.core.errors import InvalidSource


async def changes(specs: Sequence[str]) -> AsyncIterator[int]:
    """Yield the number of changed files each time something settles under one of the paths.

    Raises:
        InvalidSource: a source is no path, so that nothing can be watched.
    """
    require_paths(specs)
    async for changed in awatch(*specs):
        yield len(changed)


def require_paths(specs: Sequence[str]) -> None:
    """Raise ``InvalidSource`` for a source that is no path."""
    for spec in specs:
        if not Path(spec).exists():
            raise InvalidSource(f"{spec!r} is no path: only files and folders can be watched")
