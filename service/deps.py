"""What handlers ask for, as ``Annotated`` aliases.

All of them are coroutines: FastAPI would run a plain function in a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Path, Query, Request

from service.lifespan import ServiceState
from winnow.core.types import DocumentState
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


@dataclass(frozen=True, slots=True)
class Target:
    """One document of one collection."""

    collection: str
    id: str


async def _target(
    name: CollectionName,
    id: Annotated[str, Path(description="id of the document; may hold slashes and any Unicode", examples=["a/b"])],
) -> Target:
    return Target(name, id)


DocumentTarget = Annotated[Target, Depends(_target)]
Wait = Annotated[bool, Query(description="answer once the work is done, for up to 60 seconds")]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a submission is to be handled."""

    wait: bool
    source: str
    priority: int


async def _write_options(
    wait: Wait = False,
    source: Annotated[str, Query(max_length=512, description="label of where the documents come from")] = "",
    priority: Annotated[int, Query(ge=-100, le=100, description="higher is served first; bulk loads use 0")] = 10,
) -> WriteOptions:
    return WriteOptions(wait, source, priority)


WriteOptionsDep = Annotated[WriteOptions, Depends(_write_options)]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a listing is asked for."""

    after: str
    limit: int
    state: DocumentState | None
    source: str | None


async def _page(
    after: Annotated[str, Query(description="the id that the page begins behind")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    state: Annotated[DocumentState | None, Query(description="only documents in this state")] = None,
    source: Annotated[str | None, Query(description="only documents of this source")] = None,
) -> Page:
    return Page(after, limit, state, source)


PageDep = Annotated[Page, Depends(_page)]
