"""Creating, checking and deleting collections, in the catalog and in the store."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from winnow.core.access import require_unbound
from winnow.core.acl import AccessRules, AclDefault
from winnow.core.documents import check_metadata
from winnow.core.errors import (
    CollectionNotFound,
    Conflict,
    Forbidden,
    IdentityMismatch,
    InvalidCollection,
    InvalidDocument,
)
from winnow.core.principal import Principal
from winnow.core.types import Chunking, Collection, Counts, FieldType, Index, Metadata
from winnow.operations.audit import audited
from winnow.operations.documents import count_seen
from winnow.operations.model_choice import settle_model
from winnow.operations.resources import Resources
from winnow.operations.scopes import SEEING
from winnow.operations.unowned import unowned_indexes
from winnow.ports import Catalog, Embedder
from winnow.search.embedders import identity_of

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
FIELD_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
MAX_FIELDS: Final = 64
MIN_CHUNK_TOKENS: Final = 32


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """The settings that a caller asks for; ``None`` keeps the stored value, or the default of a new collection.

    ``model`` is the name of a configured embedder, or of its model.
    """

    model: str | None = None
    dimensions: int | None = None
    instruct: str | None = None
    max_tokens: int | None = None
    overlap: int | None = None
    fields: Mapping[str, FieldType] | None = None
    rerank_instruct: str | None = None
    metadata: Metadata | None = None
    acl_default: AclDefault | None = None


@dataclass(frozen=True, slots=True)
class EnsuredCollection:
    """A collection that exists now, with its counts; ``created`` tells whether this call created it."""

    collection: Collection
    counts: Counts
    created: bool = False


async def see_collections(catalog: Catalog, principal: Principal) -> list[tuple[Collection, Counts]]:
    """The collections that the principal sees, by name, with the counts of what it sees of their documents."""
    principal.require(*SEEING)
    found = [each for each in await catalog.collections.list_with_counts() if principal.sees(each[0].name)]
    return [(collection, await count_seen(catalog, principal, collection, counts)) for collection, counts in found]


async def see_collection(catalog: Catalog, principal: Principal, name: str) -> tuple[Collection, Counts]:
    """One collection with the counts of what the principal sees of its documents.

    Raises:
        InvalidCollection: the name is not usable.
        CollectionNotFound: the collection does not exist, or the principal does not see it.
    """
    check_name(name)
    principal.require(*SEEING, collection=name)
    collection, counts = await catalog.collections.get_with_counts(name)
    return collection, await count_seen(catalog, principal, collection, counts)


async def ensure_collection(
    resources: Resources, principal: Principal, name: str, spec: CollectionSpec
) -> EnsuredCollection:
    """Create the collection, or check the existing one and apply changes that need no re-embedding.

    Fields may be added, and the reranker's instruct and the metadata replaced, at any time.

    Raises:
        Forbidden: the name is not among those of the principal, whether or not such a collection exists, or the
            principal is bound to a tenant.
        InvalidCollection: the name or a setting is not usable.
        IdentityMismatch: the change needs the documents to be embedded again, or a field to change its type.
    """
    _require_maker(principal, name)
    _check_spec(spec)
    try:
        existing, counts = await resources.catalog.collections.get_with_counts(name)
    except CollectionNotFound:
        async with audited(resources.catalog.trail, principal, "collection.create", collection=name):
            return await _create(resources, name, spec)
    if existing.awaits_model and spec.model is not None:
        existing = await settle_model(resources, existing, resources.embedders.choose(spec.model))
    wanted = _merge(existing, spec, resources)
    if wanted == existing:
        return EnsuredCollection(existing, counts)
    async with audited(resources.catalog.trail, principal, "collection.update", collection=name):
        for index in wanted.indexes:
            await resources.store.create(index.ref, index.schema(wanted.fields))
        updated = await resources.catalog.collections.update(wanted)
    resources.collections.forget(name)
    return EnsuredCollection(updated, counts)


async def create_collection(
    resources: Resources, principal: Principal, name: str, spec: CollectionSpec
) -> EnsuredCollection:
    """Create the collection; raises as ``ensure_collection``, and ``Conflict`` where there is one of this name."""
    _require_maker(principal, name)
    _check_spec(spec)
    with suppress(CollectionNotFound):
        await resources.catalog.collections.get(name)
        raise Conflict(f"there is a collection {name!r} already")
    async with audited(resources.catalog.trail, principal, "collection.create", collection=name):
        made = await _create(resources, name, spec)
        if not made.created:
            raise Conflict(f"another process created a collection {name!r} at the same moment")
    return made


async def delete_collection(resources: Resources, principal: Principal, name: str) -> None:
    """Remove a collection, its documents and its vectors. It cannot be found from the first step on.

    Raises:
        CollectionNotFound: the collection does not exist.
        Forbidden: the principal is bound to a tenant.
    """
    principal.require("collections:admin", collection=name)
    require_unbound(principal)
    async with audited(resources.catalog.trail, principal, "collection.delete", collection=name):
        collection = await resources.catalog.collections.mark_deleting(name)
    resources.collections.forget(name)
    await _remove(resources, collection)


async def finish_deletions(resources: Resources) -> None:
    """Complete deletions that a crash interrupted.

    If this process owns catalog and vectors, indexes that no collection refers to are dropped as well. Those on a
    server are kept: they may belong to another catalog, or to a collection that another process is creating.
    """
    for collection in await resources.catalog.collections.list(deleting=True):
        await _remove(resources, collection)
    if not resources.settings.is_embedded:
        return
    for ref in await unowned_indexes(resources.catalog, resources.store):
        await resources.store.drop(ref)


async def _remove(resources: Resources, collection: Collection) -> None:
    for index in collection.indexes:
        await resources.store.drop(index.ref)
    await resources.catalog.collections.purge(collection.uid)


async def _create(resources: Resources, name: str, spec: CollectionSpec) -> EnsuredCollection:
    embedder = resources.embedder if spec.model is None else resources.embedders.choose(spec.model)
    awaits_model = spec.model is None and resources.chooser is not None
    info = embedder.info
    if spec.dimensions not in (None, info.dimensions):
        raise IdentityMismatch(
            f"the configured embedder {info.model} gives {info.dimensions} dimensions, not {spec.dimensions}",
            location=("embedding", "dimensions"),
        )
    identity = identity_of(embedder, resources.store.keyword_tokenizer, instruct=spec.instruct)
    index = Index(name, uuid.uuid4().hex, 1, identity, spec.instruct)
    collection = Collection(
        serving=index,
        chunking=_chunking(spec, Chunking(), _limit(resources, embedder, awaits_model=awaits_model)),
        fields=dict(spec.fields or {}),
        rerank_instruct=spec.rerank_instruct,
        metadata=spec.metadata or {},
        access=AccessRules(spec.acl_default or "public"),
        awaits_model=awaits_model,
    )
    await resources.store.create(index.ref, index.schema(collection.fields))
    stored = await resources.catalog.collections.create(collection)
    return EnsuredCollection(stored, Counts(), created=stored.uid == collection.uid)


def _merge(existing: Collection, spec: CollectionSpec, resources: Resources) -> Collection:
    embedder = resources.embedders.of(existing.serving)
    if spec.model is not None and resources.embedders.choose(spec.model).info.model != embedder.info.model:
        raise IdentityMismatch(
            f"collection {existing.name!r} was built with the embedding model {embedder.info.model}; change it with "
            f"`winnow reembed -c {existing.name} --model {spec.model}`",
            location=("embedding", "model"),
        )
    limit = _limit(resources, embedder, awaits_model=existing.awaits_model)
    changed = {
        "embedding.dimensions": spec.dimensions not in (None, existing.serving.identity.dimensions),
        "embedding.instruct": spec.instruct not in (None, existing.serving.instruct),
        "chunking": _chunking(spec, existing.chunking, limit) != existing.chunking,
    }
    fields = {**existing.fields, **(spec.fields or {})}
    changed |= {f"fields.{key}": fields[key] != kind for key, kind in existing.fields.items()}
    if any(changed.values()):
        names = ", ".join(key for key, differs in changed.items() if differs)
        raise IdentityMismatch(
            f"collection {existing.name!r} was built with another {names}; "
            "index into a new collection, or delete this one first"
        )
    return replace(
        existing,
        fields=fields,
        rerank_instruct=existing.rerank_instruct if spec.rerank_instruct is None else spec.rerank_instruct,
        metadata=existing.metadata if spec.metadata is None else spec.metadata,
        access=replace(existing.access, default=spec.acl_default or existing.access.default),
    )


def _limit(resources: Resources, embedder: Embedder, *, awaits_model: bool) -> int:
    """The longest chunk in tokens; while the model is open, of the embedder that reads the longest texts."""
    limits = [each.info.max_tokens for each in resources.embedders] if awaits_model else [embedder.info.max_tokens]
    return max(limits)


def _chunking(spec: CollectionSpec, base: Chunking, limit: int) -> Chunking:
    """The chunking to use; a chunk never exceeds the embedder's limit, in tokens."""
    max_tokens = min(base.max_tokens if spec.max_tokens is None else spec.max_tokens, limit)
    overlap = base.overlap if spec.overlap is None else spec.overlap
    if max_tokens < MIN_CHUNK_TOKENS:
        raise InvalidCollection(
            f"chunking.max_tokens is at least {MIN_CHUNK_TOKENS}", location=("chunking", "max_tokens")
        )
    if not 0 <= overlap <= max_tokens // 2:
        raise InvalidCollection(
            f"chunking.overlap is 0 to half of max_tokens ({max_tokens // 2})", location=("chunking", "overlap")
        )
    return Chunking(max_tokens, overlap)


def _require_maker(principal: Principal, name: str) -> None:
    check_name(name)
    principal.require("collections:admin")
    require_unbound(principal)
    if not principal.sees(name):
        raise Forbidden(f"{principal.described} may not use the name {name!r} for a collection")


def check_name(name: str) -> None:
    """Raise ``InvalidCollection`` unless ``name`` is a valid name of a collection."""
    if not _NAME.fullmatch(name):
        raise InvalidCollection(
            f"invalid collection name {name[:80]!r}: use 1 to 64 of A-Z a-z 0-9 . _ -, starting with a letter or digit",
            location=("name",),
        )


def _check_spec(spec: CollectionSpec) -> None:
    fields = spec.fields or {}
    if len(fields) > MAX_FIELDS:
        raise InvalidCollection(f"a collection has at most {MAX_FIELDS} fields", location=("fields",))
    for key in fields:
        if not FIELD_NAME.fullmatch(key):
            raise InvalidCollection(
                f"invalid field name {key[:80]!r}: use 1 to 64 of A-Z a-z 0-9 _ -, starting with a letter or _",
                location=("fields", key),
            )
    try:
        check_metadata(spec.metadata, {})
    except InvalidDocument as error:
        raise InvalidCollection(error.message, location=error.location) from error
