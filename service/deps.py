"""Dependencies of handlers, as ``Annotated`` aliases.

All of them are coroutines: FastAPI would run a plain function in a thread.
"""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Path, Query, Request

from service.lifespan import ServiceState
from service.schemas.documents import WAIT_DESCRIPTION
from winnow.operations.collections import check_name
from winnow.operations.resources import Resources
from winnow.ports import Catalog


async def _state(request: Request) -> ServiceState:
    return cast("ServiceState", request.app.state.service)


StateDep = Annotated[ServiceState, Depends(_state)]


async def _resources(state: StateDep) -> Resources:
    return state.resources


ResourcesDep = Annotated[Resources, Depends(_resources)]


async def _catalog(resources: ResourcesDep) -> Catalog:
    return resources.catalog


CatalogDep = Annotated[Catalog, Depends(_catalog)]


async def _collection_name(
    name: Annotated[str, Path(description="name of the collection", examples=["python"])],
) -> str:
    check_name(name)
    return name


CollectionName = Annotated[str, Depends(_collection_name)]


DocumentId = Annotated[
    str, Path(description="id of the document; may contain slashes and any Unicode", examples=["a/b"])
]
Wait = Annotated[bool, Query(description=WAIT_DESCRIPTION)]
