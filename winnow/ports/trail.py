"""The audit trail: who did what, append-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from winnow.core.types import JsonValue


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One action, or several equal ones within a second. Holds no secret, no text and no query.

    Attributes:
        action: ``documents.delete``, ``key.create`` …
        actor: kind of the principal, and its key's id or token's subject: ``key wnw_AbCdEfGh``.
        tenant: of the principal.
        collection, document: what it was done to; empty where it concerns neither or several.
        request_id: of the request; of the first where there are several.
        outcome: ``ok``, or the code of the error.
        count: the number of equal events.
        details: further facts, such as the number of documents.
        id, at: set when it is stored.
    """

    action: str
    actor: str
    tenant: str | None = None
    collection: str = ""
    document: str = ""
    request_id: str = ""
    outcome: str = "ok"
    count: int = 1
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    id: str = ""
    at: datetime | None = None


class AuditTrail(Protocol):
    """The audit trail."""

    async def append(self, *events: AuditEvent) -> None:
        """Store events. Committed on return."""

    def note(self, event: AuditEvent) -> None:
        """Store an event within a second, and when the catalog is closed; equal ones are counted together.

        For what happens often. Beyond a bound of different events in one second the others are counted only.
        """

    async def list(
        self, *, since: datetime | None = None, action: str | None = None, after: str = "", limit: int = 100
    ) -> Sequence[AuditEvent]:
        """Events, newest first, those older than event ``after``; ``action`` may end in ``*``."""

    async def prune(self, *, before: datetime, limit: int = 1000) -> int:
        """Delete at most ``limit`` events from before this moment; return how many."""
