"""API keys in the catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from winnow.core.principal import EVERY_COLLECTION, LimitName, Principal, Scope


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret part.

    Attributes:
        id: the public beginning of the key.
        digest: SHA-256 of the whole key.
        scopes, collections, tenant, origins, expires_at, limits: as in ``Principal``.
        created_by: the key that made it; empty for a command of the same machine.
        last_used_at: within a minute.
        replaces: the id of the key whose place it takes.
    """

    id: str
    digest: bytes
    label: str
    scopes: frozenset[Scope]
    collections: tuple[str, ...] = EVERY_COLLECTION
    tenant: str | None = None
    origins: tuple[str, ...] = ()
    expires_at: datetime | None = None
    created_at: datetime | None = None
    created_by: str = ""
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    replaces: str | None = None
    limits: Mapping[LimitName, int] = field(default_factory=dict)

    @property
    def principal(self) -> Principal:
        """Who a request with this key comes from."""
        return Principal(
            "key",
            self.id,
            self.scopes,
            self.collections,
            self.tenant,
            origins=self.origins,
            expires_at=self.expires_at,
            limits=self.limits,
        )


@dataclass(frozen=True, slots=True)
class KeySummary:
    """Whether any key was ever made, and the origins of all keys that are not revoked."""

    exist: bool
    origins: frozenset[str]


class KeyCatalog(Protocol):
    """API keys. A key that is revoked stays, so that a service which once had keys is never open again."""

    async def add(self, key: ApiKey) -> ApiKey:
        """Store a new key; it gets the time of its making."""

    async def get(self, key_id: str) -> ApiKey:
        """Raise ``KeyNotFound`` for an unknown id."""

    async def list(self) -> Sequence[ApiKey]:
        """All keys, also revoked and expired ones, oldest first."""

    async def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key from now on; the time of the first revocation stays. Raises ``KeyNotFound``."""

    async def set_limits(self, key_id: str, limits: Mapping[LimitName, int]) -> ApiKey:
        """Give a key these limits and no others. Raises ``KeyNotFound``."""

    async def replace(self, old_id: str, new: ApiKey, *, old_expires_at: datetime) -> ApiKey:
        """Store a key that takes the place of another, which expires at the given time, if not before.

        Raises:
            KeyNotFound: there is no such key.
        """

    def used(self, key_id: str) -> None:
        """Note that a key was used just now; written within a minute, and when the catalog is closed."""

    async def summary(self) -> KeySummary:
        """What all keys have in common."""
