"""A repository of Git at one commit, as a folder of files: ``git:REPOSITORY#REF:FOLDER``.

The repository is a folder on this machine or an address, of which a copy without history is kept in the data directory.
A file's id is its path relative to the folder. A file whose blob has the id of the last run is not read again, unless
it holds rows.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from indexer.sources.base import ReadError
from indexer.sources.files import FileSource, is_left_out
from indexer.sources.formats import MAX_FILE_BYTES, MAX_PARSED_BYTES, File, holds_many, is_known, printable
from indexer.sources.git.program import FETCH_SECONDS, BlobReader, require_git, run_git
from winnow.core.errors import InvalidSource
from winnow.ports.source import Failure, SourceOptions

SCHEME: Final = "git:"

_MAX_BLOB_BYTES: Final = max(MAX_FILE_BYTES, MAX_PARSED_BYTES)
_TIP: Final = "refs/winnow/tip"
_LINK: Final = "120000"
_SUBMODULE: Final = "160000"
_MAX_LINK_BYTES: Final = 4096
_SCP: Final = re.compile(r"[\w.-]+@[\w.-]+:(?!//)")
_MAX_POINTER_BYTES: Final = 1024
_POINTER: Final = b"version https://git-lfs.github.com/spec/v1"


class _Entry(NamedTuple):
    """A file of a commit."""

    mode: str
    blob: str
    size: int


class GitSource(FileSource):
    """All files of a commit that have a known suffix. The label is ``git:``, the repository, and what was asked of it.

    Raises:
        InvalidSource: the program ``git`` is missing, the repository is neither a folder nor an address, or its
            address carries credentials.
    """

    cache_folder = "git"

    def __init__(self, spec: str, options: SourceOptions) -> None:
        require_git()
        repository, _, asked = spec.removeprefix(SCHEME).partition("#")
        ref, _, folder = asked.partition(":")
        self._ref = ref or "HEAD"
        self._folder = folder.strip("/")
        if self._ref.startswith("-") or "\x00" in spec:
            raise InvalidSource(f"{ref!r} cannot be a branch, a tag or a commit (in {spec!r})")
        self._local = _local(repository)
        self._address = "" if self._local else _address(repository, spec)
        place = f"#{ref}{':' if self._folder else ''}{self._folder}" if asked else ""
        super().__init__(f"{SCHEME}{self._local or self._address}{place}", options)

    async def count(self) -> int | None:
        """Unknown before the commit is read."""
        return None

    def list_files(self, failures: list[Failure], left_out: Counter[str]) -> Iterator[File]:
        """The files, sorted by path; one at a time is on this machine outside of the repository."""
        with ExitStack() as stack:
            try:
                temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="winnow-")))
                folder = self._local or self._fetched(temporary)
                entries = self._entries(folder)
                commit = _Commit(self.label, entries, stack.enter_context(BlobReader(folder)), temporary)
                yield from commit.files(left_out)
            except ReadError as error:
                failures.append(Failure(self.label, error.code, error.message))

    def _fetched(self, temporary: Path) -> Path:
        """A bare copy of the commit, without its history."""
        state_dir = self._options.state_dir
        name = hashlib.sha256(self._address.encode()).hexdigest()[:16]
        copy = (state_dir / "repositories" / name) if state_dir else temporary / "repository"
        if not (copy / "HEAD").exists():
            copy.mkdir(parents=True, exist_ok=True)
            run_git(copy, "init", "--bare", "--quiet", "--template=", ".")
        wanted = ("--refmap=", "--end-of-options", self._address, f"+{self._ref}:{_TIP}")
        run_git(copy, "fetch", "--quiet", "--depth=1", "--no-tags", "--force", *wanted, seconds=FETCH_SECONDS)
        return copy

    def _entries(self, folder: Path) -> dict[bytes, _Entry]:
        """The files of the commit by path, relative to the folder that was asked for."""
        ref = self._ref if self._local else _TIP
        try:
            commit = run_git(folder, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}").decode().strip()
        except ReadError as error:
            if "single revision" not in error.message:
                raise
            raise ReadError("git_failed", f"the repository has no branch, tag or commit {self._ref!r}") from None
        tree = f"{commit}:{self._folder}" if self._folder else commit
        listed = run_git(folder, "ls-tree", "-r", "-z", "--long", "--full-tree", tree)
        entries: dict[bytes, _Entry] = {}
        for line in filter(None, listed.split(b"\0")):
            described, _, path = line.partition(b"\t")
            mode, _, blob, size = described.decode().split()
            entries[path] = _Entry(mode, blob, int(size) if size.isdecimal() else 0)
        return entries


class _Commit:
    """The files of a commit, whose blobs are copied to ``temporary`` to be read, one at a time."""

    def __init__(self, label: str, entries: Mapping[bytes, _Entry], blobs: BlobReader, temporary: Path) -> None:
        self._label = label
        self._entries = entries
        self._blobs = blobs
        self._temporary = temporary

    def files(self, left_out: Counter[str]) -> Iterator[File]:
        """The files that are read, sorted by path; the others are counted by kind."""
        for path, entry in sorted(self._entries.items()):
            relative = PurePosixPath(os.fsdecode(path))
            if is_left_out(relative):
                continue
            target = self._target(path) if entry.mode == _LINK else entry
            if entry.mode == _SUBMODULE:
                left_out["that are submodules"] += 1
            elif not is_known(relative):
                left_out[printable(relative.suffix.lower()) or "without a suffix"] += 1
            elif target is None:
                left_out["that are links to no file of the folder"] += 1
            else:
                yield self._file(relative, target)

    def _target(self, path: bytes) -> _Entry | None:
        """The file that a link leads to, if it is in the folder and not a link itself."""
        link = self._entries[path]
        if link.size > _MAX_LINK_BYTES:
            return None
        local = self._temporary / "link"
        self._blobs.copy(link.blob, local)
        found = self._entries.get(posixpath.normpath(posixpath.join(posixpath.dirname(path), local.read_bytes())))
        return found if found is not None and found.mode not in {_LINK, _SUBMODULE} else None

    def _file(self, relative: PurePosixPath, entry: _Entry) -> File:
        def fetch() -> Path:
            if entry.size > _MAX_BLOB_BYTES and not holds_many(relative):
                raise ReadError("too_large", f"the file is larger than {_MAX_BLOB_BYTES / 1024**2:g} MiB; split it")
            local = self._temporary / f"blob{relative.suffix}"
            self._blobs.copy(entry.blob, local)
            if entry.size < _MAX_POINTER_BYTES and local.read_bytes().startswith(_POINTER):
                raise ReadError("lfs_pointer", "the content is kept in Git LFS; index a checkout as a folder")
            return local

        return File(f"{self._label}/{printable(str(relative))}", relative, fetch, entry.blob)


def _local(repository: str) -> Path | None:
    path = Path(repository).expanduser()
    return path.resolve() if repository and path.is_dir() else None


def _address(repository: str, spec: str) -> str:
    if _SCP.match(repository):
        return repository
    parts = urlsplit(repository)
    if parts.scheme not in {"https", "http", "ssh", "git", "file"}:
        form = "write git:FOLDER#REF or git:https://example.org/handbook.git#REF:FOLDER"
        raise InvalidSource(f"{spec!r} names neither a folder nor the address of a repository; {form}")
    if parts.password or (parts.username and parts.scheme != "ssh"):
        raise InvalidSource("the address of a repository carries credentials; keep them in a credential helper of git")
    return repository.rstrip("/")
