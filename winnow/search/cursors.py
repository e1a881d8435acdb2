"""Cursors of searches: what they continue, and the lists that later pages are cut from."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from winnow.core.acl import AccessView
from winnow.core.boosts import BoostPart, BoostScore
from winnow.core.paging import DIGEST_BYTES, first_cursor, result_key
from winnow.core.search import ArmScore, Candidate, Result, ScoreKind, SearchRequest
from winnow.core.types import Collection

_FORMAT: Final = 3


class KeptResult(NamedTuple):
    """A result of a kept list, without its text: the document, and the scores that its place comes from.

    ``search`` is the position of the search that found it, where several were merged.
    """

    rank: int
    document_id: str
    revision: int
    chunk: int
    level: int
    relevance_score: float | None
    rerank: ArmScore | None
    fused: ArmScore
    dense: ArmScore | None
    sparse: ArmScore | None
    boost: BoostScore | None = None
    search: int = 0

    def shown(self, candidate: Candidate) -> Result:
        """The result with the text of the document as it is now."""
        placed = candidate._replace(fused=self.fused, dense=self.dense, sparse=self.sparse, level=self.level)
        return Result(self.rank, placed, self.relevance_score, self.rerank, boost=self.boost)


@dataclass(frozen=True, slots=True)
class KeptList:
    """What pages behind the first one are cut from.

    Attributes:
        digest: of the request.
        degraded: whether a stage gave less than it would have.
    """

    digest: bytes
    kind: ScoreKind
    degraded: bool
    results: tuple[KeptResult, ...]


def request_digest(request: SearchRequest, view: AccessView, collection: Collection) -> bytes:
    """The digest of everything that decides which results a search has, in which order, and who asks."""
    decisive = (
        collection.uid,
        request.query,
        request.words,
        request.top_k,
        request.mode,
        None if request.filter is None else repr(request.filter),
        request.rerank,
        request.instruct,
        request.weights,
        request.min_relevance,
        request.group_by,
        request.index,
        request.ordering,
        view.tenant,
        None if view.readers is None else sorted(view.readers),
        view.locked,
    )
    return blake2b(orjson.dumps(decisive), digest_size=DIGEST_BYTES).digest()


def key_of(request: SearchRequest, document_id: str, chunk: int) -> bytes:
    """The key of a result: two results of a search never have the same."""
    return result_key(document_id, None if request.group_by == "document" else chunk)


def cursor_after(request: SearchRequest, view: AccessView, collection: Collection, results: Sequence[Result]) -> str:
    """The cursor after a first page with these results."""
    found = [each.candidate for each in results]
    keys = [key_of(request, each.document_id, each.chunk.index) for each in found]
    return first_cursor(request_digest(request, view, collection), keys)


def kept(result: Result, rank: int, search: int = 0) -> KeptResult:
    """A result without its text, at this rank, which the search at this position found."""
    found = result.candidate
    return KeptResult(
        rank,
        found.document_id,
        found.revision,
        found.chunk.index,
        found.level,
        result.relevance_score,
        result.rerank,
        found.fused,
        found.dense,
        found.sparse,
        result.boost,
        search,
    )


def packed_list(kept_list: KeptList) -> bytes:
    """The list as the catalog keeps it."""
    rows = [tuple(each) for each in kept_list.results]
    body = (_FORMAT, kept_list.digest.hex(), kept_list.kind, kept_list.degraded, rows)
    return zlib.compress(orjson.dumps(body, default=tuple), 1)


def unpacked_list(body: bytes) -> KeptList | None:
    """The list that ``packed_list`` wrote; ``None`` where another version of Winnow did."""
    form, *rest = orjson.loads(zlib.decompress(body))
    if form != _FORMAT:
        return None
    digest, kind, degraded, rows = rest
    return KeptList(bytes.fromhex(digest), kind, degraded, tuple(_row(row) for row in rows))


def _row(row: Sequence[Any]) -> KeptResult:
    scores = [None if each is None else ArmScore(*each) for each in row[6:10]]
    return KeptResult._make([*row[:6], *scores, None if row[10] is None else _boost(*row[10]), row[11]])


def _boost(rank: int, score: float, factor: float, parts: Sequence[Any]) -> BoostScore:
    return BoostScore(rank, score, factor, tuple(BoostPart(*each) for each in parts))
