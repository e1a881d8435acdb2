"""The readiness of one process, and the log line that tells why it changed."""

from __future__ import annotations

from typing import Any, Final

import structlog

from service.schemas.operations import Readiness

_WELL: Final = ("ready", "degraded")


class ReadinessLog:
    """Logs each change of readiness once, with the reasons."""

    def __init__(self) -> None:
        self._last: tuple[str, tuple[str, ...]] | None = None
        self.log: Any = structlog.get_logger("winnow.readiness")

    def note(self, readiness: Readiness) -> Readiness:
        """Log a report that differs from the last one in its status or in what fails; returns it."""
        wrong = {name: check.reason or "" for name, check in readiness.checks.items() if check.status != "ok"}
        state = readiness.status, tuple(sorted(wrong))
        if state != self._last:
            before, self._last = self._last, state
            write = self.log.info if readiness.status in _WELL and not wrong else self.log.warning
            was = {"was": before[0]} if before else {}
            write("readiness", status=readiness.status, **was, **wrong)
        return readiness
