"""``/v1/collections/{name}/reembed``: another embedding model for a collection, while it is in use."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.deps import CollectionName, ResourcesDep
from service.openapi import BODY_PROBLEMS, problems
from service.schemas.reembed import ReembedBody, ReembedView, SwitchBody
from service.wire import CollectionRoute
from winnow.core.errors import CollectionNotFound, Conflict, IdentityMismatch, InvalidCollection
from winnow.operations import reembed as reembedding

router = APIRouter(prefix="/v1/collections/{name}", tags=["re-embedding"], route_class=CollectionRoute)
_READING = problems(CollectionNotFound, InvalidCollection)
_CHANGING = problems(*BODY_PROBLEMS, CollectionNotFound, InvalidCollection, Conflict, IdentityMismatch)


@router.post("/reembed", status_code=202, responses=_CHANGING)
async def start_reembedding(
    name: CollectionName, resources: ResourcesDep, response: Response, body: ReembedBody | None = None
) -> ReembedView:
    """Begin to build a second index with the next model; ``dry_run`` only judges what that takes."""
    if body is not None and body.dry_run:
        response.status_code = 200
        return ReembedView.of(await reembedding.status(resources, name), await reembedding.estimate(resources, name))
    return ReembedView.of(await reembedding.start(resources, name))


@router.get("/reembed", responses=_READING)
async def get_reembedding(name: CollectionName, resources: ResourcesDep) -> ReembedView:
    """How far it is."""
    return ReembedView.of(await reembedding.status(resources, name))


@router.post("/reembed:switch", responses=_CHANGING)
async def switch_index(name: CollectionName, resources: ResourcesDep, body: SwitchBody | None = None) -> ReembedView:
    """Have searches use the new index from now on; the old one is kept up to date for a rollback."""
    force = body is not None and body.force
    return ReembedView.of(await reembedding.switch(resources, name, force=force))


@router.post("/reembed:rollback", responses=_CHANGING)
async def roll_back(name: CollectionName, resources: ResourcesDep) -> ReembedView:
    """Have searches use the old index again."""
    return ReembedView.of(await reembedding.rollback(resources, name))


@router.delete("/reembed", responses=_CHANGING)
async def drop_other_index(name: CollectionName, resources: ResourcesDep) -> ReembedView:
    """Give up the index beside the serving one: the one being built, or the one kept after a switch."""
    return ReembedView.of(await reembedding.drop(resources, name))
