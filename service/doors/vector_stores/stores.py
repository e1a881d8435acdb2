"""``/v1/vector_stores``: create, list, read, change and delete stores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import orjson
from fastapi import Query, Request, Response

from service.access import principal_of
from service.deps import CollectionName, state_of
from service.doors.vector_stores.bodies import ExpiresAfter, StoreBody, StoreChanges
from service.doors.vector_stores.shared import PageParameters, listed, seconds_of, under_v1
from service.lifespan import ServiceState
from service.wire import json_response
from winnow.core.access import view_of
from winnow.core.errors import InvalidInput
from winnow.core.principal import Principal
from winnow.core.types import Collection, Counts, Metadata
from winnow.operations.attachments import FileToAttach
from winnow.operations.collections import (
    CollectionSpec,
    delete_collection,
    ensure_collection,
    see_collection,
    see_collections,
)
from winnow.operations.named_collections import create_for_title
from winnow.operations.scopes import SEEING

MAX_METADATA: Final = 16
MAX_NAME_CHARS: Final = 256
_KEY: Final = "vector_store"
"""The key of a collection's metadata under which name and description are kept."""


@under_v1("POST", "/vector_stores", "collections:admin")
async def create_vector_store(request: Request, body: StoreBody | None = None) -> Response:
    """Create a collection whose name is made out of the given one, and attach files to it."""
    state, principal, body = state_of(request), principal_of(request), body or StoreBody()
    _refuse_expiry(body.expires_after)
    made = await create_for_title(state.resources, principal, _checked_name(body.name), _spec_of(state, body))
    name = made.collection.name
    if body.file_ids:
        await state.attach(principal, name, [FileToAttach(each, {}) for each in dict.fromkeys(body.file_ids)])
    return await _answer(state, principal, name)


@under_v1("GET", "/vector_stores", *SEEING)
async def list_vector_stores(request: Request, page: Annotated[PageParameters, Query()]) -> Response:
    """The collections that the caller sees, newest first unless asked otherwise."""
    state, principal = state_of(request), principal_of(request)
    found = await see_collections(state.resources.catalog, principal)
    found.sort(key=lambda each: (seconds_of(each[0].created_at), each[0].name), reverse=page.descending)
    names = [each.name for each, _ in found]
    start = names.index(page.beyond) + 1 if page.beyond in names else 0
    if page.beyond and not start:
        raise InvalidInput(f"there is no vector store {page.beyond[:80]!r} to page from", location=("after",))
    shown, more = page.cut(found[start : start + page.limit + 1])
    return listed([await _view(state, principal, *each) for each in shown], more=more)


@under_v1("GET", "/vector_stores/{name}", *SEEING)
async def retrieve_vector_store(name: CollectionName, request: Request) -> Response:
    """One collection as a vector store."""
    return await _answer(state_of(request), principal_of(request), name)


@under_v1("POST", "/vector_stores/{name}", "collections:admin")
async def modify_vector_store(name: CollectionName, request: Request, body: StoreChanges | None = None) -> Response:
    """Change the shown name, the description or the metadata; the id stays."""
    state, principal, body = state_of(request), principal_of(request), body or StoreChanges()
    _refuse_expiry(body.expires_after)
    collection, _ = await see_collection(state.resources.catalog, principal, name)
    spec = CollectionSpec(metadata=_changed(collection.metadata, body))
    await ensure_collection(state.resources, principal, name, spec)
    return await _answer(state, principal, name)


@under_v1("DELETE", "/vector_stores/{name}", "collections:admin")
async def delete_vector_store(name: CollectionName, request: Request) -> Response:
    """Delete a collection with its documents; uploaded files stay."""
    await delete_collection(state_of(request).resources, principal_of(request), name)
    return json_response({"id": name, "object": "vector_store.deleted", "deleted": True})


