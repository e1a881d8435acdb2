"""The choice of a collection's embedding model by its first documents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from winnow.core.types import Chunking, Collection, Document
from winnow.operations.resources import Resources
from winnow.ports import Embedder
from winnow.search.embedders import identity_of

LOOKED_AT: Final = 256  # documents of the first submission
BEGINNING: Final = 2000  # characters of each


async def choose_model(resources: Resources, name: str, documents: Sequence[Document]) -> None:
    """Give a collection that awaits its model the one that suits ``documents``, before they are stored.

    Raises:
        CollectionNotFound: the collection does not exist.
    """
    collection = await resources.collections.get(name)
    if not collection.awaits_model or resources.chooser is None:
        return
    texts = [f"{each.title}\n{each.text[:BEGINNING]}" for each in islice(documents, LOOKED_AT)]
    chosen = await asyncio.to_thread(resources.chooser, texts)
    await settle_model(resources, collection, resources.embedders.choose(chosen))


async def settle_model(resources: Resources, collection: Collection, embedder: Embedder) -> Collection:
    """Give a collection that awaits its model this one; returns it with the model that it has then.

    Another process may have been quicker, and a collection with documents keeps what they are embedded with.
    """
    tokenizer, instruct = resources.store.keyword_tokenizer, collection.serving.instruct
    identity = identity_of(embedder, tokenizer, instruct=instruct)
    limit, chunking = embedder.info.max_tokens, collection.chunking
    size = min(chunking.max_tokens, limit)
    chunking = Chunking(size, min(chunking.overlap, size // 2))
    wanted = replace(collection, serving=replace(collection.serving, identity=identity), chunking=chunking)
    if wanted.serving.schema(wanted.fields) != collection.serving.schema(collection.fields):
        await resources.store.drop(collection.serving.ref)
        await resources.store.create(wanted.serving.ref, wanted.serving.schema(wanted.fields))
    settled = await resources.catalog.collections.settle_model(wanted)
    resources.collections.forget(collection.name)
    return settled
