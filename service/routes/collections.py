"""``/v1/collections``: create, check, list and delete collections."""

from __future__ import annotations

from fastapi import Response

from service.access import needs
from service.deps import CatalogDep, CollectionName, PrincipalDep, ResourcesDep
from service.door import BODY_PROBLEMS, Door
from service.reading import read_collection, read_collections
from service.schemas.calibration import CalibrationBody, CalibrationView
from service.schemas.collections import CollectionBody, CollectionList, CollectionView
from winnow.core.errors import CollectionNotFound, IdentityMismatch, InvalidCollection
from winnow.operations.calibration import keep_calibration
from winnow.operations.collections import delete_collection, ensure_collection
from winnow.operations.scopes import SEEING

router = Door("/v1/collections", tag="collections", invalid=InvalidCollection)


@router.put(
    "/{name}",
    responses={
        201: {"model": CollectionView, "description": "The collection was created."},
        **router.problems(*BODY_PROBLEMS, InvalidCollection, IdentityMismatch),
    },
    openapi_extra=needs("collections:admin"),
)
async def put_collection(
    name: CollectionName,
    resources: ResourcesDep,
    principal: PrincipalDep,
    response: Response,
    body: CollectionBody | None = None,
) -> CollectionView:
    """Create a collection, or check the one that exists.

    Fields may be added and metadata replaced at any time; a change that would need the documents to be embedded
    again is refused.
    """
    ensured = await ensure_collection(resources, principal, name, (body or CollectionBody()).to_spec())
    response.status_code = 201 if ensured.created else 200
    return CollectionView.counted(ensured.collection, ensured.counts)


@router.get("", responses=router.problems(), openapi_extra=needs(*SEEING))
async def list_collections(catalog: CatalogDep, principal: PrincipalDep) -> CollectionList:
    """Every collection that the caller may see, by name, with its counts."""
    return await read_collections(catalog, principal)


@router.get("/{name}", responses=router.problems(CollectionNotFound, InvalidCollection), openapi_extra=needs(*SEEING))
async def get_collection(name: CollectionName, catalog: CatalogDep, principal: PrincipalDep) -> CollectionView:
    """One collection: its identity, settings and counts."""
    return await read_collection(catalog, principal, name)


@router.put(
    "/{name}/calibration",
    responses=router.problems(*BODY_PROBLEMS, CollectionNotFound, InvalidCollection),
    openapi_extra=needs("collections:admin"),
)
async def put_calibration(
    name: CollectionName, resources: ResourcesDep, principal: PrincipalDep, body: CalibrationBody
) -> CalibrationView:
    """Keep the calibration that `winnow calibrate` fitted; answers then carry `answerable`."""
    collection = await keep_calibration(resources, principal, name, body.to_calibration())
    return CalibrationView.of(collection.calibration)


@router.delete(
    "/{name}/calibration",
    status_code=204,
    responses=router.problems(CollectionNotFound, InvalidCollection),
    openapi_extra=needs("collections:admin"),
)
async def remove_calibration(name: CollectionName, resources: ResourcesDep, principal: PrincipalDep) -> None:
    """Remove the calibration; answers carry no `answerable` any more."""
    await keep_calibration(resources, principal, name, None)


@router.delete(
    "/{name}",
    status_code=204,
    responses=router.problems(CollectionNotFound, InvalidCollection),
    openapi_extra=needs("collections:admin"),
)
async def remove_collection(name: CollectionName, resources: ResourcesDep, principal: PrincipalDep) -> None:
    """Delete a collection, its documents and its vectors."""
    await delete_collection(resources, principal, name)
