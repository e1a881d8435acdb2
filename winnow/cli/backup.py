"""``winnow backup`` and ``winnow restore``: an embedded installation as a file, and back."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import zstandard
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from winnow.cli.access import hosting, reach
from winnow.cli.console import err, note, print_json
from winnow.cli.remote import Client
from winnow.cli.verify import show, verify
from winnow.core.errors import InvalidSource, StorageFailure
from winnow.core.lock import DirectoryLock
from winnow.core.settings import Settings
from winnow.operations.archive import CATALOG, VECTORS, Manifest, read_folder, unpack, write_manifest
from winnow.operations.sqlite_copy import check_database
from winnow.runtime import configure_logging, open_local, settings_for

SUFFIX: Final = ".tar.zst"
PART: Final = "~part"
STAGING: Final = "~restoring"
LOCK: Final = "winnow.lock"
IGNORED: Final = {LOCK, STAGING, "lost+found"}
COPY_SECONDS: Final = 3600.0  # longest wait for the service's own copy, before the first byte


def run_backup(target: Path, *, url: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Write a backup to ``target``; it has its name only once it is complete and was read back."""
    if target.exists():
        raise InvalidSource(f"{target} exists; name a file or folder that does not")
    settings = settings_for(data_dir)
    configure_logging(settings, quiet=True)
    part = target.with_name(target.name + PART)
    _remove(part)
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(_ask(settings, url, part))
        manifest = finish(part, target)
    except BaseException:
        _remove(part)
        raise
    _report(manifest, target, as_json)


async def _ask(settings: Settings, url: str | None, part: Path) -> None:
    async with reach(settings, url) as client:
        note("the service makes a copy; searches and uploads go on, indexing waits for it")
        await fetch(client, part)


async def fetch(client: Client, part: Path) -> None:
    """Have the service copy everything, and write the stream, compressed, to ``part``; it is not checked yet."""
    async with client.stream("POST", "/v1/backup", {}, silence=COPY_SECONDS) as response:
        await _write(response, part)


async def _write(response: aiohttp.ClientResponse, part: Path) -> None:
    total = int(response.headers["X-Winnow-Backup-Bytes"])
    compressor = zstandard.ZstdCompressor(level=3, threads=-1, write_checksum=True)
    with _bar("writing", total) as advance, part.open("wb") as file:
        with compressor.stream_writer(file, closefd=False) as packed:
            async for piece in response.content.iter_any():
                await asyncio.to_thread(packed.write, piece)
                advance(len(piece))
        file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())


def finish(part: Path, target: Path) -> Manifest:
    """Read the written file back, and give it, or the folder that it becomes, its name."""
    if target.name.endswith(SUFFIX):
        manifest = _read(part, None)
        part.rename(target)
    else:
        folder = target.with_name(target.name + PART + "-folder")
        _remove(folder)
        folder.mkdir()
        try:
            manifest = _read(part, folder)
            write_manifest(manifest, folder)
            folder.rename(target)
        finally:
            _remove(folder)
        part.unlink()
    _sync(target.parent)
    return manifest


def _read(source: Path, folder: Path | None) -> Manifest:
    try:
        with source.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as archive:
            return unpack(archive, folder)
    except zstandard.ZstdError as error:
        raise InvalidSource(f"it is no whole backup: {error}") from error


def run_restore(source: Path, *, data_dir: Path, as_json: bool) -> int:
    """Make a data directory out of a backup and verify it; returns 0 if it is sound, else 1."""
    if not source.exists():
        raise InvalidSource(f"{source} does not exist")
    settings = settings_for(data_dir)
    configure_logging(settings, quiet=True)
    with DirectoryLock(data_dir / LOCK):
        manifest = place(source, data_dir)
    reports = asyncio.run(_verify(settings))
    if as_json:
        print_json({**_facts(manifest, data_dir), "collections": reports})
    else:
        note(f"restored {data_dir} as of {manifest.created_at}: {manifest.size / 2**20:,.1f} MiB")
        for report in reports:
            show(report)
    return 0 if all(report["sound"] for report in reports) else 1


def place(source: Path, data_dir: Path) -> Manifest:
    """Unpack beside, check everything, and only then move it into its place, the catalog last."""
    staging = data_dir / STAGING
    if staging.exists() and not (data_dir / CATALOG).exists():
        _remove(data_dir / VECTORS)  # of a restore that was cut short on its last step
    present = sorted(entry.name for entry in data_dir.iterdir() if entry.name not in IGNORED)
    if present:
        raise InvalidSource(f"{data_dir} is not empty, it holds {present[0]!r}; name a directory that does not exist")
    _remove(staging)
    staging.mkdir()
    try:
        note(f"checking {source}")
        manifest = read_folder(source, staging) if source.is_dir() else _read(source, staging)
        check_database(staging / CATALOG)
        for folder in (path for path in staging.rglob("*") if path.is_dir()):
            _sync(folder)
        for name in (VECTORS, CATALOG):
            with suppress(FileNotFoundError):  # without a collection there are no vectors
                (staging / name).rename(data_dir / name)
                _sync(data_dir)
    except (InvalidSource, StorageFailure) as error:
        raise type(error)(f"{source} cannot be restored: {error.message}") from error
    finally:
        _remove(staging)
    return manifest


async def _verify(settings: Settings) -> list[dict[str, Any]]:
    """Verify without a worker: what waits in the backup is left to the service that is started next."""
    async with open_local(settings) as local, hosting(local) as client:
        return await verify(client, None, repair=False)


def _report(manifest: Manifest, target: Path, as_json: bool) -> None:
    facts = _facts(manifest, target)
    if as_json:
        print_json(facts)
    else:
        stored = facts["stored_bytes"] / 2**20
        note(f"{target}: {facts['files']} files, {manifest.size / 2**20:,.1f} MiB, {stored:,.1f} MiB stored; read back")


def _facts(manifest: Manifest, path: Path) -> dict[str, Any]:
    stored = path.stat().st_size if path.is_file() else manifest.size
    return {
        "path": str(path),
        "created_at": manifest.created_at,
        "versions": dict(manifest.versions),
        "files": len(manifest.files),
        "bytes": manifest.size,
        "stored_bytes": stored,
    }


@contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err(), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda size: progress.advance(task, size)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Bring a folder's entries to stable storage."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
