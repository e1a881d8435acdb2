"""Making, showing, revoking and rotating API keys."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, get_args

from winnow.core.api_key import digest_of, id_of, new_key
from winnow.core.clock import Clock, utc_now
from winnow.core.errors import Conflict, Forbidden, InvalidKey
from winnow.core.missing import missing_key, withheld
from winnow.core.origins import wrong_origin
from winnow.core.principal import SCOPES, LimitName, Principal, Scope, fits_pattern
from winnow.core.tenancy import check_tenant
from winnow.operations.audit import audited
from winnow.ports import ApiKey, Catalog

MAX_LABEL_CHARS: Final = 200
MAX_PATTERNS: Final = 100
MAX_ORIGINS: Final = 100
MAX_GRACE_SECONDS: Final = 90 * 86400.0
MAX_LIMIT: Final = 10**12
GRACE_SECONDS: Final = 24 * 3600.0
"""How long a key is still valid after its rotation, unless another time is asked for."""
_PATTERN: Final = re.compile(r"[A-Za-z0-9*][A-Za-z0-9._*-]{0,63}")


@dataclass(frozen=True, slots=True)
class KeySpec:
    """The rights that are asked for a key; as in ``Principal``. Without collections and tenant: those of its maker."""

    label: str = ""
    scopes: frozenset[Scope] = field(default_factory=lambda: frozenset({"search"}))
    collections: tuple[str, ...] | None = None
    tenant: str | None = None
    origins: tuple[str, ...] = ()
    expires_at: datetime | None = None
    limits: Mapping[LimitName, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key that was just made: the only time that its secret is known."""

    secret: str
    key: ApiKey


async def add_key(catalog: Catalog, principal: Principal, spec: KeySpec, *, clock: Clock = utc_now) -> MadeKey:
    """Make a key, with any scopes, for at most the collections and the tenant of the principal.

    Raises:
        InvalidInput: the rights do not go together, or the tenant is none; the message says which.
        Forbidden: the collections or the tenant are not those of the principal.
    """
    principal.require("keys:admin")
    collections = principal.collections if spec.collections is None else spec.collections
    _check(spec, collections, clock())
    if beyond := _beyond(principal, collections, principal.tenant if spec.tenant is None else spec.tenant):
        raise Forbidden(f"{principal.described} cannot give rights that it lacks: {', '.join(beyond)}")
    secret = new_key()
    key = ApiKey(
        id_of(secret),
        digest_of(secret),
        spec.label,
        spec.scopes,
        collections,
        principal.tenant if spec.tenant is None else spec.tenant,
        spec.origins,
        spec.expires_at,
        created_by=principal.subject,
        limits=spec.limits,
    )
    async with audited(catalog.trail, principal, "key.create") as details:
        details.update(key=key.id, scopes=sorted(key.scopes), collections=list(key.collections), limits=key.limits)
        return MadeKey(secret, await catalog.keys.add(key))


async def see_keys(catalog: Catalog, principal: Principal) -> Sequence[ApiKey]:
    """The keys for collections and a tenant of the principal, oldest first; also revoked and expired ones."""
    principal.require("keys:admin")
    return [key for key in await catalog.keys.list() if _covers(principal, key)]


async def see_key(catalog: Catalog, principal: Principal, key_id: str) -> ApiKey:
    """One key. Raises ``KeyNotFound``, also for a key of other collections or another tenant."""
    principal.require("keys:admin")
    key = await catalog.keys.get(key_id)
    if not _covers(principal, key):
        raise withheld(missing_key(key_id))
    return key


async def end_key(catalog: Catalog, principal: Principal, key_id: str) -> ApiKey:
    """Make a key invalid from now on, in every process within ``access.SECONDS``. Raises as ``see_key``."""
    await see_key(catalog, principal, key_id)
    async with audited(catalog.trail, principal, "key.revoke") as details:
        details["key"] = key_id
        return await catalog.keys.revoke(key_id)


async def change_limits(catalog: Catalog, principal: Principal, key_id: str, limits: Mapping[LimitName, int]) -> ApiKey:
    """Give a key these limits in place of those that it had; without any, the settings for every caller apply.

    Raises:
        KeyNotFound: as ``see_key``.
        InvalidKey: a limit is unknown, or out of range.
    """
    await see_key(catalog, principal, key_id)
    _check_limits(limits)
    async with audited(catalog.trail, principal, "key.limit") as details:
        details.update(key=key_id, limits=dict(limits))
        return await catalog.keys.set_limits(key_id, limits)


