"""The audit trail on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import AwareDatetime, Field

from service.schemas.common import Parameters, View
from winnow.ports import AuditEvent


class AuditEventView(View):
    """One action, or ``count`` equal ones within a second."""

    id: str
    at: datetime | None
    action: str = Field(description="such as documents.delete, key.create or access.refused")
    actor: str = Field(description="kind of the principal, with its key's id or its token's subject")
    tenant: str | None
    collection: str = Field(description="empty where none is concerned")
    document: str = Field(description="empty where none or several are concerned")
    request_id: str
    outcome: str = Field(description="ok, or the code of the error")
    count: int
    details: dict[str, Any]


class AuditQuery(Parameters):
    """Which events to list."""

    since: AwareDatetime | None = Field(None, description="only events from this moment on")
    action: str | None = Field(None, description="only this action; key.* is all that begin so")
    after: str = Field("", description="id of the last event of the previous page")
    limit: int = Field(100, ge=1, le=1000)


class AuditList(View):
    """Events, newest first. ``next`` is the ``after`` of the next page, null on the last one."""

    events: list[AuditEventView]
    next: str | None

    @classmethod
    def page(cls, events: Sequence[AuditEvent], limit: int) -> Self:
        """A page out of up to ``limit + 1`` events; one beyond the limit means that another page follows."""
        shown = [AuditEventView.of(event) for event in events[:limit]]
        return cls(events=shown, next=shown[-1].id if len(events) > limit else None)
