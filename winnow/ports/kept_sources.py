"""Sources that are kept with a collection and read again by the worker, in the catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from winnow.core.types import JsonValue

RunStatus: TypeAlias = Literal["ok", "partial", "failed"]
"""``partial``: some documents could not be read or were kept by the guard; ``failed``: nothing could be read."""


@dataclass(frozen=True, slots=True)
class SourceRun:
    """The outcome of one run.

    Attributes:
        documents: numbers by outcome: ``seen``, ``indexed``, ``unchanged``, ``deleted``, ``failed``.
        failures: the first ones, each with ``source``, ``code`` and ``message``.
    """

    status: RunStatus
    started_at: datetime
    ended_at: datetime
    documents: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KeptSource:
    """A source that is kept with a collection.

    Attributes:
        spec: as a user writes it: ``site:https://docs.example.com``.
        tenant: whose documents it yields.
        every_seconds: between the starts of two runs; ``None`` for one that runs on demand alone.
        options: how it is read: members of ``SourceOptions`` and ``SiteOptions``, and ``delete_missing``.
        created_by: the principal that added it.
        next_at: when it is due; ``None`` for not before it is asked for.
        started_at: of the run that is going on; ``None`` while there is none.
        last: the outcome of the last run that ended.
    """

    id: str
    collection: str
    spec: str
    tenant: str = ""
    every_seconds: int | None = None
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    created_by: str = ""
    created_at: datetime | None = None
    next_at: datetime | None = None
    started_at: datetime | None = None
    last: SourceRun | None = None


@dataclass(frozen=True, slots=True)
class SourceClaim:
    """The right to run a source until ``until``. A run with an older token can no longer report its outcome."""

    source: KeptSource
    token: int
    until: datetime


class KeptSourceCatalog(Protocol):
    """Kept sources, and the leases under which they run. Every method is one transaction."""

    async def add(self, source: KeptSource) -> KeptSource:
        """Store a source, with the time of now.

        Raises:
            CollectionNotFound: the collection does not exist.
            Conflict: it keeps this source for this tenant already.
        """

    async def list(self, collection: str | None = None) -> Sequence[KeptSource]:
        """The sources of a collection, or of all in service, oldest first.

        Raises:
            CollectionNotFound: the collection does not exist.
        """

    async def get(self, collection: str, source_id: str) -> KeptSource:
        """Raise ``CollectionNotFound`` and ``SourceNotFound``."""

    async def remove(self, collection: str, source_id: str) -> KeptSource:
        """Forget a source; a run that is going on ends without an outcome. Raises as ``get``."""

    async def demand(self, collection: str, source_id: str) -> KeptSource:
        """Make a source due now; one that is running runs once more. Raises as ``get``."""

    async def claim(self, owner: str, *, seconds: float) -> SourceClaim | None:
        """Take a source that is due, or whose last run was abandoned, for ``seconds``; ``None`` if there is none.

        Its next run is set to one interval from now.
        """

    async def renew(self, claim: SourceClaim, *, seconds: float) -> bool:
        """Keep a claim for ``seconds`` from now; false if it is no longer ours."""

    async def finish(self, claim: SourceClaim, run: SourceRun) -> bool:
        """Store the outcome and end the claim; false if it is no longer ours."""

    async def release(self, claim: SourceClaim) -> None:
        """End the claim without an outcome: the source is due at once, for another process."""
