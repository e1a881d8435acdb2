"""Parses files that were uploaded: in child processes, which are kept for as long as uploads follow each other."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from indexer.sources.base import ReadError
from indexer.sources.formats import SUFFIXES, holds_many, read_whole
from indexer.sources.kinds import MEDIA_TYPES
from indexer.sources.rows import check_columns, read_records
from indexer.sources.sandbox import Sandbox
from winnow.core.documents import MAX_TITLE_CHARS
from winnow.core.errors import InvalidSource
from winnow.core.types import FieldType
from winnow.ports import FileItem, UploadedFile
from winnow.ports.source import Failure

IDLE_SECONDS: Final = 30.0  # for which a child without work is kept

_FORMATS: Final = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))


class UploadParser:
    """Parses uploaded files, each in a process with limits on memory and time.

    Args:
        parallel: how many files are parsed at a time; others wait.
    """

    def __init__(self, parallel: int = 2) -> None:
        self._room = asyncio.Semaphore(parallel)
        self._idle: list[Sandbox] = []
        self._closing: asyncio.TimerHandle | None = None

    async def parse(self, file: UploadedFile, *, fields: Mapping[str, FieldType], max_chars: int) -> list[FileItem]:
        """As the port says."""
        async with self._room:
            sandbox = self._idle.pop() if self._idle else Sandbox()
            parsing = asyncio.ensure_future(asyncio.to_thread(_items, file, sandbox, fields, max_chars))
            try:
                return await asyncio.shield(parsing)
            except asyncio.CancelledError:
                sandbox.kill()  # the thread still reads the file: it ends now, and the file may be closed after it
                await asyncio.wait([parsing])
                raise
            finally:
                self._idle.append(sandbox)
                self._close_later()

    async def close(self) -> None:
        """End the child processes."""
        if self._closing is not None:
            self._closing.cancel()
        await asyncio.to_thread(self._close_idle)

    def _close_later(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._closing = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()


def _items(file: UploadedFile, sandbox: Sandbox, fields: Mapping[str, FieldType], max_chars: int) -> list[FileItem]:
    try:
        suffix = _suffix_of(file)
        with tempfile.TemporaryDirectory(prefix="winnow-") as folder:
            path = Path(folder, f"upload{suffix}")
            with path.open("wb") as copy:
                shutil.copyfileobj(file.content, copy)
            if holds_many(path):
                check_columns(file.columns)
                return list(_rows(path, file, sandbox, fields))
            charset = file.content_type.lower().partition("charset=")[2].strip(" \"';")
            raw = read_whole(path, suffix, sandbox=sandbox, max_chars=max_chars, charset=charset)
    except (ReadError, InvalidSource) as error:
        return [FileItem(code=error.code, message=error.message)]
    raw["title"] = (raw["title"] or PurePosixPath(file.name).stem)[:MAX_TITLE_CHARS]
    return [FileItem(raw)]


def _rows(path: Path, file: UploadedFile, sandbox: Sandbox, fields: Mapping[str, FieldType]) -> Iterator[FileItem]:
    for item in read_records(path, file.name, file.row_id, sandbox=sandbox, columns=file.columns, fields=fields):
        match item:
            case Failure():
                yield FileItem(row=item.source, code=item.code, message=item.message)
            case (where, raw):
                yield FileItem(raw, where)


def _suffix_of(file: UploadedFile) -> str:
    """The suffix of a format that is read: the named one, that of the file's name, or that of its media type."""
    if file.format:
        suffix = f".{file.format.lower()}"
    else:
        suffix = PurePosixPath(file.name).suffix.lower()
        if suffix not in SUFFIXES:
            suffix = MEDIA_TYPES.get(file.content_type.partition(";")[0].strip().lower(), suffix)
    if suffix not in SUFFIXES:
        raise ReadError(
            "unknown_type", f"files of the type {suffix or 'without a suffix'} are not read; {_FORMATS} are"
        )
    return suffix
