"""Readiness: checks of the store and the catalog, and the health of the models, which is checked rarely.

Probes with known answers cost model time, and money with a provider. They run at the start, after an outage and every
quarter of an hour; in between, free pings check that the model answers. So readiness may be requested every second.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final, Literal

from service.schemas.operations import CheckView, Readiness
from winnow.core.errors import WinnowError
from winnow.operations.missing_worker import missing_worker
from winnow.operations.probes import ProbeReport, ping_embedder, ping_reranker, probe_embedder, probe_reranker
from winnow.operations.resources import Resources, Watch
from winnow.ports import Embedder, is_idle
from winnow.search.query_cache import uncached

log = logging.getLogger(__name__)

PING_EVERY: Final = 5.0  # seconds; also between two attempts to reach a model that is down
PROBE_EVERY: Final = 900.0
PROBE_AGAIN: Final = 30.0  # after a wrong answer
PING_LIMIT: Final = 10.0
PROBE_LIMIT: Final = 60.0
CHECK_LIMIT: Final = 5.0  # of the store and the catalog
MODEL_WAIT: Final = 1.0  # the longest that readiness waits for a running check of a model


class ModelHealth:
    """The health of one model: the last result, and a new check when a caller asks and the result is old.

    Simultaneous callers share one check. A healthy model stays healthy during a check, so that a busy one does not
    become unready because it answers late.

    Args:
        name: of the stage, as readiness reports it.
        probe: asks the questions with known answers.
        ping: raises unless the model answers.
        now: a monotonic clock in seconds.
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
        self._reason: str | None = "the first check has not finished yet"
        self._down = False
        self._checked_at: float | None = None
        self._due = self._probe_due = now()
        self._running: asyncio.Task[None] | None = None

    @property
    def age(self) -> float:
        """Seconds since the last check; 0 before the first."""
        return 0.0 if self._checked_at is None else self._now() - self._checked_at

    def start(self) -> None:
        """Start a check if one is due."""
        if self._running is None and self._now() >= self._due:
            self._running = asyncio.create_task(self._check())

    async def reason(self, *, wait: float) -> str | None:
        """Why the model is unhealthy, or ``None``; waits up to ``wait`` seconds for a running check."""
        self.start()
        if self._running is not None:
            await asyncio.wait({self._running}, timeout=wait)
        return self._reason

    async def close(self) -> None:
        """Cancel a running check."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _check(self) -> None:
        try:
            down, reason = await self._ask()
        except TimeoutError:
            down, reason = True, "no answer in time"
        except WinnowError as error:
            down, reason = True, error.message
        except Exception as error:  # any failure of a model is the result here
            log.exception("check of stage %s failed", self._name)
            down, reason = True, f"{type(error).__name__}: {error}"
        finally:
            self._running = None
        self._conclude(down, reason)

    async def _ask(self) -> tuple[bool, str | None]:
        """Whether the model is down, and why it is unhealthy. One that was down is pinged before it is probed."""
        healthy = self._reason is None
        if healthy or self._down:
            await asyncio.wait_for(self._ping(), PING_LIMIT)
        if healthy and self._now() < self._probe_due:
            return False, None
        report = await asyncio.wait_for(self._probe(), PROBE_LIMIT)
        self._probe_due = self._now() + PROBE_EVERY
        return not report.reachable, report.reason

    def _conclude(self, down: bool, reason: str | None) -> None:
        if reason is not None and reason != self._reason:
            log.warning("stage %s is not ready: %s", self._name, reason)
        elif reason is None and self._checked_at is not None and self._reason is not None:
            log.info("stage %s is ready again", self._name)
        self._reason = reason
        self._checked_at = self._now()
        self._down = down
        self._due = self._checked_at + (PING_EVERY if down or reason is None else PROBE_AGAIN)


def health_of(resources: Resources) -> dict[str, ModelHealth]:
    """The health of each configured model, by stage."""
    reranker = resources.reranker
    health: dict[str, ModelHealth] = {}
    for name, each in {"embed": resources.embedder, **_stages(resources)}.items():
        embedder = uncached(each)
        health[name] = ModelHealth(name, partial(_probe, embedder), partial(_ping, embedder))
    if reranker is not None:
        health["rerank"] = ModelHealth("rerank", partial(probe_reranker, reranker), partial(ping_reranker, reranker))
    return health


async def _probe(embedder: Embedder) -> ProbeReport:
    """The findings about an embedder; none about one that has not been needed."""
    if is_idle(embedder):
        return ProbeReport("embedder", embedder.info.model, embedder.info.provider, ())
    return await probe_embedder(embedder)


async def _ping(embedder: Embedder) -> None:
    if not is_idle(embedder):
        await ping_embedder(embedder)


def _stages(resources: Resources) -> dict[str, Embedder]:
    """The embedders beside the default one, by stage."""
    return {f"embed:{name}": embedder for name, embedder in resources.embedders.further.items()}


async def check_readiness(resources: Resources, models: Mapping[str, ModelHealth]) -> Readiness:
    """Check all dependencies concurrently, each for up to ``CHECK_LIMIT`` seconds, and name those that fail."""
    checks = {
        "store": _checked(resources.store.check()),
        "catalog": _checked(resources.catalog.check()),
        **{name: _checked(health.reason(wait=MODEL_WAIT), health) for name, health in models.items()},
    }
    if resources.watch is not None:
        checks["indexes"] = _checked(_lost(resources.watch), resources.watch)
    if not resources.settings.keeps_data:
        checks["workers"] = _checked(missing_worker(resources), wrong="warning")
    results = dict(zip(checks, await asyncio.gather(*checks.values()), strict=True))
    failed = {name for name, check in results.items() if check.status == "failed"}
    return Readiness(status=_status(failed), checks=results)


async def _lost(watch: Watch) -> str | None:
    return "; ".join(watch.findings.values()) or None


def _status(failed: AbstractSet[str]) -> Literal["ready", "degraded", "unavailable"]:
    """Searches need the store and the catalog; without a model they are answered, and say so."""
    if not failed.isdisjoint(("store", "catalog")):
        return "unavailable"
    return "degraded" if failed else "ready"


async def _checked(
    work: Awaitable[str | None],
    health: ModelHealth | Watch | None = None,
    *,
    wrong: Literal["warning", "failed"] = "failed",
) -> CheckView:
    """The result of a check that returns or raises what is ``wrong``; ``health`` gives the result's age."""
    began = time.perf_counter()
    try:
        reason = await asyncio.wait_for(work, CHECK_LIMIT)
    except TimeoutError:
        reason = f"no answer within {CHECK_LIMIT:g} s"
    except Exception as error:  # noqa: BLE001 - any failure of a dependency is the result here
        reason = f"{type(error).__name__}: {error}"
    return CheckView(
        status=wrong if reason else "ok",
        ms=round((time.perf_counter() - began) * 1000, 2),
        age_s=round(health.age, 1) if health else 0.0,
        reason=reason,
    )
