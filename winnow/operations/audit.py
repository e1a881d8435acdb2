"""Recording of actions in the audit trail.

Deletions, changes of keys, backups and switches are stored before their answer is sent. Uploads and refusals, of which
there are many, follow within a second.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from winnow.core.errors import Forbidden, NotFound, Unauthorized, WinnowError
from winnow.core.principal import Principal
from winnow.ports import AuditEvent, AuditTrail, Catalog

IDS_AN_EVENT: Final = 500
REFUSED: Final = "access.refused"

log = logging.getLogger(__name__)


def event_of(
    principal: Principal, action: str, *, collection: str = "", document: str = "", outcome: str = "ok", **details: Any
) -> AuditEvent:
    """An action of a principal as an event."""
    return AuditEvent(
        action,
        f"{principal.kind} {principal.subject}".rstrip(),
        principal.tenant,
        collection,
        document,
        principal.request_id,
        outcome,
        details=details,
    )


def is_refusal(error: Exception) -> bool:
    """Whether an error is due to the caller's credential; the door that answers it records it as ``REFUSED``."""
    return isinstance(error, Unauthorized | Forbidden) or (isinstance(error, NotFound) and error.withheld)


@asynccontextmanager
async def audited(
    trail: AuditTrail, principal: Principal, action: str, *, collection: str = "", ids: Sequence[str] = ()
) -> AsyncIterator[dict[str, Any]]:
    """Record what the body does, also where it fails; yields the event's details for the body to add to.

    ``ids`` names documents: several are listed in the details, of as many events as it takes.

    Raises:
        WinnowError: the body's own error; or what was done could not be recorded.
    """
    details: dict[str, Any] = {}
    try:
        yield details
    except WinnowError as error:
        if not is_refusal(error):
            await _try(trail, _events(principal, action, collection, ids, outcome=error.code, details=details))
        raise
    await trail.append(*_events(principal, action, collection, ids, outcome="ok", details=details))


async def see_trail(
    catalog: Catalog,
    principal: Principal,
    *,
    since: datetime | None = None,
    action: str | None = None,
    after: str = "",
    limit: int = 100,
) -> Sequence[AuditEvent]:
    """Events, newest first.

    Raises:
        Forbidden: the principal sees a part of the installation only.
    """
    principal.require("operate")
    if not principal.sees_everything:
        raise Forbidden(
            f"the audit trail is of every collection and tenant, of which {principal.described} sees a part"
        )
    return await catalog.trail.list(since=since, action=action, after=after, limit=limit)


def _events(
    principal: Principal, action: str, collection: str, ids: Sequence[str], *, outcome: str, details: dict[str, Any]
) -> list[AuditEvent]:
    if len(ids) <= 1:
        return [event_of(principal, action, collection=collection, document="".join(ids), outcome=outcome, **details)]
    return [
        event_of(
            principal,
            action,
            collection=collection,
            outcome=outcome,
            documents=list(ids[begin : begin + IDS_AN_EVENT]),
            **details,
        )
        for begin in range(0, len(ids), IDS_AN_EVENT)
    ]


async def _try(trail: AuditTrail, events: list[AuditEvent]) -> None:
    """Record a failure; the error itself matters more than that it cannot be recorded."""
    try:
        await trail.append(*events)
    except WinnowError as error:
        log.warning("the audit trail cannot be written: %s", error.message)
