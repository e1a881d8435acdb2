"""Folders and files, told apart by their suffix.

A document's id is its path relative to the folder, with ``/`` between the parts; rows of JSONL, CSV and Parquet files
bring their own ids. Two folders that are indexed into one collection must not hold files of the same relative path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from indexer.sources.base import Failure, SourceOptions
from indexer.sources.cache import FileCache
from indexer.sources.formats import MAX_FILE_BYTES, File, FileReader, count_items, is_known, printable
from winnow.core.types import Document, FieldType

_SKIPPED: Final = frozenset({"node_modules", "__pycache__"})


@dataclass(frozen=True)
class FolderSource:
    """All files of a folder that have a known suffix, sorted by path; hidden files and folders are left out.

    Attributes:
        root: the folder, absolute.
        options: addresses, columns, where results are kept.
        max_file_bytes: larger files of text fail; lines of JSONL files have a limit of their own.
    """

    root: Path
    options: SourceOptions = field(default_factory=SourceOptions)
    max_file_bytes: int = MAX_FILE_BYTES

    @property
    def label(self) -> str:
        """``dir:`` and the absolute path."""
        return f"dir:{self.root}"

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """None: what the metadata of files means is for the user to say."""
        return {}

    def count(self) -> int | None:
        """Files, and rows of files that hold many documents."""
        return sum(count_items(path) for path in _walk(self.root))

    def read(self) -> Iterator[Document | Failure]:
        """Read file after file."""
        errors: list[OSError] = []
        cache = FileCache(self.options.state_dir and self.options.state_dir / "parsed", self.label)
        with FileReader(self.options, cache, self.max_file_bytes) as reader:
            for path in _walk(self.root, errors.append):
                yield from reader.read(_file(path, self.root))
        for error in errors:
            yield Failure(printable(error.filename), "unreadable", f"cannot be read: {error.strerror or error}")
        if not errors:
            cache.prune()


@dataclass(frozen=True)
class FileSource:
    """A single file; its id is its name."""

    path: Path
    options: SourceOptions = field(default_factory=SourceOptions)
    max_file_bytes: int = MAX_FILE_BYTES

    @property
    def label(self) -> str:
        """``file:`` and the absolute path."""
        return f"file:{self.path}"

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """None, as for a folder."""
        return {}

    def count(self) -> int | None:
        """1, or the rows of a file that holds many documents."""
        return count_items(self.path)

    def read(self) -> Iterator[Document | Failure]:
        """Read the file."""
        cache = FileCache(self.options.state_dir and self.options.state_dir / "parsed", self.label)
        with FileReader(self.options, cache, self.max_file_bytes) as reader:
            yield from reader.read(_file(self.path, self.path.parent))


def _file(path: Path, root: Path) -> File:
    return File(printable(path), PurePosixPath(path.relative_to(root).as_posix()), lambda: path)


def _walk(root: Path, on_error: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Files with a known suffix, sorted. Links to folders are not followed, so that there are no loops."""
    for folder, names, files in os.walk(root, onerror=on_error):
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in _SKIPPED)
        for name in sorted(files):
            path = Path(folder, name)
            if not name.startswith(".") and is_known(path) and path.is_file():
                yield path
