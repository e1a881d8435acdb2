"""``/v1/collections/{name}/sources``: sources that are kept with a collection and read again by themselves."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from service.access import needs
from service.deps import CatalogDep, CollectionName, PrincipalDep, ResourcesDep
from service.door import BODY_PROBLEMS, Door
from service.reading import read_source, read_sources
from service.schemas.sources import SourceBody, SourceList, SourceView
from winnow.core.errors import CollectionNotFound, Conflict, InvalidSource, SourceNotFound
from winnow.operations import kept_sources

router = Door(
    "/v1/collections/{name}/sources",
    tag="sources",
    invalid=InvalidSource,
    problems=(CollectionNotFound, InvalidSource),
)
SourceId = Annotated[str, Path(description="id of the source", examples=["src_01JY4W6V0T8Q3N5R7XKZB2C4DF"])]


@router.get("", responses=router.problems(), openapi_extra=needs(*kept_sources.KEEPING))
async def list_sources(name: CollectionName, catalog: CatalogDep, principal: PrincipalDep) -> SourceList:
    """The sources of a collection, with the outcome of their last runs."""
    return await read_sources(catalog, principal, name)


@router.post(
    "",
    status_code=201,
    responses=router.problems(*BODY_PROBLEMS, Conflict),
    openapi_extra=needs(*kept_sources.KEEPING),
)
async def add_source(
    name: CollectionName, body: SourceBody, resources: ResourcesDep, principal: PrincipalDep
) -> SourceView:
    """Keep a source with the collection: the worker reads it now and at the given interval.

    Callers without `collections:admin` for the whole installation may add what `indexing.allowed_sources` names.
    """
    allowed = resources.settings.indexing.allowed_sources
    adding = kept_sources.keep_source(
        resources.catalog, principal, name, body.to_spec(), allowed=allowed, check=resources.check_source
    )
    return SourceView.shown(await adding)


@router.post(
    "/{id}:run", status_code=202, responses=router.problems(SourceNotFound), openapi_extra=needs(*kept_sources.KEEPING)
)
async def run_source(name: CollectionName, id: SourceId, catalog: CatalogDep, principal: PrincipalDep) -> SourceView:
    """Have a source read now, from a webhook for example; a body is not looked at."""
    return SourceView.shown(await kept_sources.demand_source(catalog, principal, name, id))


@router.get("/{id}", responses=router.problems(SourceNotFound), openapi_extra=needs(*kept_sources.KEEPING))
async def get_source(name: CollectionName, id: SourceId, catalog: CatalogDep, principal: PrincipalDep) -> SourceView:
    """One source, with the outcome of its last run."""
    return await read_source(catalog, principal, name, id)


@router.delete("/{id}", responses=router.problems(SourceNotFound), openapi_extra=needs(*kept_sources.KEEPING))
async def remove_source(name: CollectionName, id: SourceId, catalog: CatalogDep, principal: PrincipalDep) -> SourceView:
    """Stop keeping a source; its documents stay."""
    return SourceView.shown(await kept_sources.forget_source(catalog, principal, name, id))
