"""Keeping sources with a collection: who may add which, and making one run now."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeAlias

from winnow.core.access import may_name, sees_all_tenants, view_of
from winnow.core.clock import utc_now
from winnow.core.errors import Forbidden, InvalidSource
from winnow.core.ids import new_id
from winnow.core.missing import missing_source, withheld
from winnow.core.principal import Principal, Scope
from winnow.core.spans import parse_span
from winnow.core.types import JsonValue
from winnow.operations.audit import audited
from winnow.ports import Catalog, KeptSource

KEEPING: Final[tuple[Scope, ...]] = ("documents:write", "collections:admin")
"""To see, add, run and remove sources."""
MAX_SPEC_CHARS: Final = 2048
MAX_SOURCES: Final = 1000
CheckSource: TypeAlias = Callable[[str, Mapping[str, Any]], object]
_PASSWORD: Final = re.compile(r"://[^/@\s]*:[^/@\s]*@")
_LONGEST: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A source that is to be kept.

    Attributes:
        source: as ``winnow index`` takes it.
        every: time between two runs, as ``6h``; ``None`` for runs on demand alone.
        tenant: whose documents it yields; ``None`` for the caller's own, or those of none.
        run: whether it is due at once.
        options: how it is read.
    """

    source: str
    every: str | None = None
    tenant: str | None = None
    run: bool = True
    options: Mapping[str, JsonValue] = field(default_factory=dict)


async def keep_source(
    catalog: Catalog,
    principal: Principal,
    collection: str,
    spec: SourceSpec,
    *,
    allowed: Sequence[str],
    check: CheckSource,
) -> KeptSource:
    """Keep a source with a collection.

    Args:
        catalog: stores it.
        principal: who adds it.
        collection: an existing one.
        spec: what is read, and how often.
        allowed: beginnings of sources that a principal may add who does not administer the whole installation.
        check: raises ``InvalidSource`` for a source that cannot be opened; is called on what the principal may add.

    Raises:
        CollectionNotFound: the collection does not exist.
        InvalidSource: nothing has that name, or a password is in it, or ``every`` is not a length of time.
        Forbidden: the principal may not add it.
        Conflict: the collection keeps it already.
    """
    principal.require(*KEEPING, collection=collection)
    await catalog.collections.get(collection)
    tenant = view_of(principal, spec.tenant).tenant
    every = _checked(spec)
    if not _administers(principal):
        _require_allowed(principal, spec, allowed)
    check(spec.source, spec.options)
    if len(await catalog.sources.list(collection)) >= MAX_SOURCES:
        raise InvalidSource(f"a collection keeps at most {MAX_SOURCES:,} sources")
    now = utc_now()
    due = now if spec.run else None if every is None else now + every
    source = KeptSource(
        new_id("src"),
        collection,
        spec.source,
        tenant,
        None if every is None else int(every.total_seconds()),
        spec.options,
        f"{principal.kind} {principal.subject}".rstrip(),
        next_at=due,
    )
    async with audited(catalog.trail, principal, "sources.add", collection=collection) as details:
        details.update(source=source.id, scheme=spec.source.partition(":")[0][:40], every_seconds=source.every_seconds)
        return await catalog.sources.add(source)


async def see_sources(catalog: Catalog, principal: Principal, collection: str) -> list[KeptSource]:
    """The sources of a collection whose tenant the principal may name, oldest first.

    Raises:
        CollectionNotFound: the collection does not exist.
    """
    principal.require(*KEEPING, collection=collection)
    return [each for each in await catalog.sources.list(collection) if _sees(principal, each)]


async def see_source(catalog: Catalog, principal: Principal, collection: str, source_id: str) -> KeptSource:
    """One source. Raises ``CollectionNotFound`` and ``SourceNotFound``."""
    principal.require(*KEEPING, collection=collection)
    found = await catalog.sources.get(collection, source_id)
    if not _sees(principal, found):
        raise withheld(missing_source(collection, source_id))
    return found


async def forget_source(catalog: Catalog, principal: Principal, collection: str, source_id: str) -> KeptSource:
    """Stop keeping a source; its documents stay. Raises as ``see_source``."""
    await see_source(catalog, principal, collection, source_id)
    async with audited(catalog.trail, principal, "sources.remove", collection=collection) as details:
        details["source"] = source_id
        return await catalog.sources.remove(collection, source_id)


async def demand_source(catalog: Catalog, principal: Principal, collection: str, source_id: str) -> KeptSource:
    """Have a source run now; one that is running runs once more. Raises as ``see_source``."""
    await see_source(catalog, principal, collection, source_id)
    async with audited(catalog.trail, principal, "sources.run", collection=collection) as details:
        details["source"] = source_id
        return await catalog.sources.demand(collection, source_id)


def _checked(spec: SourceSpec) -> timedelta | None:
    """The time between two runs of a source whose name is a usable one."""
    if not spec.source.strip() or len(spec.source) > MAX_SPEC_CHARS or not spec.source.isprintable():
        message = f"a source is a line of 1 to {MAX_SPEC_CHARS:,} characters, as site:https://docs.example.com"
        raise InvalidSource(message, location=("source",))
    if _PASSWORD.search(spec.source):
        message = "leave the password out of the source: everybody who sees the collection's sources would see it"
        raise InvalidSource(message, location=("source",))
    if spec.every is None:
        return None
    every = parse_span(spec.every)
    if every is None or not timedelta(seconds=1) <= every <= _LONGEST:
        message = f"every is a number with s, m, h, d or w, from 1s to a year, as 6h; it is {spec.every[:40]!r}"
        raise InvalidSource(message, location=("every",))
    return every


def _administers(principal: Principal) -> bool:
    """Whether a principal may have the service read its own machine and network."""
    return principal.may("collections:admin") and principal.sees_everything


def _require_allowed(principal: Principal, spec: SourceSpec, allowed: Sequence[str]) -> None:
    who = "needs the scope collections:admin for every collection and tenant"
    if not spec.source.startswith(tuple(allowed)):
        listed = ", ".join(allowed) or "none"
        message = f"{principal.described} may add sources that begin with {listed}; another one {who}"
        raise Forbidden(message, location=("source",))
    for option in ("allow_private", "follow_links"):
        if spec.options.get(option):
            raise Forbidden(f"{option} {who}", location=(option,))


def _sees(principal: Principal, source: KeptSource) -> bool:
    return sees_all_tenants(principal) or may_name(principal, source.tenant)
