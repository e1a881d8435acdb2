"""The size of a call that a provider was seen to accept, so that not every call is refused and split again."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class BatchLimit:
    """Texts of a call: as configured, until a fuller call was refused of which both halves were taken whole.

    Then it is the call as a whole that was too large, not one long text in it, and the limit is the larger half.

    Args:
        most: texts of a call, as configured.
        where: the provider and its address, for the log.
        setting: the environment variable that holds ``most``.
    """

    def __init__(self, most: int, *, where: str, setting: str) -> None:
        self._most = most
        self._where = where
        self._setting = setting

    @property
    def most(self) -> int:
        """Texts that a call may hold."""
        return self._most

    def accepted_in_halves(self, texts: int) -> None:
        """Learn that a call of ``texts`` was refused as too large, and both of its halves were taken."""
        half = (texts + 1) // 2
        if half < self._most:
            self._most = half
            message = "%s refuses calls of %d texts: from now on they hold %d; set %s to what it takes"
            log.warning(message, self._where, texts, half, self._setting)
