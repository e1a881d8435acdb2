"""The calls on points that the store makes, the same over gRPC and over HTTP.

The client's own methods build a model for each point that comes back, which takes several times longer than the answer:
these go below them, to the client's gRPC stubs and to its HTTP connection, and read answers field by field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from winnow.core.types import FieldType, Filter, TokenFormat
from winnow.ports import DescribedPoint, Hit, IndexSchema, Point
from winnow.vectors.keywords import KeywordEncoder
from winnow.vectors.payloads import Arms


class PointCalls(Protocol):
    """Calls of one channel.

    ``name`` is the server's name of an index. Errors are the client's; ``Server`` translates them. A condition is a
    filter in the form of the channel, as ``condition`` makes it.
    """

    def condition(self, filter: Filter, fields: Mapping[str, FieldType]) -> Any:
        """The channel's form of a filter.

        Raises:
            InvalidFilter: a key is not declared, or its type has no order.
        """

    async def search(self, name: str, arms: Arms, limit: int, condition: Any | None) -> Sequence[tuple[Hit, ...]]:
        """The best ``limit`` points of each arm, in one call."""

    async def matching(self, name: str, arms: Arms, limit: int, condition: Any | None) -> Sequence[str]:
        """The ids of the best ``limit`` points of the arms, without payloads; without arms those of any points."""

    async def describe(
        self, name: str, point_ids: Sequence[str], fields: Mapping[str, FieldType]
    ) -> Mapping[str, DescribedPoint]:
        """What counts look at, of those of the points that exist; ``fields`` are the declared ones."""

    async def score(self, name: str, arms: Arms, point_ids: Sequence[str]) -> Sequence[Mapping[str, float]]:
        """Exact scores of these points on each arm, by id, in one call; a point without one is left out."""

    def encode(self, points: Sequence[Point], schema: IndexSchema, encoder: KeywordEncoder) -> Any:
        """The body of ``upsert`` for points that have been checked. Takes CPU: call it in a thread."""

    async def upsert(self, name: str, encoded: Any) -> None:
        """Insert or replace the points of a body that ``encode`` made."""

    async def delete(self, name: str, stale: Sequence[tuple[int | None, Sequence[str]]]) -> None:
        """Delete the points of these documents, only those of revisions before the given one where there is one."""

    async def fetch(
        self, name: str, point_ids: Sequence[str], vectors: Sequence[str], form: TokenFormat
    ) -> Mapping[str, Point]:
        """The points that exist, by id, with the vectors of these names, if any; ``form`` is that of the tokens."""

    async def read(self, name: str, point_ids: Sequence[str], keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """These keys of the payloads of the points that exist, by id."""

    async def page(
        self, name: str, fields: Sequence[str], limit: int, offset: Any | None
    ) -> tuple[Sequence[tuple[str, Mapping[str, Any]]], Any | None]:
        """Ids of a page of points with these keys of their payloads, and where the next page starts."""

    async def count(self, name: str) -> int:
        """The exact number of points."""

    async def metadata(self, name: str) -> Mapping[str, Any]:
        """The metadata of the index."""
