"""``/v1/collections``: make, check, list and delete collections."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.deps import CatalogDep, CollectionName, ResourcesDep
from service.openapi import BODY_PROBLEMS, problems
from service.schemas.collections import CollectionBody, CollectionList, CollectionView
from service.wire import CollectionRoute
from winnow.core.errors import CollectionNotFound, IdentityMismatch, InvalidCollection
from winnow.operations.collections import delete_collection, ensure_collection

router = APIRouter(prefix="/v1/collections", tags=["collections"], route_class=CollectionRoute)


@router.put(
    "/{name}",
    responses={
        201: {"model": CollectionView, "description": "The collection was made."},
        **problems(*BODY_PROBLEMS, InvalidCollection, IdentityMismatch),
    },
)
async def put_collection(
    name: CollectionName, resources: ResourcesDep, response: Response, body: CollectionBody | None = None
) -> CollectionView:
    """Create a collection, or check the one that exists.

    Fields may be added and metadata replaced at any time; a change that would need the documents to be embedded
    again is refused.
    """
    known = {collection.name for collection in await resources.catalog.collections.list()}
    collection = await ensure_collection(resources, name, (body or CollectionBody()).to_spec())
    response.status_code = 200 if name in known else 201
    return CollectionView.of(collection, await resources.catalog.documents.counts(name))


@router.get("", responses=problems())
async def list_collections(catalog: CatalogDep) -> CollectionList:
    """Every collection, by name, with what it holds."""
    found = await catalog.collections.list()
    return CollectionList(
        collections=[CollectionView.of(item, await catalog.documents.counts(item.name)) for item in found]
    )


@router.get("/{name}", responses=problems(CollectionNotFound, InvalidCollection))
async def get_collection(name: CollectionName, catalog: CatalogDep) -> CollectionView:
    """One collection: its identity, its settings, and what it holds."""
    return CollectionView.of(await catalog.collections.get(name), await catalog.documents.counts(name))


@router.delete("/{name}", status_code=204, responses=problems(CollectionNotFound, InvalidCollection))
async def remove_collection(name: CollectionName, resources: ResourcesDep) -> None:
    """Delete a collection, its documents and its vectors."""
    await delete_collection(resources, name)
