"""How many searches run at once: the rest is turned away at once, before all of them are too late."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from winnow.core.errors import Overloaded

RETRY_SECONDS: Final = 1.0


class SearchGate:
    """Counts searches under way. Not for several threads.

    Args:
        limit: how many may be under way. Above what the machine can answer within a search's budget, every further
            search only makes all of them time out.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Be counted for the length of the block.

        Raises:
            Overloaded: as many as may be are under way.
        """
        if self._inside >= self._limit:
            raise Overloaded(
                f"{self._inside} searches are under way, as many as WINNOW_SEARCH__MAX_CONCURRENT allows; "
                "try again in a moment",
                retry_after=RETRY_SECONDS,
            )
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
