"""``/v1/audit``: who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from service.access import needs
from service.deps import CatalogDep, PrincipalDep
from service.door import Door
from service.reading import read_trail
from service.schemas.audit import AuditList, AuditQuery
from winnow.core.errors import InvalidInput

router = Door("/v1/audit", tag="operations", problems=(InvalidInput,))


@router.get("", responses=router.problems(), openapi_extra=needs("operate", whole=True))
async def list_audit_events(
    catalog: CatalogDep, principal: PrincipalDep, query: Annotated[AuditQuery, Query()]
) -> AuditList:
    """The audit trail, newest first, a page at a time. Needs a key for every collection and tenant."""
    return await read_trail(catalog, principal, query)
