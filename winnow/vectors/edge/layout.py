"""The directories of indexes on disk, which are made, replaced and deleted by single renames.

::

    root/~lock
    root/<collection>/g0001/schema.json   what the index was made for
    root/<collection>/g0001/shard/        the engine's files
    root/<collection>/~new-g0001          half made
    root/<collection>/~copy-<hex>-g0001   a copy that is being optimised
    root/<collection>/~next-g0001         an optimised copy that replaces g0001
    root/<collection>/~old-g0001          to be deleted
    root/<collection>/~lost-<time>-g0001  damaged, and replaced by an empty one; goes with its collection

A directory gets its final name by a rename when it is complete; ``recover`` finishes or removes what a crash left.
Collection names cannot contain ``~``.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

import orjson

from winnow.core.errors import StorageFull
from winnow.ports import IndexRef, IndexSchema
from winnow.vectors.keywords import FIRST
from winnow.vectors.points import COLLECTION, check_index

# The engine writes through memory maps: with no space left it does not fail, the kernel kills the process (SIGBUS). So
# writing stops while there is some, and loading, which replays the write-ahead log, needs what writing has left.
WRITE_RESERVE: Final = 128 * 2**20
LOAD_RESERVE: Final = 80 * 2**20

_LOG_OPTIONS: Final = {"segment_capacity": 4 * 2**20, "segment_queue_len": 0, "retain_closed": 1}

_WIDTHS: Final = {"float32": 4, "float16": 2, "uint8": 1}  # bytes of a number

_GENERATION: Final = re.compile(r"g(\d{4,})\Z")
_NEW, _COPY, _NEXT, _OLD = "~new-", "~copy-", "~next-", "~old-"
_LOST: Final = "~lost-"


class Layout:
    """The directories below one root. Nothing here knows the engine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def lock_file(self) -> Path:
        """The file whose lock makes this process the owner of everything below ``root``."""
        return self.root / "~lock"

    def home(self, index: IndexRef) -> Path:
        """The directory of an index.

        Raises:
            ValueError: the collection's name would lead out of ``root`` or clash with names used here.
        """
        check_index(index)
        return self.root / index.collection / f"g{index.generation:04d}"

    def require_space(self, size: int) -> None:
        """Raise ``StorageFull`` where less than ``size`` bytes are free."""
        self.root.mkdir(parents=True, exist_ok=True)  # it may have been deleted while it was in use
        free = shutil.disk_usage(self.root).free
        if free < size:
            raise StorageFull(
                f"{self.root} has {free / 2**20:.0f} MiB free, but {size / 2**20:.0f} MiB are needed; free some space"
            )

    def indexes(self) -> list[IndexRef]:
        """Every complete index, sorted."""
        found = [
            IndexRef(directory.name, int(match[1]))
            for directory in self._collections()
            for entry in directory.iterdir()
            if (match := _GENERATION.match(entry.name))
        ]
        return sorted(found, key=lambda index: (index.collection, index.generation))

    def begin(self, index: IndexRef) -> Path:
        """An empty directory in which an index can be made; ``commit`` makes it one."""
        new = _beside(self.home(index), _NEW)
        _remove(new)
        new.mkdir(parents=True)
        return new

    def commit(self, index: IndexRef, new: Path) -> None:
        """Give a finished directory its final name."""
        home = self.home(index)
        new.rename(home)
        _sync(home.parent)
        _sync(self.root)

    def copy(self, index: IndexRef) -> Path:
        """A copy of an index in which nothing changes, to be worked on; ``replace`` puts it in the original's place.

        Its name is new, so that a process which outlived its parent and still works on one cannot reach another.
        """
        home = self.home(index)
        size = sum(path.stat().st_size for path in home.rglob("*"))
        self.require_space(2 * size + WRITE_RESERVE)  # the copy, and the segments that are built from it
        copy = _beside(home, f"{_COPY}{secrets.token_hex(4)}-")
        shutil.copytree(home, copy)
        return copy

    def discard(self, copy: Path) -> None:
        """Delete a copy that failed."""
        _remove(copy)

    def replace(self, index: IndexRef, copy: Path) -> None:
        """Put a finished copy in the place of the original. The first rename decides; ``recover`` does the rest."""
        home = self.home(index)
        for path in (*copy.rglob("*"), copy):
            _sync(path)
        copy.rename(_beside(home, _NEXT))
        _sync(home.parent)
        _finish(home)

    def set_aside(self, index: IndexRef) -> Path | None:
        """Rename the directory of a damaged index; returns where it is now, ``None`` where there is none."""
        home = self.home(index)
        if not home.exists():
            return None
        number = 0
        while (aside := _beside(home, f"{_LOST}{time.strftime('%Y%m%dT%H%M%S')}.{number}-")).exists():
            number += 1
        home.rename(aside)
        _sync(home.parent)
        return aside

    def drop(self, index: IndexRef) -> None:
        """Delete an index, also what was set aside of it; it is gone with the first rename."""
        home = self.home(index)
        for aside in home.parent.glob(f"{_LOST}*-{home.name}"):
            _remove(aside)
        if home.exists():
            old = _beside(home, _OLD)
            _remove(old)
            home.rename(old)
            _sync(home.parent)
            _remove(old)
        if home.parent.exists() and not any(home.parent.iterdir()):
            home.parent.rmdir()

    def recover(self) -> None:
        """Finish what a crash interrupted and delete what it left behind."""
        for directory in self._collections():
            for entry in sorted(directory.glob(f"{_NEXT}*")):
                _finish(directory / entry.name.removeprefix(_NEXT))
            for entry in directory.glob(f"{_COPY}*"):
                entry.rename(entry.with_name(_OLD + entry.name))  # who still works on it finds it no more
            for prefix in (_NEW, _OLD):
                for entry in directory.glob(f"{prefix}*"):
                    _remove(entry)

    def _collections(self) -> Iterator[Path]:
        found = self.root.iterdir() if self.root.exists() else iter(())
        return (entry for entry in found if entry.is_dir() and COLLECTION.match(entry.name))


