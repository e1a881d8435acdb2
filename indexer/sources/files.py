"""Sources made of files: the base of all of them, and folders and files on this machine.

A document's id is its path relative to the folder, with ``/`` between the parts; rows of JSONL, CSV and Parquet files
bring their own ids. Two folders that are indexed into one collection must not hold files of the same relative path.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import ClassVar, Final

from indexer.sources.cache import FileCache
from indexer.sources.formats import File, FileReader, count_items, is_known, printable
from indexer.sources.sandbox import Sandbox
from indexer.sources.threads import Items, read_on_thread
from winnow.core.text import counted
from winnow.core.types import FieldType
from winnow.ports.source import MAX_LABEL_CHARS, Failure, Notice, SourceItem, SourceOptions

_SHOWN_KINDS: Final = 20
_SHOWN_PATH: Final = 400
_OUTWARD: Final = "links out of the folder"
_HIDDEN: Final = "hidden or generated"
_SKIPPED: Final = frozenset({"node_modules", "__pycache__"})


def is_left_out(relative: PurePosixPath) -> bool:
    """Whether a file is hidden or lies in a hidden or generated folder."""
    return any(part.startswith(".") for part in relative.parts) or not _SKIPPED.isdisjoint(relative.parts[:-1])


class FileSource(ABC):
    """All files of one place that have a known suffix; hidden files and folders are left out."""

    fields: Mapping[str, FieldType] = MappingProxyType({})  # the user says what the metadata of files means
    is_complete = True
    cache_folder: ClassVar[str]
    confined_to = ""  # a folder that the files must lie in

    def __init__(self, label: str, options: SourceOptions) -> None:
        self.label = label
        self._options = options

    @abstractmethod
    async def count(self) -> int | None:
        """Number of files, with the rows of files that hold many documents; ``None`` if unknown."""

    @abstractmethod
    def list_files(self, failures: list[Failure], left_out: Counter[str]) -> Iterator[File]:
        """The files in a stable order. Blocking.

        Appends to ``failures`` what cannot be listed, and counts in ``left_out`` files of unknown types by suffix.
        """

    def read(self) -> AsyncGenerator[SourceItem, None]:
        """Read file after file."""
        return read_on_thread(self._read())

    def _read(self) -> Items:
        failures: list[Failure] = []
        left_out: Counter[str] = Counter()
        state_dir = self._options.state_dir
        cache = FileCache(state_dir / self.cache_folder, self.label) if state_dir else None
        with Sandbox(root=self.confined_to) as sandbox:
            reader = FileReader(self._options, cache, sandbox)
            for file in self.list_files(failures, left_out):
                yield from reader.read(file)
        yield from failures
        if outward := left_out.pop(_OUTWARD, 0):
            message = f"{counted(outward, 'link')} out of the folder left out; --follow-links reads what they lead to"
            yield Notice(self.label, "outward_links", message, outward)
        if hidden := left_out.pop(_HIDDEN, 0):
            names = ", ".join(sorted(_SKIPPED))
            message = f"{counted(hidden, 'entry')} left out: hidden files and folders, {names}"
            yield Notice(self.label, "hidden", message, hidden)
        if left_out:
            message = f"files of types that are not read were left out: {_named(left_out)}"
            yield Notice(self.label, "unknown_type", message, left_out.total())
        if cache and not failures:
            cache.prune()


def _named(kinds: Counter[str]) -> str:
    """The commonest kinds of files with their numbers, and the number of all others."""
    shown = kinds.most_common(_SHOWN_KINDS)
    named = ", ".join(f"{counted(count, 'file')} {kind}" for kind, count in shown)
    others = kinds.total() - sum(count for _, count in shown)
    return f"{named}, {counted(others, 'file')} of {len(kinds) - len(shown):,} other types" if others else named


class LocalSource(FileSource):
    """A folder, or a single file, whose id is its name. The label holds the absolute path."""

    cache_folder = "parsed"

    def __init__(self, path: Path, options: SourceOptions) -> None:
        is_folder = path.is_dir()
        super().__init__(_label("dir" if is_folder else "file", path), options)
        self._path = path
        self._root = path if is_folder else path.parent
        self.confined_to = "" if options.follow_links else str(self._root)

    async def count(self) -> int | None:
        """Files, and rows of files that hold many documents."""
        return await asyncio.to_thread(self._count)

    def _count(self) -> int:
        return sum(count_items(target) for _, target in self._paths(lambda _: None, Counter()))

    def list_files(self, failures: list[Failure], left_out: Counter[str]) -> Iterator[File]:
        """The files, sorted by path."""

        def fail(error: OSError) -> None:
            message = f"cannot be read: {error.strerror or error}"
            failures.append(Failure(printable(error.filename), "unreadable", message))

        for path, target in self._paths(fail, left_out):
            yield File(printable(path), PurePosixPath(path.relative_to(self._root).as_posix()), partial(Path, target))

    def _paths(self, on_error: Callable[[OSError], None], left_out: Counter[str]) -> Iterator[tuple[Path, Path]]:
        """Files with a known suffix, sorted, each with the file that it is or that a link leads to."""
        if self._path != self._root:
            yield self._path, self._path
            return
        entered: set[tuple[int, int]] = set()
        for folder, names, files in os.walk(self._root, onerror=on_error, followlinks=True):
            for name in names.copy():
                is_hidden = is_left_out(PurePosixPath(name, "file"))
                left_out[_HIDDEN] += is_hidden
                if is_hidden or not self._enters(Path(folder, name), entered, left_out):
                    names.remove(name)
            names.sort()
            for name in sorted(files):
                path = Path(folder, name)
                if name.startswith("."):
                    left_out[_HIDDEN] += 1
                    continue
                try:
                    kind, target = self._look(path)
                except OSError as error:
                    error.filename = error.filename or str(path)
                    on_error(error)
                    continue
                if kind == "file":
                    yield path, target
                else:
                    left_out[kind] += 1

    def _enters(self, folder: Path, entered: set[tuple[int, int]], left_out: Counter[str]) -> bool:
        """Whether a folder is walked into. One that a link leads to is so once, and only outside of the source."""
        target = Path(os.path.realpath(folder))
        is_inside = target.is_relative_to(self._root)
        if is_inside:
            return target == folder  # what links lead to inside of the source is read at its own place
        if not self._options.follow_links:
            left_out[_OUTWARD] += 1
            return False
        try:
            status = target.stat()
        except OSError:
            return True  # the walk reports the error
        key = (status.st_dev, status.st_ino)
        is_new = key not in entered
        entered.add(key)
        return is_new and not self._root.is_relative_to(target)

    def _look(self, path: Path) -> tuple[str, Path]:
        """``file`` for one that is read, otherwise how a notice names its kind; and where it is. Raises ``OSError``."""
        status = path.lstat()
        target = path
        if stat.S_ISLNK(status.st_mode) or self._options.follow_links:
            target = Path(os.path.realpath(path))
            if target.is_symlink() or not target.exists():
                return "that are broken links", path
            if not target.is_relative_to(self._root) and not self._options.follow_links:
                return _OUTWARD, path
            status = target.stat()
        if not stat.S_ISREG(status.st_mode):
            return "that are not regular", path
        return "file" if is_known(path) else (printable(path.suffix.lower()) or "without a suffix"), target


def _label(kind: str, path: Path) -> str:
    """The name of a source at ``path``; a path that a label cannot hold is shortened, and told apart by its digest."""
    label = f"{kind}:{path}"
    if len(label) <= MAX_LABEL_CHARS and printable(path) == str(path):
        return label
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return f"{kind}:…{printable(path)[-_SHOWN_PATH:]}#{digest}"
