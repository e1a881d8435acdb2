"""Reading documents out of the catalog."""

from __future__ import annotations

from collections.abc import Sequence

from winnow.core.principal import Principal
from winnow.core.types import DocumentState
from winnow.ports import Catalog, DocumentKey, StoredDocument


async def see_documents(
    catalog: Catalog,
    principal: Principal,
    name: str,
    *,
    after: str = "",
    limit: int = 1000,
    source: str | None = None,
    state: DocumentState | None = None,
) -> Sequence[DocumentKey]:
    """Keys of documents by id, those beyond ``after``. Raises ``CollectionNotFound``."""
    principal.require("documents:read", collection=name)
    await catalog.collections.get(name)
    return await catalog.documents.list(name, after=after, limit=limit, state=state, source=source)


async def see_document(catalog: Catalog, principal: Principal, name: str, document_id: str) -> StoredDocument:
    """One document with its state. Raises ``CollectionNotFound`` and ``DocumentNotFound``."""
    principal.require("documents:read", collection=name)
    return await catalog.documents.get(name, document_id)
