"""``/v1/collections/{name}/reembed``: change the embedding model of a collection while it is in use."""

from __future__ import annotations

from typing import Final

from fastapi import Response

from service.access import needs
from service.deps import CollectionName, PrincipalDep, ResourcesDep
from service.door import BODY_PROBLEMS, Door
from service.schemas.reembed import ReembedBody, ReembedView, SwitchBody
from winnow.core.errors import CollectionNotFound, Conflict, IdentityMismatch, InvalidCollection
from winnow.operations import reembed as reembedding

router = Door(
    "/v1/collections/{name}",
    tag="re-embedding",
    invalid=InvalidCollection,
    problems=(CollectionNotFound, InvalidCollection),
)
_CHANGING: Final = router.problems(*BODY_PROBLEMS, Conflict, IdentityMismatch)


@router.post("/reembed", status_code=202, responses=_CHANGING, openapi_extra=needs("operate"))
async def start_reembedding(
    name: CollectionName,
    resources: ResourcesDep,
    principal: PrincipalDep,
    response: Response,
    body: ReembedBody | None = None,
) -> ReembedView:
    """Start to build a second index with the named or the next model; ``dry_run`` only estimates the effort."""
    wanted = body or ReembedBody()
    if wanted.dry_run:
        response.status_code = 200
        return ReembedView.progress(
            await reembedding.status(resources, principal, name, model=wanted.model),
            await reembedding.estimate_reembed(resources, principal, name, model=wanted.model),
        )
    return ReembedView.progress(await reembedding.start(resources, principal, name, model=wanted.model))


@router.get("/reembed", responses=router.problems(), openapi_extra=needs("operate"))
async def get_reembedding(name: CollectionName, resources: ResourcesDep, principal: PrincipalDep) -> ReembedView:
    """The progress of the re-embedding."""
    return ReembedView.progress(await reembedding.status(resources, principal, name))


@router.post("/reembed:switch", responses=_CHANGING, openapi_extra=needs("operate"))
async def switch_index(
    name: CollectionName, resources: ResourcesDep, principal: PrincipalDep, body: SwitchBody | None = None
) -> ReembedView:
    """Switch searches to the new index; the old one is kept up to date for a rollback."""
    force = body is not None and body.force
    return ReembedView.progress(await reembedding.switch_model(resources, principal, name, force=force))


@router.post("/reembed:rollback", responses=_CHANGING, openapi_extra=needs("operate"))
async def roll_back(name: CollectionName, resources: ResourcesDep, principal: PrincipalDep) -> ReembedView:
    """Switch searches back to the old index."""
    return ReembedView.progress(await reembedding.rollback(resources, principal, name))


@router.delete("/reembed", responses=_CHANGING, openapi_extra=needs("operate"))
async def drop_other_index(name: CollectionName, resources: ResourcesDep, principal: PrincipalDep) -> ReembedView:
    """Drop the index beside the serving one: the one being built, or the one kept after a switch."""
    return ReembedView.progress(await reembedding.drop(resources, principal, name))