async def replace_key(
    catalog: Catalog,
    principal: Principal,
    key_id: str,
    *,
    grace_seconds: float = GRACE_SECONDS,
    clock: Clock = utc_now,
) -> MadeKey:
    """Make a key with the rights of another one, which stays valid for ``grace_seconds``.

    The new key keeps a lifetime of the same length, counted from now.

    Raises:
        KeyNotFound: as ``see_key``.
        InvalidKey: the old key would stay valid for too long.
        Conflict: the key is revoked or expired.
    """
    if not 0 <= grace_seconds <= MAX_GRACE_SECONDS:
        message = "the old key stays valid for 90 days at most (grace_seconds 0 to 7,776,000)"
        raise InvalidKey(message, location=("grace_seconds",))
    old, now = await see_key(catalog, principal, key_id), clock()
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        raise Conflict(f"the key {key_id} is not valid any more: make a new one with `winnow keys create`")
    expires_at = None
    if old.expires_at is not None and old.created_at is not None:
        expires_at = now + (old.expires_at - old.created_at)
    secret = new_key()
    new = replace(
        old,
        id=id_of(secret),
        digest=digest_of(secret),
        expires_at=expires_at,
        created_by=principal.subject,
        last_used_at=None,
    )
    async with audited(catalog.trail, principal, "key.rotate") as details:
        details.update(key=key_id, replaced_by=new.id)
        until = now + timedelta(seconds=grace_seconds)
        return MadeKey(secret, await catalog.keys.replace(key_id, new, old_expires_at=until))


def _check(spec: KeySpec, collections: Sequence[str], now: datetime) -> None:
    """Raise ``InvalidKey`` that names the wrong part."""
    if len(spec.label) > MAX_LABEL_CHARS or not spec.label.isprintable():
        raise InvalidKey(f"a label has at most {MAX_LABEL_CHARS} printable characters", location=("label",))
    if not spec.scopes or spec.scopes - SCOPES:
        wrong = ", ".join(sorted(spec.scopes - SCOPES)) or "none"
        raise InvalidKey(f"unknown scope {wrong}: use one or more of {', '.join(sorted(SCOPES))}", location=("scopes",))
    if not 1 <= len(collections) <= MAX_PATTERNS:
        raise InvalidKey(f"name 1 to {MAX_PATTERNS} collections or patterns", location=("collections",))
    for pattern in collections:
        if not _PATTERN.fullmatch(pattern):
            message = f"invalid collection pattern {pattern[:80]!r}: use a name, in which * is any number of characters"
            raise InvalidKey(message, location=("collections",))
    if spec.tenant is not None:
        check_tenant(spec.tenant)
    if spec.expires_at is not None and spec.expires_at <= now:
        message = f"expires_at {spec.expires_at:%Y-%m-%d %H:%M %Z} has passed already: name a later time, or none"
        raise InvalidKey(message, location=("expires_at",))
    _check_origins(spec)
    _check_limits(spec.limits)


def _check_limits(limits: Mapping[LimitName, int]) -> None:
    names = get_args(LimitName)
    for name, most in limits.items():
        if name not in names:
            raise InvalidKey(f"unknown limit {name!r:.80}: use {', '.join(names)}", location=("limits", name))
        if not 1 <= most <= MAX_LIMIT:
            raise InvalidKey(f"{name} is an integer from 1 to {MAX_LIMIT:,}, not {most}", location=("limits", name))


def _check_origins(spec: KeySpec) -> None:
    if not spec.origins:
        return
    if len(spec.origins) > MAX_ORIGINS:
        raise InvalidKey(f"a key has at most {MAX_ORIGINS} origins", location=("origins",))
    if (wrong := wrong_origin(spec.origins)) is not None:
        raise InvalidKey(wrong, location=("origins",))
    if spec.scopes != {"search"}:
        message = "a key with origins is for web pages, where everyone can read it: give it the scope search alone"
        raise InvalidKey(message, location=("scopes",))


def _beyond(principal: Principal, collections: Sequence[str], tenant: str | None) -> list[str]:
    """The collections and the tenant that are not the principal's."""
    beyond = [each for each in collections if not any(fits_pattern(each, mine) for mine in principal.collections)]
    if principal.tenant is not None and tenant != principal.tenant:
        beyond.append("another tenant")
    return beyond


def _covers(principal: Principal, key: ApiKey) -> bool:
    return not _beyond(principal, key.collections, key.tenant)
