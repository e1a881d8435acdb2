"""Quotas of callers: how many requests, searches, documents and tokens each key, subject and tenant may use.

Rates are counted in sliding windows (https://limits.readthedocs.io/en/stable/strategies.html): the window before the
current one counts by the part of it that is less than a window ago.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from winnow.core.errors import InvalidSettings, RateLimited, TokensSpent
from winnow.core.principal import LimitName, Principal
from winnow.core.settings.limits import LimitSettings, QuotaSettings

Used: TypeAlias = Literal["requests", "searches", "documents", "tokens"]
log = logging.getLogger(__name__)
_PREFIX: Final = "WINNOW_LIMITS"
_FIELDS: Final[dict[Used, LimitName]] = {
    "requests": "requests_per_second",
    "searches": "searches_per_second",
    "documents": "documents_per_day",
    "tokens": "tokens_per_day",
}
_WARN_SECONDS: Final = 60.0
_AWAY_SECONDS: Final = 1.0
LONGEST_PAUSE: Final = 300.0  # seconds until documents of a tenant without tokens are tried again
_TIMEOUT: Final = 0.25  # seconds for an answer of the storage: a request waits for it


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a quota leaves: of ``limit`` in its window ``remaining``, and seconds until there is more."""

    limit: int
    remaining: int
    reset_seconds: float


class _Quota(NamedTuple):
    """One limit that concerns a caller; ``owner`` is whose usage counts, ``source`` tells what sets it."""

    item: RateLimitItem
    owner: str
    source: str


class _PerDay(RateLimitItemPerDay):
    """A limit of a day; what was used stays counted when the limit changes."""

    def key_for(self, *identifiers: bytes | str | float) -> str:
        return "/".join((self.namespace, *map(str, identifiers)))


class Quotas:
    """Counts what callers use. Commands of the same machine are not limited.

    Usage is kept in this process, or on a Redis server that all processes share. While that server does not answer
    nothing is limited, and the log says so.

    Attributes:
        counts_tenants_tokens: whether the tokens of a tenant are limited.

    Raises:
        InvalidSettings: the storage's client is not installed.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self._settings = settings
        self.counts_tenants_tokens = settings.tenant.tokens_per_day is not None
        storage, self._close = _storage(settings.storage.get_secret_value())
        self._rates = SlidingWindowCounterRateLimiter(storage)
        self._totals = FixedWindowRateLimiter(storage)  # counts what was used although it was more than is left
        self._away_until = self._warned_at = -math.inf

    async def close(self) -> None:
        """Close the connections to the storage."""
        await self._close()

    async def use(self, principal: Principal, what: Used, count: int = 1) -> Allowance | None:
        """Use ``count`` of a quota; returns the tightest allowance, ``None`` where the caller is not limited.

        Raises:
            RateLimited: it is used up, or ``count`` is more than the window allows.
        """
        quotas = self._of(principal, what)
        lefts: list[Allowance] = []
        with self._reachable():
            for quota in quotas if len(quotas) > 1 else ():  # nothing is counted of a request that one of them refuses
                if not await self._rates.test(quota.item, quota.owner, cost=count):
                    raise _refusal(quota, what, await _left(self._rates, quota))
            for quota in quotas:
                if not await self._rates.hit(quota.item, quota.owner, cost=count):
                    raise _refusal(quota, what, await _left(self._rates, quota))
            lefts = [await _left(self._rates, quota) for quota in quotas]
        return min(lefts, key=lambda left: left.remaining, default=None)

    async def spend_tokens(self, who: Principal | str, count: int) -> None:
        """Count tokens that were read for a caller, or for the documents of a tenant."""
        with self._reachable():
            for quota in self._of(who, "tokens"):
                await self._totals.hit(quota.item, quota.owner, cost=count)

    async def require_tokens(self, who: Principal | str) -> None:
        """Raise ``RateLimited`` if the caller, or the tenant of documents, has no tokens left."""
        with self._reachable():
            for quota in self._of(who, "tokens"):
                if not await self._totals.test(quota.item, quota.owner):
                    raise _refusal(quota, "tokens", await _left(self._totals, quota))

    def _of(self, who: Principal | str, what: Used) -> list[_Quota]:
        """The limits that concern a caller or a tenant; none while the storage is away."""
        if time.monotonic() < self._away_until:
            return []
        if isinstance(who, str):
            return _quotas(self._settings.tenant, "tenant", f"tenant:{who}", what)
        if who.kind == "local":
            return []
        of_tenant = [] if who.tenant is None else self._of(who.tenant, what)
        return [*self._of_caller(who, what), *of_tenant]

    def _of_caller(self, who: Principal, what: Used) -> list[_Quota]:
        # a name is somebody's within a tenant: alice of acme is not alice of globex
        owner = f"{who.kind}:{who.subject}" if who.kind == "key" else f"{who.kind}:{who.tenant or ''}\x1f{who.subject}"
        own = who.limits.get(_FIELDS[what])
        if own is None:
            return _quotas(self._settings.caller, "caller", owner, what)
        return [_quota(own, owner, what, f"{_FIELDS[what]} of {who.described}")]

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        """Leave a storage that does not answer alone for a moment, and say once a minute that nothing is limited."""
        try:
            yield
        except StorageError as error:
            now = time.monotonic()
            self._away_until = now + _AWAY_SECONDS
            if now - self._warned_at >= _WARN_SECONDS:
                self._warned_at = now
                log.warning("callers are not limited: %s__STORAGE gives no answer: %s", _PREFIX, error.storage_error)


class CallerBudget:
    """The tokens that models elsewhere may read for one caller.

    Args:
        refuses: whether a search is refused when they are spent; else it goes on without the model.
    """

    def __init__(self, quotas: Quotas, principal: Principal, *, refuses: bool) -> None:
        self._quotas = quotas
        self._principal = principal
        self._refuses = refuses

    async def require(self) -> None:
        """Raise ``RateLimited``, or ``TokensSpent``, if none are left."""
        try:
            await self._quotas.require_tokens(self._principal)
        except RateLimited as error:
            if self._refuses:
                raise
            raise TokensSpent(error.message, retry_after=error.retry_after) from error

    async def spend(self, tokens: int) -> None:
        """Count tokens that were read."""
        await self._quotas.spend_tokens(self._principal, tokens)


class TenantBudget:
    """The tokens that an embedder elsewhere may read to index a tenant's documents."""

    def __init__(self, quotas: Quotas, tenant: str) -> None:
        self._quotas = quotas
        self._tenant = tenant

    async def require(self) -> None:
        """Raise ``TokensSpent`` if none are left, with a time at most ``LONGEST_PAUSE`` away."""
        try:
            await self._quotas.require_tokens(self._tenant)
        except RateLimited as error:
            wait = min(error.retry_after or LONGEST_PAUSE, LONGEST_PAUSE)
            message = f"the tokens of tenant {self._tenant!r} are spent: {error.message}"
            raise TokensSpent(message, retry_after=wait) from error

    async def spend(self, tokens: int) -> None:
        """Count tokens that were read."""
        await self._quotas.spend_tokens(self._tenant, tokens)