def _spec_of(state: ServiceState, body: StoreBody) -> CollectionSpec:
    """The settings of the collection. Raises ``InvalidInput`` for a chunking that the embedder cannot read."""
    wanted = None if body.chunking_strategy is None else body.chunking_strategy.wanted()
    limit = max(each.info.max_tokens for each in state.resources.embedders)
    if wanted is not None and wanted.max_tokens > limit:
        message = (
            f"max_chunk_size_tokens is {wanted.max_tokens}; the embedding model reads {limit} at most. Leave "
            "chunking_strategy out for the default"
        )
        raise InvalidInput(message, location=("chunking_strategy", "static", "max_chunk_size_tokens"))
    named = {"name": body.name, "description": body.description}
    return CollectionSpec(
        max_tokens=None if wanted is None else wanted.max_tokens,
        overlap=None if wanted is None else wanted.overlap,
        fields={},
        metadata={**_checked_metadata(body.metadata), _KEY: {key: each for key, each in named.items() if each}},
    )


def _changed(before: Metadata, changes: StoreChanges) -> Metadata:
    """The metadata of a collection after a change; values that stores do not show stay."""
    kept = before.get(_KEY)
    named = dict(kept) if isinstance(kept, dict) else {}
    if changes.name is not None:
        named["name"] = _checked_name(changes.name)
    if changes.description is not None:
        named["description"] = changes.description
    hidden = {key: value for key, value in before.items() if not _is_plain(value)}
    shown = {key: value for key, value in before.items() if _is_plain(value)}
    given = shown if changes.metadata is None else _checked_metadata(changes.metadata)
    return {**hidden, **given, **({_KEY: named} if named else {})}


def _checked_name(name: str) -> str:
    if len(name) > MAX_NAME_CHARS:
        raise InvalidInput(f"name has at most {MAX_NAME_CHARS} characters, not {len(name)}", location=("name",))
    return name


def _checked_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    if len(metadata) > MAX_METADATA:
        message = f"metadata has at most {MAX_METADATA} keys, not {len(metadata)}"
        raise InvalidInput(message, location=("metadata",))
    for key, value in metadata.items():
        if key == _KEY or not _is_plain(value):
            message = f"metadata {key[:80]!r} is not usable: values are strings, and {_KEY!r} is reserved"
            raise InvalidInput(message, location=("metadata", key))
    return dict(metadata)


def _refuse_expiry(expires: ExpiresAfter | None) -> None:
    if expires is not None:
        message = "vector stores do not expire here: leave expires_after out, and delete the store in time"
        raise InvalidInput(message, location=("expires_after",))


async def _answer(state: ServiceState, principal: Principal, name: str) -> Response:
    found = await see_collection(state.resources.catalog, principal, name)
    return json_response(await _view(state, principal, *found))


async def _view(state: ServiceState, principal: Principal, collection: Collection, counts: Counts) -> dict[str, Any]:
    view = view_of(principal)
    waits = failed = cancelled = size = 0
    if view.is_whole:
        files = state.resources.catalog.files
        waits, failed, cancelled, size = await files.waiting(collection.name, tenant=view.tenant)
    kept = collection.metadata.get(_KEY)
    named = kept if isinstance(kept, dict) else {}
    in_progress = counts.pending + waits
    return {
        "id": collection.name,
        "object": "vector_store",
        "created_at": seconds_of(collection.created_at),
        "name": named.get("name", "") if _KEY in collection.metadata else collection.name,
        "description": named.get("description"),
        "usage_bytes": size,
        "file_counts": {
            "in_progress": in_progress,
            "completed": counts.indexed,
            "failed": counts.failed + failed,
            "cancelled": cancelled,
            "total": in_progress + counts.indexed + counts.failed + failed + cancelled,
        },
        "status": "in_progress" if in_progress else "completed",
        "expires_after": None,
        "expires_at": None,
        "last_active_at": None,
        "metadata": {key: _text(value) for key, value in collection.metadata.items() if _is_plain(value)},
    }


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
