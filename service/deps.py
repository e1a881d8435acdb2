"""Dependencies of handlers, as ``Annotated`` aliases.

Dependencies are coroutines: FastAPI would run a plain function in a thread. Each costs some hundredths of a millisecond
a request, which is why the search routes have none.
"""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator

from service.access import principal_of
from service.lifespan import ServiceState
from service.schemas.documents import TENANT_DESCRIPTION, WAIT_DESCRIPTION
from winnow.core.principal import Principal
from winnow.operations.collections import check_name
from winnow.operations.resources import Resources
from winnow.ports import Catalog


def state_of(request: Request) -> ServiceState:
    """The service's state; what ``StateDep`` gives, without the cost of a dependency."""
    return cast("ServiceState", request.app.state.service)


async def _state(request: Request) -> ServiceState:
    return state_of(request)


StateDep = Annotated[ServiceState, Depends(_state)]


async def _resources(state: StateDep) -> Resources:
    return state.resources


async def _principal(request: Request) -> Principal:
    return principal_of(request)


PrincipalDep = Annotated[Principal, Depends(_principal)]

ResourcesDep = Annotated[Resources, Depends(_resources)]


async def _catalog(resources: ResourcesDep) -> Catalog:
    return resources.catalog


CatalogDep = Annotated[Catalog, Depends(_catalog)]


def _checked(name: str) -> str:
    check_name(name)  # its error passes through pydantic as it is
    return name


CollectionName = Annotated[
    str, Path(description="name of the collection", examples=["python"]), AfterValidator(_checked)
]


DocumentId = Annotated[
    str, Path(description="id of the document; may contain slashes and any Unicode", examples=["a/b"])
]
Tenant = Annotated[str | None, Query(description=TENANT_DESCRIPTION)]
Wait = Annotated[bool, Query(description=WAIT_DESCRIPTION)]
