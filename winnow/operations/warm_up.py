"""The warm-up of a process: its models run and its indexes are opened before the first search needs them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from winnow.core.errors import WinnowError
from winnow.core.principal import LOCAL
from winnow.core.search import RerankOptions, SearchMode, SearchRequest
from winnow.operations.resources import Resources

LIMIT_SECONDS: Final = 120.0  # of the whole, after which a service is ready although some indexes are not open
_MODEL_SECONDS: Final = 20.0  # after which a model counts as down
_LONGEST_MS: Final = 60_000.0  # of one search

log = logging.getLogger(__name__)


async def warm_up(
    resources: Resources, *, tell: Callable[[str], None] = lambda _: None, limit: float = LIMIT_SECONDS
) -> list[str]:
    """Run the models once and search every collection once; returns the collections.

    What is down is left out with a warning: readiness and answers name it. After ``limit`` seconds the rest stays
    cold, and is opened by its first search. ``tell`` is told how far it is.
    """
    ends = time.monotonic() + limit
    tell("the embedding model runs for the first time")
    mode = await _mode(resources)
    rerank = True
    names = [collection.name for collection in await resources.catalog.collections.list()]
    for done, name in enumerate(names):
        left = ends - time.monotonic()
        if left <= 0:
            cold = len(names) - done
            log.warning("%d of %d collections are still cold: their first searches take longer", cold, len(names))
            break
        tell(f"{done} of {len(names)} collections are warm")
        budget = min(left * 1000, _LONGEST_MS)
        try:
            asked = SearchRequest(name, "warm up", mode=mode, rerank=RerankOptions(rerank), budget_ms=budget)
            answer = await resources.search.run(asked, LOCAL)
            rerank = rerank and answer.rerank.status not in ("failed", "timeout")
        except WinnowError as error:
            log.warning("collection %s cannot be searched: %s", name, error.message)
    return names


async def _mode(resources: Resources) -> SearchMode:
    """With vectors, unless the embedding model is down."""
    try:
        await asyncio.wait_for(resources.embedder.embed(["warm up"], "query"), _MODEL_SECONDS)
    except TimeoutError:
        log.warning("starting without the embedding model: no answer within %g s", _MODEL_SECONDS)
    except WinnowError as error:
        log.warning("starting without the embedding model: %s", error.message)
    else:
        return "hybrid"
    return "sparse"