def shard_of(home: Path) -> Path:
    """The engine's directory inside an index's."""
    return home / "shard"


def inode_of(home: Path) -> tuple[int, int] | None:
    """What tells the engine's directory of an index from another one that took its place; ``None`` without one."""
    try:
        found = shard_of(home).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def segments_of(home: Path) -> list[Path]:
    """The files that describe the engine's segments of an index."""
    return sorted(entry / "segment.json" for entry in (shard_of(home) / "segments").glob("*") if entry.is_dir())


def cut_file(home: Path) -> Path | None:
    """A file of vectors that is shorter than the points of its segment need, which the engine would open without them.

    Of a segment that was optimised, ``id_tracker.versions`` has 8 bytes a point, and ``vector_storage-NAME/matrix.dat``
    4 bytes and then the vectors, of the size and type in ``segment.json`` (Qdrant 1.18).
    """
    for description in segments_of(home):
        segment = description.parent
        versions = segment / "id_tracker.versions"
        if not versions.exists():  # it is written to, and its files have a fixed size
            continue
        points = versions.stat().st_size // 8
        for name, vector in orjson.loads(description.read_bytes())["config"]["vector_data"].items():
            matrix = segment / f"vector_storage-{name}" / "matrix.dat"
            width = _WIDTHS[vector.get("datatype") or "float32"]
            if matrix.exists() and matrix.stat().st_size < 4 + points * vector["size"] * width:
                return matrix
    return None


def read_schema(home: Path) -> IndexSchema:
    """The schema of the index. Earlier versions did not write ``tokens_as`` and ``keywords``: they had one of each."""
    return IndexSchema(
        **{"tokens_as": "float16", "keywords": FIRST, **orjson.loads((home / "schema.json").read_bytes())}
    )


def write_schema(home: Path, schema: IndexSchema) -> None:
    """Replace the schema in one step."""
    content = {**asdict(schema), "fields": dict(schema.fields)}
    _replace(home / "schema.json", orjson.dumps(content, option=orjson.OPT_INDENT_2))


def bound_log(shard: Path) -> None:
    """Have the engine cut the write-ahead log of a shard that is not open into small files.

    It maps two of them and keeps what was written: of the 32 MiB each that it would make, all is in memory in the end.
    Its Python interface lacks the option, which is read from the shard's configuration (``WalOptions`` of its crate
    ``wal``). A log of larger files is taken over.
    """
    path = shard / "edge_config.json"
    config = orjson.loads(path.read_bytes()) if path.exists() else {}
    if config.get("wal_options") != _LOG_OPTIONS:
        _replace(path, orjson.dumps({**config, "wal_options": _LOG_OPTIONS}))


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}~")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync(path.parent)


def _finish(home: Path) -> None:
    old, following = _beside(home, _OLD), _beside(home, _NEXT)
    if home.exists():
        _remove(old)
        home.rename(old)
    following.rename(home)
    _sync(home.parent)
    _remove(old)


def _beside(home: Path, prefix: str) -> Path:
    return home.with_name(prefix + home.name)


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)


def _sync(path: Path) -> None:
    """Bring a file or a directory's entries to stable storage."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
