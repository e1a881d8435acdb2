"""One index: a shard of Qdrant Edge with its schema. Synchronous, and used by one thread only."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import qdrant_edge as edge

from winnow.core.errors import StorageFailure
from winnow.core.types import FieldType, Filter, FloatArray
from winnow.ports import DescribedPoint, IndexSchema, Point, PointKey
from winnow.vectors.edge.codec import FILTERS, INDEX_TYPES, edge_config, edge_point
from winnow.vectors.edge.errors import edge_errors, opening
from winnow.vectors.edge.layout import bound_log, cut_file, inode_of, read_schema, segments_of, shard_of, write_schema
from winnow.vectors.keywords import NEWEST, encoder_of, stores_names
from winnow.vectors.payloads import (
    DENSE,
    DOCUMENT_ID,
    FIELDS,
    KEY_FIELDS,
    NAMES,
    POINT_FIELDS,
    REVISION,
    SOURCE,
    SPARSE,
    TOKENS,
    decode_described,
    decode_key,
    decode_metadata,
    decode_point,
    described_fields,
    encode_fields,
    field_path,
    query_tokens,
    query_vectors,
)
from winnow.vectors.points import ids_by_revision
from winnow.vectors.tokens import AskedTokens

LITTER_LIMIT: Final = 1000  # deleted points of an index that are left alone; the engine's own limit

_PAGE: Final = 1000
_WRITE_PAGE: Final = 100
_READ_AHEAD_BYTES: Final = 1 << 30  # payloads of some 1.5 million chunks
_READ_AHEAD_STEP: Final = 1 << 20  # the kernel cuts longer wishes short


def make_shard(home: Path, schema: IndexSchema) -> None:
    """Make an empty index in an empty directory. Payload indexes exist before the first point."""
    path = shard_of(home)
    path.mkdir()
    bound_log(path)
    shard = edge.EdgeShard.load(str(path), edge_config(schema))
    shard.update(edge.UpdateOperation.create_field_index(DOCUMENT_ID, edge.PayloadSchemaType.Keyword))
    for key, kind in schema.fields.items():
        shard.update(edge.UpdateOperation.create_field_index(field_path(key), INDEX_TYPES[kind]))
    shard.flush()
    shard.close()
    write_schema(home, replace(schema, keywords=schema.keywords or NEWEST))


def optimize_shard(path: Path) -> None:
    """Build the search graphs of a shard that is not open elsewhere; takes a minute for 50,000 points."""
    shard = edge.EdgeShard.load(str(path))
    shard.optimize()
    shard.flush()
    shard.close()


def _read_ahead(shard: Path) -> None:
    """Have the kernel read stored payloads, as far as it has memory to spare.

    The engine maps them for random access: each of the 200 that a search reads would wait for the disk, 10 ms in all.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    left = _READ_AHEAD_BYTES
    for file in sorted(shard.glob("segments/*/payload_storage/*.dat")):
        size = min(file.stat().st_size, left)
        left -= size
        with file.open("rb") as opened:
            for begin in range(0, size, _READ_AHEAD_STEP):
                os.posix_fadvise(opened.fileno(), begin, _READ_AHEAD_STEP, os.POSIX_FADV_WILLNEED)


class ArmRows(NamedTuple):
    """The rows that one arm found, in the engine's order: ids as 16 bytes each, and scores."""

    ids: list[bytes]
    scores: list[float]


ScoreColumns: TypeAlias = Mapping[str, Sequence[float | None]]  # by arm; None where a point has no score on it


