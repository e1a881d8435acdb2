"""Change of a collection's embedding model while it stays searchable.

::

    start ──► building ──(every document is in both)──► ready ──switch──► kept ──drop──► none
                 └───────────────────drop───────────────────┘      ◄─rollback─►

The ordinary workers build a second index beside the serving one from the documents in the catalog, with the lowest
priority. While there are two, every write and deletion goes to both, so that neither a switch nor a rollback loses
documents. The switch is one transaction on the collection's row, which names index and model together.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import numpy as np

from winnow.core.access import require_unbound
from winnow.core.errors import Conflict, IdentityMismatch
from winnow.core.identity import same_identity
from winnow.core.principal import Principal
from winnow.core.types import Collection, IndexIdentity, passage_of
from winnow.operations.audit import audited
from winnow.operations.probes import UNIT
from winnow.operations.rebuild import make_second
from winnow.operations.resources import Resources
from winnow.ports import Catalog, Embedder, IndexRef, Point, ReembedProgress, VectorStore
from winnow.search.embedders import identity_of
from winnow.search.lookup import SECONDS as LOOKUP_SECONDS

State: TypeAlias = Literal["none", "building", "ready", "kept"]

SAMPLE: Final = 64  # chunks that an estimate is based on, and documents that are checked before a switch
QUEUED_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Status:
    """The progress of changing a collection's model.

    Attributes:
        next: identity of an index built with the next model; ``None`` if none is named or configured.
    """

    collection: Collection
    progress: ReembedProgress
    next: IndexIdentity | None = None

    @property
    def state(self) -> State:
        """Where in the diagram above the collection is."""
        if self.collection.beside is None:
            return "none"
        if self.collection.beside.state == "kept":
            return "kept"
        return "building" if self.progress.lacking else "ready"


@dataclass(frozen=True, slots=True)
class ReembedEstimate:
    """The effort of a re-embedding, extrapolated from a sample: tokens of the next model, seconds in this process."""

    chunks: int
    tokens: int
    seconds: float


async def status(resources: Resources, principal: Principal, name: str, *, model: str | None = None) -> Status:
    """The progress of the change. Raises ``CollectionNotFound``, and ``InvalidCollection`` for an unknown ``model``."""
    found = await stored_status(resources.catalog, principal, name)
    target = _target(resources, found.collection, model)
    return found if target is None else replace(found, next=_identity(resources, target, found.collection))


async def stored_status(catalog: Catalog, principal: Principal, name: str) -> Status:
    """As ``status`` without a next model: needs the catalog alone."""
    principal.require("operate", collection=name)
    require_unbound(principal)
    return Status(await catalog.collections.get(name), await catalog.audit.reembed_progress(name))


async def estimate_reembed(
    resources: Resources, principal: Principal, name: str, *, model: str | None = None
) -> ReembedEstimate:
    """Estimate from a few stored chunks the effort of embedding all of them with the next model.

    Raises:
        CollectionNotFound: the collection does not exist.
        InvalidCollection: no embedder of the name ``model`` is configured.
        Conflict: no next model is named or configured, or it is the one in use.
        IdentityMismatch: the next model cannot take this collection over.
    """
    principal.require("operate", collection=name)
    require_unbound(principal)
    collection = await resources.catalog.collections.get(name)
    target = _required_target(resources, collection, model)
    counts = await resources.catalog.documents.counts(name)
    passages = [passage_of(point.title, point.chunk) for point in await _some_points(resources, collection.serving.ref)]
    if not passages:
        return ReembedEstimate(counts.chunks, 0, 0.0)
    tokens = sum(len(target.tokenizer.spans(passage)) for passage in passages)
    began = time.perf_counter()
    await target.embed(passages, "document")
    share = counts.chunks / len(passages)
    return ReembedEstimate(counts.chunks, round(tokens * share), (time.perf_counter() - began) * share)


async def start(resources: Resources, principal: Principal, name: str, *, model: str | None = None) -> Status:
    """Start to build the second index, or continue: with the embedder of the name ``model``, or with the next one.

    Raises:
        CollectionNotFound: the collection does not exist.
        InvalidCollection: no embedder of the name ``model`` is configured.
        Conflict: no next model is named or configured, or it is the one in use; or the collection has been switched and
            its old index is still kept.
        IdentityMismatch: the next model cannot take this collection over.
    """
    principal.require("operate", collection=name)
    require_unbound(principal)
    collection = await resources.catalog.collections.get(name)
    target = _required_target(resources, collection, model)
    identity = _identity(resources, target, collection)
    beside = collection.beside
    if beside is None or beside.state != "building" or not _same_index(beside.identity, identity):
        async with audited(resources.catalog.trail, principal, "reembed.start", collection=name) as details:
            details["model"] = identity.model
            collection = await resources.catalog.collections.begin_reembed(name, identity)
    resources.collections.forget(name)
    await queue_more(resources.catalog, resources.store, collection)
    resources.wake()
    return await status(resources, principal, name, model=model)


async def queue_more(catalog: Catalog, store: VectorStore, collection: Collection) -> int:
    """Queue up to ``QUEUED_AT_ONCE`` documents that the second index lacks; create that index if it is missing.

    The limit keeps them from filling the backlog that uploads are admitted by. Repeated calls find every document, also
    those whose batch began before the second index existed, and after a crash at any point.

    Returns:
        The number of documents queued; 0 if the collection has one index only.
    """
    index = collection.beside
    if index is None:
        return 0
    await make_second(catalog, store, collection)
    await store.create(index.ref, index.schema(collection.fields))  # and fields that it lacks
    return await catalog.queue.enqueue_reembed(collection.name, limit=QUEUED_AT_ONCE)


async def switch_model(resources: Resources, principal: Principal, name: str, *, force: bool = False) -> Status:
    """Switch searches to the second index.

    Raises:
        CollectionNotFound: the collection does not exist.
        Conflict: the collection has no newer index, or the index lacks documents or is damaged and ``force`` is not
            given.
    """
    principal.require("operate", collection=name)
    require_unbound(principal)
    collection = await resources.catalog.collections.get(name)
    if not _is_ahead(collection):
        raise Conflict(
            f"collection {name!r} has nothing to switch to"
            + ("; to go back, use --rollback" if collection.beside else f"; begin with `winnow reembed -c {name}`")
        )
    if not force:
        await _require_sound(resources, collection)
    async with audited(resources.catalog.trail, principal, "reembed.switch", collection=name) as details:
        details.update(generation=collection.newer_generation, force=force)
        await resources.catalog.collections.switch_index(name, force=force)
    resources.collections.forget(name)
    return await status(resources, principal, name)


async def rollback(resources: Resources, principal: Principal, name: str) -> Status:
    """Switch searches back to the index that served before; it was kept up to date.

    Raises:
        CollectionNotFound: the collection does not exist.
        Conflict: nothing was switched, or the old index is gone.
    """
    principal.require("operate", collection=name)
    require_unbound(principal)
    collection = await resources.catalog.collections.get(name)
    if collection.beside is None or _is_ahead(collection):
        raise Conflict(f"collection {name!r} has no index from before a switch to go back to")
    async with audited(resources.catalog.trail, principal, "reembed.rollback", collection=name) as details:
        details["generation"] = collection.beside.generation
        await resources.catalog.collections.switch_index(name)
    resources.collections.forget(name)
    return await status(resources, principal, name)


async def drop(resources: Resources, principal: Principal, name: str) -> Status:
    """Drop the index beside the serving one: cancel the build, or remove the old index.

    Raises:
        CollectionNotFound: the collection does not exist.
        Conflict: the collection has one index only.
    """
    principal.require("operate", collection=name)
    require_unbound(principal)
    collection = await resources.catalog.collections.get(name)
    index = collection.beside
    if index is None:
        raise Conflict(f"collection {name!r} has one index only: there is nothing to drop")
    async with audited(resources.catalog.trail, principal, "reembed.drop", collection=name) as details:
        details["generation"] = index.generation
        await resources.catalog.collections.clear_beside(name)
    resources.collections.forget(name)
    await earlier_searches_end(resources.settings.search.budget_ms)
    await resources.store.drop(index.ref)
    return await status(resources, principal, name)


async def earlier_searches_end(budget_ms: float) -> None:
    """Wait until no search that began before a switch can still run, here or in another process."""
    await asyncio.sleep(LOOKUP_SECONDS + budget_ms / 1000)


def _is_ahead(collection: Collection) -> bool:
    """Whether the index beside the serving one is the newer one, so that a switch goes forward.

    A switch that is requested twice, because an answer was lost, must not go back.
    """
    return collection.beside is not None and collection.beside.generation == collection.newer_generation


def _target(resources: Resources, collection: Collection, model: str | None) -> Embedder | None:
    """The model to change to: the named or next one, else the current one if the tokenizer is not the newest."""
    if model is not None:
        return resources.embedders.choose(model)
    if resources.embedders.next is None and _has_earlier_words(resources, collection):
        return resources.embedders.of(collection.serving)
    return resources.embedders.next


def _has_earlier_words(resources: Resources, collection: Collection) -> bool:
    return collection.serving.identity.keyword_tokenizer != resources.store.keyword_tokenizer


def _required_target(resources: Resources, collection: Collection, model: str | None) -> Embedder:
    target = _target(resources, collection, model)
    if target is None:
        raise Conflict(
            "no model to change to is named or configured: name one of those that collections may choose "
            f"({', '.join(resources.embedders.named)}), or set WINNOW_NEXT_EMBEDDING__PROVIDER (and __MODEL, __URL …) "
            "in every process, or give --provider and --model where the command owns the data directory"
        )
    serving = resources.embedders.of(collection.serving)
    same = same_identity(collection.serving.identity, _identity(resources, target, collection))
    if same and not _has_earlier_words(resources, collection):
        raise Conflict(
            f"collection {collection.name!r} is built with {target.info.model} already; name another model, or set "
            "WINNOW_NEXT_EMBEDDING__MODEL to it"
        )
    if target.info.max_tokens < serving.info.max_tokens:
        raise IdentityMismatch(
            f"{target.info.model} reads {target.info.max_tokens} tokens at most, less than {serving.info.model} "
            f"({serving.info.max_tokens}): chunks of {collection.name!r} would be cut; index into a new collection"
        )
    return target


def _same_index(one: IndexIdentity, other: IndexIdentity) -> bool:
    """Whether a build of the one can go on as the other: vectors and words are the same."""
    return same_identity(one, other) and one.keyword_tokenizer == other.keyword_tokenizer


def _identity(resources: Resources, embedder: Embedder, collection: Collection) -> IndexIdentity:
    return identity_of(embedder, resources.store.keyword_tokenizer, instruct=collection.serving.instruct)


async def _some_points(resources: Resources, index: IndexRef) -> list[Point]:
    ids: list[str] = []
    async for key in resources.store.keys(index):
        ids.append(key.id)
        if len(ids) == SAMPLE:
            break
    return list((await resources.store.fetch(index, ids)).values())


async def _require_sound(resources: Resources, collection: Collection) -> None:
    """Check some documents without pending work: all points exist, with vectors of the right size and length."""
    index = collection.beside
    assert index is not None
    entries = await resources.catalog.audit.entries(collection.name, limit=SAMPLE)
    wanted = {each: entry.id for entry in entries if entry.built and not entry.waits for each in entry.points}
    found = await resources.store.fetch(index.ref, sorted(wanted))
    for point_id, document_id in wanted.items():
        point = found.get(point_id)
        if point is None or not _is_sound(point, index.identity):
            again = await resources.catalog.audit.entries(collection.name, limit=1, among=[document_id])
            if again and point_id in again[0].points and not again[0].waits:
                raise Conflict(
                    f"the new index of {collection.name!r} is not sound: document {document_id!r} "
                    f"{'lacks points' if point is None else 'has a vector of the wrong kind'}; run "
                    f"`winnow verify -c {collection.name} --repair`, or switch with --force"
                )


def _is_sound(point: Point, identity: IndexIdentity) -> bool:
    vector = point.dense  # None if the model does not know the text
    return vector is None or (len(vector) == identity.dimensions and abs(float(np.linalg.norm(vector)) - 1) < UNIT)
