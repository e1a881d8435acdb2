"""The seam to the vector engine: ``VectorStore``, and the shapes that cross it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from winnow.core.types import Chunk, Filter, FloatArray, HalfArray, IndexRef, IndexSchema, JsonValue, Metadata

PointHandle: TypeAlias = str | bytes
"""The id of a point in the form that its store has at hand; only that store reads it."""


@dataclass(frozen=True, slots=True)
class Point:
    """A chunk as it is stored. ``id`` is a UUID; ``dense`` is ``None`` where the embedder does not know the text.

    ``access``: values of the fields on which access is decided; they are filtered by, and only
    ``read`` gives them back.

    ``dense``: shape (dimensions,), float32, length 1. ``tokens``: shape (k, token_dimensions), float16.
    """

    id: str
    document_id: str
    revision: int
    chunk: Chunk
    title: str = ""
    url: str = ""
    metadata: Metadata = field(default_factory=dict)
    dense: FloatArray | None = None
    tokens: HalfArray | None = None
    access: Metadata = field(default_factory=dict)

    def read(self) -> Point:
        """The point itself: it is a ``FoundPoint`` whose content is there already."""
        return self


class FoundPoint(Protocol):
    """A point out of a search: what fusion looks at, and on demand the rest.

    A search finds hundreds and uses some dozens, and decoding them all takes longer than finding them.
    """

    @property
    def id(self) -> str:
        """As ``Point.id``."""

    @property
    def document_id(self) -> str:
        """As ``Point.document_id``."""

    @property
    def revision(self) -> int:
        """As ``Point.revision``."""

    def read(self) -> Point:
        """The whole point without vectors."""


class Hit(NamedTuple):
    """A stored chunk with its score on one arm (cosine for dense, BM25 for sparse).

    A tuple, because a search makes hundreds.
    """

    point: FoundPoint
    score: float


@dataclass(frozen=True, slots=True)
class ArmHits:
    """The hits of each arm, best first; ties by point id.

    A score of ``named`` is a ``Level``, or that and ``VERBATIM``.
    """

    dense: tuple[Hit, ...] = ()
    sparse: tuple[Hit, ...] = ()
    named: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class PointScores:
    """Exact scores of one point on the arms that were asked for; ``None`` where it has no such vector (or no match)."""

    dense: float | None = None
    sparse: float | None = None
    maxsim: float | None = None


@dataclass(frozen=True, slots=True)
class PointKey:
    """The document, revision and chunk that a point belongs to, which integrity checks compare."""

    id: str
    document_id: str
    revision: int
    chunk_index: int


class DescribedPoint(NamedTuple):
    """What counts look at: the document of a point, its revision, and the values of its declared fields.

    ``values`` has a field only where there are values of its type, as the document's metadata has them.
    """

    document_id: str
    revision: int
    values: Mapping[str, tuple[JsonValue, ...]]


@runtime_checkable
class VectorStore(Protocol):
    """Keeps points and finds them. One ``IndexRef`` is one physical index.

    Methods that read or write an index raise ``IndexLost`` where it is missing or cannot be opened.
    """

    @property
    def engine(self) -> str:
        """Name of the engine, as an answer reports it."""

    @property
    def keyword_tokenizer(self) -> str:
        """Identity of the keyword arm: tokenizer and BM25 parameters in one string."""

    async def create(self, index: IndexRef, schema: IndexSchema) -> None:
        """Create the index if it does not exist; the same schema again changes nothing. New fields may be added."""

    async def drop(self, index: IndexRef) -> None:
        """Remove the index and its data; an unknown index is ignored."""

    async def indexes(self) -> Sequence[IndexRef]:
        """Every index that exists."""

    async def lost(self, indexes: Sequence[IndexRef]) -> Mapping[IndexRef, str]:
        """Those of these indexes that are missing or cannot be opened, each with the reason."""

    async def set_aside(self, index: IndexRef) -> str | None:
        """Put what is left of a lost index where it is out of the way, so that ``create`` makes an empty one.

        Returns where it is kept; ``None`` where nothing is left. A sound index stays as it is.
        """

    async def upsert(self, index: IndexRef, points: Sequence[Point]) -> None:
        """Insert or replace points. Refuses wrong dimensions, non-finite values and zero vectors with ``ValueError``.

        Durable against the death of the process on return; against power loss after ``flush``.
        """

    async def flush(self, index: IndexRef) -> None:
        """Return once all earlier writes are on stable storage."""

    async def delete_documents(self, index: IndexRef, keep: Mapping[str, int | None]) -> None:
        """For each document id remove the points of revisions before the given one (``None``: all of its points).

        Newer ones stay: a worker that was overtaken while it slept must not remove what came after it.
        """

    async def query(
        self,
        index: IndexRef,
        *,
        dense: FloatArray | None = None,
        text: str | None = None,
        name: str | None = None,
        limit: int,
        filter: Filter | None = None,
    ) -> ArmHits:
        """Run the arms in one round trip, ``limit`` hits each; an arm that gets no input stays empty.

        ``name`` is looked up among titles, ids, headings and identifiers (``winnow.core.exact``), where the index has
        them: those of earlier versions have not.
        """

    async def matching(
        self, index: IndexRef, *, text: str | None = None, filter: Filter | None = None, limit: int
    ) -> Sequence[PointHandle]:
        """All points that have at least one word of ``text`` and pass the filter, at most ``limit``.

        Without ``text`` no word is asked for. Of more than ``limit`` those with the highest BM25 scores, or without
        ``text`` any. A text without words matches nothing.
        """

    async def describe(self, index: IndexRef, points: Sequence[PointHandle]) -> Mapping[PointHandle, DescribedPoint]:
        """What counts look at, of these points; those that were deleted meanwhile are left out.

        What a point is described as does not change until a field is declared: its id is that of one revision.
        """

    async def score(
        self,
        index: IndexRef,
        point_ids: Sequence[str],
        *,
        dense: FloatArray | None = None,
        text: str | None = None,
        tokens: HalfArray | FloatArray | None = None,
    ) -> Mapping[str, PointScores]:
        """Exact scores of the given points, in one round trip.

        ``maxsim`` is the sum over the query's tokens of the best inner product with a token of the point.
        """

    async def fetch(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        """The points of these ids with their vectors; unknown ids are left out."""

    async def read(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        """As ``fetch``, without vectors and in one round trip: what searches show of points."""

    async def read_with_access(self, index: IndexRef, point_ids: Sequence[str]) -> Mapping[str, Point]:
        """As ``read``, with ``Point.access``. What is read is not kept in memory: this is for reading all points."""

    async def count(self, index: IndexRef) -> int:
        """The number of points in the index."""

    def keys(self, index: IndexRef) -> AsyncIterator[PointKey]:
        """Every point's key, in no particular order."""

    async def check(self) -> None:
        """Raise if the engine cannot serve."""

    async def close(self) -> None:
        """Flush, then close."""


@runtime_checkable
class CopyableStore(Protocol):
    """A store whose files can be copied while it is in use."""

    def frozen(self) -> AbstractAsyncContextManager[Path]:
        """Yield the directory that holds everything, on stable storage; writes wait until the end, searches go on."""