def _quotas(settings: QuotaSettings, group: str, owner: str, what: Used) -> list[_Quota]:
    amount = getattr(settings, _FIELDS[what])
    return [] if amount is None else [_quota(amount, owner, what, f"{_PREFIX}__{group}__{_FIELDS[what]}".upper())]


def _quota(amount: int, owner: str, what: Used, source: str) -> _Quota:
    make = RateLimitItemPerSecond if what in ("requests", "searches") else _PerDay
    return _Quota(make(amount, namespace=f"winnow:{what}"), owner, source)


async def _left(limiter: RateLimiter, quota: _Quota) -> Allowance:
    reset, remaining = await limiter.get_window_stats(quota.item, quota.owner)
    return Allowance(quota.item.amount, max(0, int(remaining)), max(0.0, reset - time.time()))


def _refusal(quota: _Quota, what: Used, left: Allowance) -> RateLimited:
    window = "a second" if quota.item.GRANULARITY.name == "second" else "24 hours"
    return RateLimited(
        f"the limit is {left.limit:,} {what} in {window} ({quota.source}); {left.remaining:,} are left",
        limit=left.limit,
        remaining=left.remaining,
        retry_after=max(left.reset_seconds, 0.001),
    )


def _storage(url: str) -> tuple[Storage, Callable[[], Awaitable[None]]]:
    """The storage, and how its connections are closed."""
    if url.startswith("memory:"):
        return MemoryStorage(wrap_exceptions=True), _nothing
    try:
        from redis.asyncio import ConnectionPool  # noqa: PLC0415 - an extra
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
    except ImportError as error:
        message = f"{_PREFIX}__STORAGE needs the Redis client: pip install 'winnow-search[redis]'"
        raise InvalidSettings(message) from error
    pool = ConnectionPool.from_url(
        url.removeprefix("redis+") if url.startswith("redis+unix") else url,
        socket_timeout=_TIMEOUT,
        socket_connect_timeout=_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )
    options: dict[str, Any] = {"connection_pool": pool}
    return RedisStorage(f"async+{url}", wrap_exceptions=True, implementation="redispy", **options), pool.aclose


async def _nothing() -> None:
    """Close a storage without connections."""
