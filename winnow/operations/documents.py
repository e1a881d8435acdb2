"""Documents as far as a principal sees them: one, a listing, those that pass a filter, and their number.

What it does not see is not there: it is answered as what does not exist.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from winnow.core.access import joined, may_name, sees, sees_all_tenants, view_of
from winnow.core.acl import AccessView
from winnow.core.errors import Forbidden
from winnow.core.filters import matches, parse_filter
from winnow.core.missing import missing_document, withheld
from winnow.core.principal import Principal
from winnow.core.tenancy import qualify_id, tenant_of
from winnow.core.types import Collection, Counts, Document, DocumentState, Filter, IndexRef
from winnow.operations.resources import Resources
from winnow.ports import Catalog, DescribedKey, DocumentKey, StoredDocument
from winnow.search import lookup


async def see_documents(
    catalog: Catalog,
    principal: Principal,
    name: str,
    *,
    after: str = "",
    limit: int = 1000,
    source: str | None = None,
    state: DocumentState | None = None,
    tenant: str | None = None,
    descending: bool = False,
) -> Sequence[DocumentKey]:
    """Keys of a tenant's documents by id, those beyond ``after`` (before it, if ``descending``).

    Raises:
        CollectionNotFound: the collection does not exist.
        Forbidden: the principal may not name the tenant.
    """
    principal.require("documents:read", collection=name)
    view = view_of(principal, tenant)
    collection = await catalog.collections.get(name)
    after = qualify_id(view.tenant, after) if after else ""
    if view.is_whole:
        return await catalog.documents.list(
            name, after=after, limit=limit, state=state, source=source, tenant=view.tenant, descending=descending
        )
    rows = catalog.documents.scan_keys(
        name, after=after, source=source, state=state, tenant=view.tenant, descending=descending
    )
    found: list[DocumentKey] = []
    async for row in _seen(rows, joined(view, collection)):
        found.append(row.key)
        if len(found) == limit:
            break
    return found


async def see_document(
    catalog: Catalog, principal: Principal, name: str, document_id: str, *, tenant: str | None = None
) -> StoredDocument:
    """One document with its state. Raises ``CollectionNotFound`` and ``DocumentNotFound``."""
    principal.require("documents:read", collection=name)
    return await find_document(catalog, principal, name, document_id, tenant)


async def find_document(
    catalog: Catalog, principal: Principal, name: str, document_id: str, tenant: str | None
) -> StoredDocument:
    """A document that the principal sees, of the tenant that it names or of its own.

    Raises:
        CollectionNotFound: the collection does not exist.
        DocumentNotFound: there is no such document, or the principal does not see it.
    """
    collection = await catalog.collections.get(name)
    chosen = principal.tenant or "" if tenant is None else tenant
    # what may not be seen is looked up all the same: it takes the time of what is not there
    found = await catalog.documents.get(name, qualify_id(chosen, document_id))
    if not may_name(principal, chosen) or not sees(view_of(principal, chosen), collection, found.document):
        raise withheld(missing_document(name, document_id))
    return found


async def matching_ids(catalog: Catalog, name: str, raw_filter: object, view: AccessView) -> list[str]:
    """The qualified ids of the documents of a view that pass a filter.

    Raises:
        CollectionNotFound: the collection does not exist.
        InvalidFilter: the filter is malformed, or names an undeclared field.
    """
    collection = await catalog.collections.get(name)
    tree = joined(view, collection, parse_filter(raw_filter, collection.fields))
    return [row.key.id async for row in _seen(catalog.documents.scan_keys(name, tenant=view.tenant), tree)]


async def count_seen(catalog: Catalog, principal: Principal, collection: Collection, every: Counts) -> Counts:
    """The counts of a collection as far as the principal sees its documents; ``every`` are those of the whole.

    Who may name any tenant sees the whole. Where access lists or a locked filter narrow the view, a row of each
    document of the tenant is read.
    """
    view = view_of(principal)
    try:
        tree = joined(view, collection)
    except Forbidden:  # a locked filter that does not fit: there is nothing to see
        return Counts()
    if tree is None or (view.is_whole and sees_all_tenants(principal)):
        return every
    if view.is_whole:
        return await catalog.documents.counts(collection.name, tenant=view.tenant)
    states: Counter[str] = Counter()
    chunks = 0
    async for row in _seen(catalog.documents.scan_keys(collection.name, tenant=view.tenant), tree):
        states[row.key.state] += 1
        chunks += row.chunks
    return Counts(documents=states.total(), chunks=chunks, **states)


async def declare_access(resources: Resources, name: str, documents: Sequence[Document]) -> None:
    """See to it that searches ask for tenants and access lists from now on, if one of the documents has either.

    The first time this waits until no process searches by an older row of the collection.

    Raises:
        CollectionNotFound: the collection does not exist.
    """
    if not any(tenant_of(document.id) or document.acl is not None for document in documents):
        return
    collections = resources.catalog.collections
    collection = await collections.get(name)
    if collection.access.in_use:
        return
    prepared: set[IndexRef] = set()
    while missing := [index for index in collection.indexes if index.ref not in prepared]:
        for index in missing:
            await resources.store.create(index.ref, index.schema(collection.fields))
            prepared.add(index.ref)
        collection = await collections.mark_access(name)
    resources.collections.forget(name)
    if resources.settings.shares_catalog:
        await asyncio.sleep(lookup.SECONDS)


async def _seen(rows: AsyncIterator[DescribedKey], tree: Filter | None) -> AsyncIterator[DescribedKey]:
    async for row in rows:
        if tree is None or matches(tree, row.metadata):
            yield row
