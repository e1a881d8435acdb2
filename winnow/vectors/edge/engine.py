"""Everything that calls Qdrant Edge for one root: indexes by name, loaded when they are first used. Synchronous."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

from winnow.core.errors import IndexLost, StorageFailure
from winnow.core.types import FieldType
from winnow.ports import IndexRef, IndexSchema, Point
from winnow.vectors.edge.errors import edge_errors, is_passing, opening
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
        self._damaged: dict[IndexRef, str] = {}  # those that could be loaded, and cannot be read
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
            with opening(f"the index {home}"):
                return new_fields(index, read_schema(home), schema)
        self._forget(index)  # it may have been deleted while it was loaded
        self._layout.require_space(WRITE_RESERVE)
        with edge_errors("making an index"):
            new = self._layout.begin(index)
            make_shard(new, schema)
            self._layout.commit(index, new)
        return {}

    def schema(self, index: IndexRef) -> IndexSchema:
        """The schema of the index."""
        return self._open(index).schema

    def damage(self, index: IndexRef) -> str | None:
        """Why the index is lost; ``None`` if it is there and can be opened."""
        try:
            gone = self._open(index).missing_file()
        except IndexLost as error:
            return error.message
        return None if gone is None else f"{gone} is gone"

    def set_aside(self, index: IndexRef) -> str | None:
        """Put a lost index out of the way; returns where it is kept, ``None`` if nothing is left or it is sound."""
        if self.damage(index) is None:
            return None
        self._forget(index)
        with edge_errors("setting an index aside"):
            kept = self._layout.set_aside(index)
        return None if kept is None else str(kept)

    def _forget(self, index: IndexRef) -> None:
        """Close an index whose files may be gone or damaged."""
        self._damaged.pop(index, None)
        shard = self._shards.pop(index, None)
        if shard is not None:
            with suppress(StorageFailure):
                shard.close()

    def drop(self, index: IndexRef) -> None:
        """Delete the index; a missing index is not an error."""
        self._forget(index)
        with edge_errors("deleting an index"):
            self._layout.drop(index)

    def optimize(self, index: IndexRef) -> None:
        """Optimise a copy and put it in the original's place; without success the original stays in use."""
        self._open(index).flush()
        self._forget(index)
        log.info("optimising the vectors of %s", index.collection)
        try:
            with edge_errors("optimising an index"):
                copy = self._layout.copy(index)
                optimize_shard(shard_of(copy))
            self.replace(index, copy)
        except StorageFailure as error:
            log.warning("the vectors of %s stay unoptimised, searches are slower: %s", index.collection, error)
            self._layout.recover()

    def replace(self, index: IndexRef, copy: Path) -> None:
        """Put an optimised copy of an index, to which nothing was written meanwhile, in its place."""
        self._forget(index)
        try:
            with edge_errors("replacing an index"):
                self._layout.replace(index, copy)
        except StorageFailure:
            self._layout.recover()
            raise

    def upsert(self, index: IndexRef, points: Sequence[Point]) -> None:
        """Insert or replace points that have been checked."""
        self._layout.require_space(WRITE_RESERVE)
        self._on_shard(index, "upsert", points)

    def flush(self, index: IndexRef) -> bool:
        """Bring all writes to stable storage; returns whether the index is worth being rebuilt without what is dead."""
        self._on_shard(index, "flush")
        return cast("bool", self._on_shard(index, "is_littered"))

    def _on_shard(self, index: IndexRef, method: str, *arguments: Any) -> Any:
        """Call a method of an index. If it fails, all of the index is read, to tell whether it is damaged."""
        shard = self._open(index)
        try:
            return getattr(shard, method)(*arguments)
        except StorageFailure as error:
            if not isinstance(error, IndexLost) and not is_passing(error):
                self._read_all(index, shard)
            raise

    def _read_all(self, index: IndexRef, shard: Shard) -> None:
        """Raise ``IndexLost`` from now on if there is a point that cannot be read."""
        try:
            shard.read_all()
        except StorageFailure as error:
            if not is_passing(error):
                self._damaged[index] = error.message
                raise IndexLost(error.message) from error

    def __getattr__(self, method: str) -> Callable[..., Any]:
        """A method of an index's ``Shard``, with the index as an additional first argument."""
        if method not in _OF_SHARDS:
            raise AttributeError(method)
        return lambda index, *arguments: self._on_shard(index, method, *arguments)

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
        if index in self._damaged:
            raise IndexLost(self._damaged[index])
        shard = self._shards.get(index)
        if shard is not None and not shard.is_in_place:
            self._forget(index)
            shard = None
        if shard is None:
            home = self._layout.home(index)
            if not home.exists():
                raise IndexLost(f"there is no index for {index.collection!r}, generation {index.generation}")
            self._layout.require_space(LOAD_RESERVE)
            shard = self._shards[index] = Shard(home)
            if self._optimize_on_start and shard.unindexed() > UNINDEXED_LIMIT:
                self.optimize(index)
                shard = self._shards[index] = Shard(home)
        return shard
