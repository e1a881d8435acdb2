"""How the models are, looked at seldom enough that readiness can be asked every second.

Questions with known answers take the model's time, and money where it is a provider's. They are asked at the start,
after an outage and every quarter of an hour; in between a ping that costs nothing tells whether the model is there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from winnow.core.errors import WinnowError
from winnow.operations.probes import ProbeReport, ping_embedder, ping_reranker, probe_embedder, probe_reranker
from winnow.operations.resources import Resources

log = logging.getLogger(__name__)

PING_EVERY: Final = 5.0  # seconds; also between two tries to reach a model that is gone
PROBE_EVERY: Final = 900.0
PROBE_AGAIN: Final = 30.0  # after a wrong answer
PING_LIMIT: Final = 10.0
PROBE_LIMIT: Final = 60.0


class ModelHealth:
    """What is known of one model, refreshed when it is asked for and old.

    Many who ask at once share one look. A model that was well counts as well while it is looked at again: a busy one
    must not drop out because it answers late.

    Args:
        name: of the stage, as readiness reports it.
        probe: asks the known answers.
        ping: raises unless the model is there.
        now: seconds on a clock that never goes back.
    """

    def __init__(
        self,
        name: str,
        probe: Callable[[], Awaitable[ProbeReport]],
        ping: Callable[[], Awaitable[None]],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._probe = probe
        self._ping = ping
        self._now = now
        self._reason: str | None = "the first check has not ended yet"
        self._gone = False
        self._looked_at: float | None = None
        self._due = self._probe_due = now()
        self._flight: asyncio.Task[None] | None = None

    @property
    def age(self) -> float:
        """Seconds since the last look; 0 before the first."""
        return 0.0 if self._looked_at is None else self._now() - self._looked_at

    def start(self) -> None:
        """Begin a look if one is due."""
        if self._flight is None and self._now() >= self._due:
            self._flight = asyncio.create_task(self._look())

    async def reason(self, *, patience: float) -> str | None:
        """Why the model is not as it must be, or ``None``; a look under way is waited for ``patience`` seconds."""
        self.start()
        if self._flight is not None:
            await asyncio.wait({self._flight}, timeout=patience)
        return self._reason

    async def close(self) -> None:
        """Give up a look that is under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)

    async def _look(self) -> None:
        try:
            gone, reason = await self._ask()
        except TimeoutError:
            gone, reason = True, "no answer in time"
        except WinnowError as error:
            gone, reason = True, error.message
        except Exception as error:  # whatever a model fails with is the answer here
            log.exception("check of stage %s failed", self._name)
            gone, reason = True, f"{type(error).__name__}: {error}"
        finally:
            self._flight = None
        self._conclude(gone, reason)

    async def _ask(self) -> tuple[bool, str | None]:
        """Whether the model is gone, and what is wrong. One that was gone must be heard of before it is questioned."""
        well = self._reason is None
        if well or self._gone:
            await asyncio.wait_for(self._ping(), PING_LIMIT)
        if well and self._now() < self._probe_due:
            return False, None
        report = await asyncio.wait_for(self._probe(), PROBE_LIMIT)
        self._probe_due = self._now() + PROBE_EVERY
        return not report.reachable, report.reason

    def _conclude(self, gone: bool, reason: str | None) -> None:
        if reason is not None and reason != self._reason:
            log.warning("stage %s is not ready: %s", self._name, reason)
        elif reason is None and self._looked_at is not None and self._reason is not None:
            log.info("stage %s is ready again", self._name)
        self._reason = reason
        self._looked_at = self._now()
        self._gone = gone
        self._due = self._looked_at + (PING_EVERY if gone or reason is None else PROBE_AGAIN)


def health_of(resources: Resources) -> dict[str, ModelHealth]:
    """What to ask each configured model, by stage."""
    embedder, reranker = resources.uncached or resources.embedder, resources.reranker
    health = {"embed": ModelHealth("embed", partial(probe_embedder, embedder), partial(ping_embedder, embedder))}
    if reranker is not None:
        health["rerank"] = ModelHealth("rerank", partial(probe_reranker, reranker), partial(ping_reranker, reranker))
    return health
