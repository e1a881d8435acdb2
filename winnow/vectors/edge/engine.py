"""Everything that calls Qdrant Edge for one root: indexes by name, loaded when they are first used. Synchronous."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from winnow.core.errors import CollectionNotFound, StorageFailure
from winnow.core.types import FieldType
from winnow.ports import IndexRef, IndexSchema, Point
from winnow.vectors.edge.errors import edge_errors
from winnow.vectors.edge.layout import LOAD_RESERVE, WRITE_RESERVE, Layout, read_schema, shard_of
from winnow.vectors.edge.shard import Shard, make_shard, optimize_shard
from winnow.vectors.points import new_fields

UNINDEXED_LIMIT: Final = 20_000  # vectors searched one by one (3 ms) beyond which an index is optimised at start

_READS: Final = {"count", "describe", "fetch", "keys", "matching", "payloads", "query", "score"}
_OF_SHARDS: Final = frozenset({*_READS, "backfill", "declare", "delete_documents", "keep_schema"})

log = logging.getLogger(__name__)


class Engine:
    """The indexes below one directory, which belongs to this process.

    ``EdgeVectorStore`` calls its methods, and those of shards, by name. Errors are ``WinnowError`` or ``ValueError``.
    """

    def __init__(self, root: Path, *, optimize_on_start: bool) -> None:
        self._layout = Layout(root)
        self._optimize_on_start = optimize_on_start
        self._shards: dict[IndexRef, Shard] = {}
        with edge_errors("recovering from a crash"):
            self._layout.recover()

    def indexes(self) -> list[IndexRef]:
        """Every complete index."""
        with edge_errors("listing indexes"):
            return self._layout.indexes()

    def create(self, index: IndexRef, schema: IndexSchema) -> Mapping[str, FieldType]:
        """Make the index; where it is there, return the fields that it lacks."""
        home = self._layout.home(index)
        if home.exists():
            with edge_errors("reading a schema"):
                return new_fields(index, read_schema(home), schema)
        self._layout.require_space(WRITE_RESERVE)
        with edge_errors("making an index"):
            new = self._layout.begin(index)
            make_shard(new, schema)
            self._layout.commit(index, new)
        return {}

    def schema(self, index: IndexRef) -> IndexSchema:
        """The schema of the index."""
        return self._open(index).schema

    def drop(self, index: IndexRef) -> None:
        """Delete the index; a missing index is not an error."""
        shard = self._shards.pop(index, None)
        if shard is not None:
            shard.close()
        with edge_errors("deleting an index"):
            self._layout.drop(index)

    def optimize(self, index: IndexRef) -> None:
        """Optimise a copy and put it in the original's place; without success the original stays in use."""
        shard = self._open(index)
        shard.flush()
        shard.close()
        del self._shards[index]
        log.info("optimising the vectors of %s", index.collection)
        try:
            with edge_errors("optimising an index"):
                copy = self._layout.copy(index)
                optimize_shard(shard_of(copy))
                self._layout.replace(index, copy)
        except StorageFailure as error:
            log.warning("the vectors of %s stay unoptimised, searches are slower: %s", index.collection, error)
            self._layout.recover()

    def upsert(self, index: IndexRef, points: Sequence[Point]) -> None:
        """Insert or replace points that have been checked."""
        self._layout.require_space(WRITE_RESERVE)
        self._open(index).upsert(points)

    def flush(self, index: IndexRef) -> None:
        """Bring all writes to stable storage."""
        self._open(index).flush()

    def __getattr__(self, method: str) -> Callable[..., Any]:
        """A method of an index's ``Shard``, with the index as an additional first argument."""
        if method not in _OF_SHARDS:
            raise AttributeError(method)
        return lambda index, *arguments: getattr(self._open(index), method)(*arguments)

    def close(self) -> None:
        """Flush and close every shard, also when one of them fails; the first failure is raised."""
        failures: list[StorageFailure] = []
        for shard in self._shards.values():
            for step in (shard.flush, shard.close):
                try:
                    step()
                except StorageFailure as error:
                    failures.append(error)
        self._shards.clear()
        if failures:
            raise failures[0]

    def _open(self, index: IndexRef) -> Shard:
        shard = self._shards.get(index)
        if shard is None:
            home = self._layout.home(index)
            if not home.exists():
                raise CollectionNotFound(f"there is no index for {index.collection!r}, generation {index.generation}")
            self._layout.require_space(LOAD_RESERVE)
            shard = self._shards[index] = Shard(home)
            if self._optimize_on_start and shard.unindexed() > UNINDEXED_LIMIT:
                self.optimize(index)
                shard = self._shards[index] = Shard(home)
        return shard
