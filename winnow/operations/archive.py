"""The format of a backup: files, followed by a manifest that lists each with size and SHA-256.

::

    winnow.db        the catalog
    vectors/…        the indexes
    manifest.json    {"format": 1, "created_at", "versions": {…}, "files": {path: {"size", "sha256"}}}

It is sent as a tar (POSIX, stored as ``.tar.zst``). The manifest comes last, so a truncated backup has none.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

import orjson

from winnow.core.errors import InvalidSource, StorageFailure

FORMAT: Final = 1
CATALOG: Final = "winnow.db"
VECTORS: Final = "vectors"
MANIFEST: Final = "manifest.json"
PIECE: Final = 1 << 16
MAX_MANIFEST: Final = 64 << 20

_END: Final = bytes(2 * tarfile.BLOCKSIZE)
_ZEROS: Final = bytes(PIECE)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Size in bytes and SHA-256 in hex of one file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a backup by path, with the time and the versions that made it."""

    created_at: str
    versions: Mapping[str, str]
    files: Mapping[str, FileFacts]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(facts.size for facts in self.files.values())


def files_of(folder: Path) -> list[str]:
    """Paths of all files below ``folder``, relative and sorted."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def pack(folder: Path) -> Iterator[bytes]:
    """Yield the files of ``folder`` and then the manifest as a tar, piece by piece."""
    facts: dict[str, FileFacts] = {}
    for name in files_of(folder):
        digest, size = hashlib.sha256(), (folder / name).stat().st_size
        yield _header(name, size)
        with (folder / name).open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
                yield piece
        yield _padding(size)
        facts[name] = FileFacts(size, digest.hexdigest())
    manifest = Manifest(datetime.now(UTC).isoformat(timespec="seconds"), _versions(), facts)
    body = _dump(manifest)
    yield _header(MANIFEST, len(body)) + body + _padding(len(body)) + _END


def unpack(archive: IO[bytes], folder: Path | None) -> Manifest:
    """Read a tar, write its files durably below ``folder`` (``None``: only read it), and check all of it.

    Raises:
        InvalidSource: the tar is truncated or damaged, has other members than a backup, or a later format.
    """
    found: dict[str, FileFacts] = {}
    manifest: Manifest | None = None
    try:
        with tarfile.open(fileobj=archive, mode="r|") as tar:
            for member in tar:
                content = tar.extractfile(member)
                if content is None or manifest is not None:
                    raise InvalidSource(f"{member.name[:80]!r} has no place in a backup")
                if member.name == MANIFEST:
                    manifest = _parse(content.read(MAX_MANIFEST))
                else:
                    found[member.name] = take(member.name, content, folder)
    except tarfile.TarError as error:
        raise InvalidSource(f"it is not a complete backup: {error}") from error
    return check(manifest, found)


def read_folder(source: Path, folder: Path) -> Manifest:
    """Copy an unpacked backup durably to ``folder``, and check all of it; raises as ``unpack`` does."""
    found: dict[str, FileFacts] = {}
    manifest = _parse((source / MANIFEST).read_bytes()) if (source / MANIFEST).exists() else None
    for name in files_of(source):
        if name != MANIFEST:
            with (source / name).open("rb") as content:
                found[name] = take(name, content, folder)
    return check(manifest, found)


def take(name: str, content: IO[bytes], folder: Path | None) -> FileFacts:
    """Copy one file durably below ``folder``; returns the size and the hash of the data that was read."""
    parts = PurePosixPath(name).parts
    if parts != (CATALOG,) and (len(parts) < 2 or parts[0] != VECTORS or ".." in parts):
        raise InvalidSource(f"{name[:80]!r} has no place in a backup")
    digest, size = hashlib.sha256(), 0
    target = Path(os.devnull) if folder is None else folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        while piece := content.read(PIECE):
            digest.update(piece)
            size += len(piece)
            _write_or_skip(file, piece)
        if folder is not None:
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
    return FileFacts(size, digest.hexdigest())


def copy_file(source: str, target: str) -> str:
    """Copy one file without its holes: the engine reserves space that it does not use yet."""
    with Path(source).open("rb") as content, Path(target).open("wb") as file:
        while piece := content.read(PIECE):
            _write_or_skip(file, piece)
        file.truncate()
    return target


def _write_or_skip(file: IO[bytes], piece: bytes) -> None:
    """Write ``piece``, or leave a hole of its length if it holds only zeros; ``truncate`` must end the file."""
    if piece == _ZEROS[: len(piece)]:
        file.seek(len(piece), os.SEEK_CUR)
    else:
        file.write(piece)


def copy_database(source: Path, target: Path) -> None:
    """Copy one state of a database that may be in use to a new file, with SQLite's online backup.

    Raises:
        StorageFailure: SQLite cannot read the source or write the target.
    """
    try:
        with closing(_open(source)) as database, closing(sqlite3.connect(target)) as copy:
            database.backup(copy)  # all pages in one step: in several steps, every write would restart it
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, with no log beside it
    except sqlite3.Error as error:
        raise StorageFailure(f"cannot copy the catalog {source}: {error}") from error


def check_database(path: Path) -> None:
    """Raise ``StorageFailure`` unless SQLite finds every page of the database in order."""
    try:
        with closing(_open(path)) as database:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise StorageFailure(f"the catalog {path} cannot be read: {error}") from error
    if verdict != "ok":
        raise StorageFailure(f"the catalog {path} is damaged: {verdict}")


def check(manifest: Manifest | None, found: Mapping[str, FileFacts]) -> Manifest:
    """Return the manifest if the files are exactly those that it lists, else raise ``InvalidSource``."""
    if manifest is None:
        raise InvalidSource("it has no manifest: it is incomplete, or not a backup")
    names = manifest.files.keys() | found.keys()
    wrong = sorted(name for name in names if manifest.files.get(name) != found.get(name))
    if wrong:
        raise InvalidSource(f"{len(wrong)} of its files are not what its manifest says, {wrong[0]!r} first")
    if CATALOG not in found:
        raise InvalidSource("it holds no catalog")
    return manifest


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Put the manifest beside the files of an unpacked backup."""
    (folder / MANIFEST).write_bytes(_dump(manifest))


def _dump(manifest: Manifest) -> bytes:
    return orjson.dumps({"format": FORMAT, **asdict(manifest)}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def _parse(body: bytes) -> Manifest:
    try:
        content: dict[str, Any] = orjson.loads(body)
        number = content.pop("format")
        if number != FORMAT:
            raise InvalidSource(f"it has form {number}, this version reads form {FORMAT}; use a newer Winnow")
        files = {name: FileFacts(**facts) for name, facts in content.pop("files").items()}
        return Manifest(files=files, **content)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise InvalidSource("its manifest cannot be read") from error


def _versions() -> dict[str, str]:
    found = {}
    for name in ("winnow-search", "qdrant-edge-py"):
        with suppress(PackageNotFoundError):  # run from a checkout that is not installed
            found[name] = version(name)
    return found


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o600
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
