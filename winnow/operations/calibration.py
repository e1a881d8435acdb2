"""Calibrating a collection: its parameters are fitted elsewhere, and kept with the models that they belong to."""

from __future__ import annotations

from dataclasses import replace

from winnow.core.calibration import Calibration
from winnow.core.errors import InvalidCollection
from winnow.core.principal import Principal
from winnow.core.types import Collection
from winnow.operations.resources import Resources
from winnow.search.answerability import models_of


async def keep_calibration(
    resources: Resources, principal: Principal, name: str, calibration: Calibration | None
) -> Collection:
    """Keep a calibration of the models that are configured now, whatever it names; ``None`` removes it.

    Raises:
        CollectionNotFound: the collection does not exist.
        InvalidCollection: no reranker is configured, so there are no scores to calibrate.
    """
    principal.require("collections:admin", collection=name)
    collection = await resources.catalog.collections.get(name)
    if calibration is not None:
        if resources.reranker is None:
            raise InvalidCollection("no reranker is configured: there are no relevance scores to calibrate")
        calibration = replace(calibration, models=models_of(collection.serving, resources.reranker.info))
    updated = await resources.catalog.collections.update(replace(collection, calibration=calibration))
    resources.collections.forget(name)
    return updated
