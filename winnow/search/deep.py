"""What lies behind the candidates of a search, up to a thousand results deep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import Final

from winnow.core.paging import MOST_RESULTS
from winnow.core.search import ArmScore, Candidate, SearchRequest
from winnow.ports import ArmHits

MOST_HITS: Final = 24_000  # of an arm: documents of 24 chunks each still give a thousand results
_FIRST_HITS: Final = MOST_RESULTS + MOST_RESULTS // 2
_GROWTH: Final = 4


def hits_wanted(request: SearchRequest) -> int:
    """How many hits of each arm a search asks for: several chunks of one document collapse into one candidate."""
    return request.top_k + request.top_k // 2 if request.group_by == "document" else request.top_k


def is_cut(hits: ArmHits, limit: int) -> bool:
    """Whether an arm may have found more than it was asked for."""
    return len(hits.dense) >= limit or len(hits.sparse) >= limit


async def find_deep(query: Callable[..., Awaitable[ArmHits]], *, by_document: bool) -> ArmHits:
    """The hits of as many results as are paged through, or all there are; ``query`` takes the ``limit`` of an arm."""
    limit = _FIRST_HITS
    while True:
        hits = await query(limit=limit)
        points = (hit.point for hit in chain(hits.dense, hits.sparse, hits.named))
        found = len({point.document_id if by_document else point.id for point in points})
        if found >= MOST_RESULTS or not is_cut(hits, limit) or limit >= MOST_HITS:
            return hits
        limit = min(MOST_HITS, limit * _GROWTH)


def first_of(hits: ArmHits, limit: int) -> ArmHits:
    """The hits as a search finds them that asks each arm for ``limit``."""
    return ArmHits(hits.dense[:limit], hits.sparse[:limit], hits.named[:limit])


def behind(window: Sequence[Candidate], deep: Sequence[Candidate], *, by_document: bool) -> list[Candidate]:
    """The deep candidates that are not in the window, in their order; ranks go on behind it."""

    def key(candidate: Candidate) -> str:
        return candidate.document_id if by_document else candidate.point_id

    known = {key(each) for each in window}
    rest = [each for each in deep if key(each) not in known]
    return [each._replace(fused=ArmScore(rank, each.fused.score)) for rank, each in enumerate(rest, len(window) + 1)]