class Shard:
    """A loaded index."""

    def __init__(self, home: Path) -> None:
        """Load the index that lies in ``home``; the write-ahead log is replayed, which may take seconds."""
        self._home = home
        with opening(f"the index {home}"):
            self.schema = read_schema(home)
        self._encoder = encoder_of(self.schema.keywords)
        self._shard = self._load()
        self._place = inode_of(home)
        self._segments = segments_of(home)

    def _load(self) -> edge.EdgeShard:
        path = shard_of(self._home)
        with opening(f"the index {self._home}"):
            if path.exists() and not segments_of(self._home):  # the engine would begin an empty one
                raise StorageFailure(f"{path} has no segments")
            if (cut := cut_file(self._home)) is not None:
                raise StorageFailure(f"{cut} was cut")
            bound_log(path)
            shard = edge.EdgeShard.load(str(path), edge_config(self.schema))
            _read_ahead(path)
            return shard

    @property
    def is_in_place(self) -> bool:
        """Whether its directory is the one that was loaded: what is deleted while it is open can be read for long."""
        return inode_of(self._home) == self._place

    def missing_file(self) -> Path | None:
        """A file that was there when it was loaded and is not any more."""
        needed = (self._home / "schema.json", *self._segments)
        return next((path for path in needed if not path.exists()), None)

    def close(self) -> None:
        """Close the files. Unflushed writes stay in the write-ahead log."""
        with edge_errors("closing an index"):
            self._shard.close()

    def flush(self) -> None:
        """Bring all writes to stable storage.

        After an error the engine fails every further flush of the loaded shard: it is loaded again and tried once more.
        """
        try:
            with edge_errors("flushing"):
                self._shard.flush()
        except StorageFailure:
            self.close()
            self._shard = self._load()
            with edge_errors("flushing again"):
                self._shard.flush()

    def upsert(self, points: Sequence[Point]) -> None:
        """Insert or replace points that have been checked; they are in the write-ahead log on return."""
        encoded = [edge_point(point, self.schema, self._encoder) for point in points]
        self._update(edge.UpdateOperation.upsert_points(encoded), "writing points")

    def delete_documents(self, keep: Mapping[str, int | None]) -> None:
        """Delete the points of these documents before the given revisions."""
        for revision, ids in ids_by_revision(keep).items():
            conditions: list[Any] = [edge.FieldCondition(DOCUMENT_ID, match=edge.MatchAny(ids))]
            if revision is not None:
                conditions.append(edge.FieldCondition(REVISION, range=edge.RangeFloat(lt=float(revision))))
            stale = edge.Filter(must=conditions)
            self._update(edge.UpdateOperation.delete_points_by_filter(stale), "deleting points")

    def declare(self, fields: Mapping[str, FieldType]) -> None:
        """Index more fields from now on. ``backfill`` updates the stored points, ``keep_schema`` records the fields."""
        for key, kind in fields.items():
            self._update(edge.UpdateOperation.create_field_index(field_path(key), INDEX_TYPES[kind]), "adding a field")
        self.schema = replace(self.schema, fields={**self.schema.fields, **fields})

    def backfill(self, fields: Mapping[str, FieldType], offset: uuid.UUID | None) -> uuid.UUID | None:
        """Give a page of stored points the values of new fields; returns where the next page starts."""
        records, following = self._scroll(offset, [SOURCE], _WRITE_PAGE)
        for record in records:
            values = encode_fields(decode_metadata(record.payload), fields)
            if values:
                self._update(edge.UpdateOperation.set_payload([record.id], values, key=FIELDS), "adding a field")
        return following

    def keep_schema(self) -> None:
        """Record the declared fields on disk."""
        self.flush()
        with edge_errors("adding a field"):
            write_schema(self._home, self.schema)

    def _update(self, operation: edge.UpdateOperation, doing: str) -> None:
        with edge_errors(doing):
            self._shard.update(operation)

    def query(
        self, dense: FloatArray | None, text: str | None, name: str | None, limit: int, filter: Filter | None
    ) -> Mapping[str, ArmRows]:
        """The best ``limit`` points of each arm, in one call of the engine."""
        condition = None if filter is None else FILTERS.translate(filter, self.schema.fields)
        # ACORN keeps the graph connected when a filter leaves little of it
        params = None if filter is None else edge.SearchParams(acorn=edge.AcornSearchParams(enable=True))
        arms = self._arms(dense, text, name=name)
        requests = [
            edge.QueryRequest(limit=limit, query=query, filter=condition, params=params) for query in arms.values()
        ]
        found = zip(arms, self._batch(requests), strict=True)
        return {arm: ArmRows([_bytes(row) for row in rows], [row.score for row in rows]) for arm, rows in found}

    def matching(self, text: str | None, filter: Filter | None, limit: int) -> list[bytes]:
        """The ids of up to ``limit`` points that have a word of ``text``, if one is given, and pass the filter."""
        condition = None if filter is None else FILTERS.translate(filter, self.schema.fields)
        if text is None:
            with edge_errors("listing points"):
                request = edge.ScrollRequest(limit=limit, filter=condition, with_payload=False)
                return [_bytes(record) for record in self._shard.scroll(request)[0]]
        arms = self._arms(None, text)
        requests = [edge.QueryRequest(limit=limit, query=query, filter=condition) for query in arms.values()]
        return [_bytes(row) for rows in self._batch(requests) for row in rows]

    def describe(self, ids: Sequence[bytes]) -> Mapping[bytes, DescribedPoint]:
        """What counts look at, of the points with these ids that exist."""
        fields = self.schema.fields
        found = self._retrieve(ids, described_fields(fields))
        return {_bytes(record): decode_described(record.payload, fields) for record in found}

    def payloads(self, ids: Sequence[bytes], keys: Sequence[str] = POINT_FIELDS) -> Mapping[bytes, Mapping[str, Any]]:
        """These keys of the stored payloads of the points with these ids that exist, without vectors."""
        return {_bytes(record): record.payload for record in self._retrieve(ids, list(keys))}

    def _retrieve(self, ids: Sequence[bytes], fields: list[str]) -> list[Any]:
        with edge_errors("reading points"):
            return cast("list[Any]", self._shard.retrieve([uuid.UUID(bytes=each) for each in ids], fields, False))

    def score(
        self,
        point_ids: Sequence[str],
        dense: FloatArray | None,
        text: str | None,
        tokens: npt.NDArray[np.floating] | None,
    ) -> ScoreColumns:
        """Exact scores of the given points on each arm that has input, in one call of the engine."""
        asked = query_tokens(self.schema, tokens)
        arms = self._arms(dense, text, asked)
        wanted = [uuid.UUID(each) for each in point_ids]
        condition = edge.Filter(must=[edge.HasIdCondition(set(wanted))])
        requests = [
            edge.QueryRequest(limit=len(wanted), query=query, filter=condition, params=edge.SearchParams(exact=True))
            for query in arms.values()
        ]
        rows = zip(arms, self._batch(requests), strict=True)
        scores = {arm: {_bytes(row): row.score for row in found} for arm, found in rows}  # as text: 0.1 ms more
        if asked is not None:
            scores[TOKENS] = {each: asked.maxsim(score) for each, score in scores[TOKENS].items()}
        return {arm: [found.get(each.bytes) for each in wanted] for arm, found in scores.items()}

    def _arms(
        self, dense: FloatArray | None, text: str | None, tokens: AskedTokens | None = None, name: str | None = None
    ) -> dict[str, Any]:
        """The engine's query for each arm that has input."""
        vectors = query_vectors(self.schema, dense, self._encoder.query(text), tokens, self._encoder.name(name))
        return {
            arm: edge.Query.Nearest(vector.tolist() if isinstance(vector, np.ndarray) else vector, using=arm)
            for arm, vector in vectors.items()
        }

    def _batch(self, requests: list[edge.QueryRequest]) -> list[list[edge.ScoredPoint]]:
        if not requests:
            return []
        with edge_errors("searching"):
            return self._shard.query_batch(edge.QueryBatchRequest(requests))

    def fetch(self, point_ids: Collection[str]) -> Mapping[str, Point]:
        """The points of these ids with their vectors."""
        with edge_errors("fetching points"):
            records = cast("list[Any]", self._shard.retrieve(list(point_ids), True, True))
        form = self.schema.tokens_as
        return {str(record.id): decode_point(str(record.id), record.payload, record.vector, form) for record in records}

    def keys(self, offset: uuid.UUID | None) -> tuple[list[PointKey], uuid.UUID | None]:
        """A page of keys from ``offset`` on, and where the next page starts."""
        records, following = self._scroll(offset, KEY_FIELDS, _PAGE)
        return [decode_key(str(record.id), record.payload) for record in records], following

    def _scroll(self, offset: uuid.UUID | None, payload: list[str], limit: int) -> tuple[list[Any], uuid.UUID | None]:
        with edge_errors("listing points"):
            request = edge.ScrollRequest(offset=offset, limit=limit, with_payload=payload)
            return cast("tuple[list[Any], uuid.UUID | None]", self._shard.scroll(request))

    def read_all(self) -> None:
        """Read every point with its vectors; raises what the engine raises."""
        offset = None
        while True:
            request = edge.ScrollRequest(offset=offset, limit=_WRITE_PAGE, with_payload=True, with_vector=True)
            with edge_errors("reading all points"):
                _, offset = cast("tuple[list[Any], uuid.UUID | None]", self._shard.scroll(request))
            if offset is None:
                return

    def count(self) -> int:
        """The number of points."""
        with edge_errors("counting points"):
            return self._shard.count(edge.CountRequest(exact=True))

    def unindexed(self) -> int:
        """The number of dense vectors that have no graph yet and are searched one by one.

        The engine's number counts the vectors of all arms; of a segment either all are indexed or only the sparse ones.
        """
        has = {name: edge.Filter(must=[edge.HasVectorCondition(name)]) for name in self._stored_arms()}
        with edge_errors("counting vectors"):
            stored = {name: self._shard.count(edge.CountRequest(exact=True, filter=each)) for name, each in has.items()}
            missing = sum(stored.values()) - self._shard.info().indexed_vectors_count
        graphs = stored[DENSE] + stored.get(TOKENS, 0)
        return missing * stored[DENSE] // graphs if graphs else 0

    def is_littered(self) -> bool:
        """Whether deleted points outnumber the others; the engine keeps their space, on disk and in memory.

        It does not tell their number. The vectors that it counts as indexed include theirs; they are of all arms, or of
        the sparse ones alone: divided by the number of all arms they make the least number of points, dead or alive.
        """
        with edge_errors("counting vectors"):
            info = self._shard.info()
        dead = info.indexed_vectors_count // len(self._stored_arms()) - info.points_count
        return dead >= max(LITTER_LIMIT, info.points_count)

    def _stored_arms(self) -> list[str]:
        """The names of the vectors that a point has."""
        tokens = [TOKENS] if self.schema.token_dimensions else []
        names = [NAMES] if stores_names(self.schema.keywords) else []
        return [DENSE, SPARSE, *tokens, *names]


def _bytes(row: Any) -> bytes:
    """The id of a row or record: points are only ever written with UUIDs."""
    return cast("uuid.UUID", row.id).bytes
