"""Detects that submitted documents wait without a worker, where the service leaves indexing to `winnow worker`."""

from __future__ import annotations

from typing import Final

from winnow.operations.resources import Resources

WAIT_SECONDS: Final = 35.0  # workers pause for up to 30 s while storage or a model is down
NO_WORKER: Final = (
    f"documents have waited for {WAIT_SECONDS:.0f} s and no worker took them: run `winnow worker`, or serve with "
    "--with-worker; if one runs, its log says what keeps it"
)


async def missing_worker(resources: Resources) -> str | None:
    """What to do about work that no worker takes; ``None`` where all is well, or this process does the work itself.

    Raises:
        WinnowError: the catalog does not answer.
    """
    if resources.settings.keeps_data:
        return None
    return NO_WORKER if await resources.catalog.queue.is_unattended(WAIT_SECONDS) else None
