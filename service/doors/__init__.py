"""Doors: other people's protocols. Each translates a request, calls one use case and translates its answer."""

from __future__ import annotations

from service.door import Door
from service.doors import (
    algolia,
    algolia_events,
    dify,
    embeddings,
    librechat,
    open_webui,
    openai_models,
    rerank,
    vector_stores,
)


def all_doors() -> tuple[Door, ...]:
    """Every door of the service."""
    models = (*rerank.doors, *embeddings.doors, openai_models.door)
    searches = (algolia.door, vector_stores.door, dify.door, open_webui.door)
    # the forms of LibreChat come before what takes JSON under the same path
    return (*searches, *librechat.doors, *models, algolia_events.door)
