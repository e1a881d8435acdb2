"""Who a request comes from: the principal of its credential.

Without any key, and without the secret of a LibreChat, a service is open to all who can reach it, which is its own
machine only (``server.host``), and ignores the credentials that requests carry. From the first key on, every request
needs one, and a key that is revoked keeps the service closed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from hmac import compare_digest
from typing import Final

from cachetools import TTLCache

from winnow.core.api_key import digest_of, id_of, is_well_formed
from winnow.core.clock import Clock, utc_now
from winnow.core.errors import Forbidden, KeyNotFound, Unauthorized
from winnow.core.principal import OPEN, Principal
from winnow.operations.librechat_tokens import LibreChatTokens
from winnow.operations.tokens import Tokens, looks_like_token
from winnow.ports import ApiKey, KeyCatalog, KeySummary

SECONDS: Final = 2.0
"""The longest that a change of another process goes unseen."""
BOOTSTRAP: Final = "bootstrap"
"""Subject of the principal of the bootstrap key."""
_MOST: Final = 10_000
_NEEDED: Final = (
    "this service needs a key: send the header Authorization: Bearer <key>; `winnow keys create`, where the service "
    "runs, makes one"
)
_ORIGIN_HELP: Final = "it is for the origins that were named when it was made; make another for this one"


class Access:
    """Finds the principal of a request, from a cache that is ``SECONDS`` old at most.

    Args:
        keys: the stored keys.
        tokens: verifies the tokens of users and pages.
        bootstrap: a secret that is a key with all scopes; empty for none.
        librechat: verifies the tokens of a LibreChat that shares its secret.
        clock: the time of day, which keys expire by.
        timer: monotonic seconds, which the cache expires by.
    """

    def __init__(
        self,
        keys: KeyCatalog,
        tokens: Tokens,
        bootstrap: str = "",
        *,
        librechat: LibreChatTokens | None = None,
        clock: Clock = utc_now,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._bootstrap = digest_of(bootstrap) if bootstrap else b""
        self._librechat = librechat
        self._clock = clock
        self._timer = timer
        self._known: TTLCache[str, ApiKey | None] = TTLCache(_MOST, SECONDS, timer=timer)
        self._loading: dict[str, asyncio.Task[ApiKey | None]] = {}
        self._summary: KeySummary | None = None
        self._summed_at = 0.0
        self._summing: asyncio.Task[KeySummary] | None = None

    async def principal(self, headers: Mapping[str, str]) -> Principal:
        """The principal of a request with these headers, whose names are in lower case.

        Raises:
            Unauthorized: a key or a token is needed, and there is none, or it is not valid; the message says why.
            Forbidden: it may not be used from this origin.
            WinnowError: the catalog does not answer.
        """
        if not self._bootstrap and self._librechat is None and not (await self.summary()).exist:
            return OPEN
        principal = await self._of_token(_token(headers.get("authorization", "")))
        origin = headers.get("origin", "")
        if principal.origins and origin and origin not in principal.origins:
            raise Forbidden(f"{principal.described} may not be used from {origin[:200]}: {_ORIGIN_HELP}")
        return principal

    async def summary(self) -> KeySummary:
        """Whether keys exist, and the origins of all; at most ``SECONDS`` old."""
        if self._summary is not None and self._timer() < self._summed_at + SECONDS:
            return self._summary
        if self._summing is None:
            self._summing = asyncio.create_task(self._sum())
        return await asyncio.shield(self._summing)

    def forget(self) -> None:
        """Ask the catalog next time: this process has changed a key."""
        self._known.clear()
        self._summary = None

    async def _sum(self) -> KeySummary:
        began = self._timer()
        try:
            self._summary = await self._keys.summary()
        finally:
            self._summing = None
        self._summed_at = began
        return self._summary

    async def _of_token(self, token: str) -> Principal:
        digest = digest_of(token)
        if self._bootstrap and compare_digest(digest, self._bootstrap):
            return Principal("key", BOOTSTRAP)
        if looks_like_token(token):
            of_chat = None if self._librechat is None else self._librechat.principal(token)
            return of_chat or await self._tokens.principal(token)
        if not is_well_formed(token):
            raise Unauthorized("this is not a key of Winnow: a character is wrong or missing")
        key = await self._find(id_of(token))
        if key is None or not compare_digest(digest, key.digest):
            raise Unauthorized("the key is not known here")
        _require_valid(key, self._clock())
        self._keys.used(key.id)
        return key.principal

    async def _find(self, key_id: str) -> ApiKey | None:
        with suppress(KeyError):  # looked up once: it may end between two looks
            return self._known[key_id]
        loading = self._loading.get(key_id)
        if loading is None:  # requests that come together share one query
            loading = self._loading[key_id] = asyncio.create_task(self._load(key_id))
        return await asyncio.shield(loading)

    async def _load(self, key_id: str) -> ApiKey | None:
        try:
            key = await self._keys.get(key_id)
        except KeyNotFound:
            key = None
        finally:
            del self._loading[key_id]
        self._known[key_id] = key
        return key


def _token(header: str) -> str:
    """The key of a header: ``Bearer <key>``, or the bare key, as samples of some providers send it."""
    scheme, _, token = header.strip().partition(" ")
    if not scheme:
        raise Unauthorized(_NEEDED)
    if not token and scheme.lower() != "bearer":
        return scheme
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("the Authorization header must be: Bearer <key>")
    return token.strip()


def _require_valid(key: ApiKey, now: datetime) -> None:
    if key.revoked_at is not None and key.revoked_at <= now:
        raise Unauthorized(f"the key {key.id} was revoked at {key.revoked_at:%Y-%m-%d %H:%M} UTC", subject=key.id)
    if key.expires_at is not None and key.expires_at <= now:
        raise Unauthorized(f"the key {key.id} expired at {key.expires_at:%Y-%m-%d %H:%M} UTC", subject=key.id)
