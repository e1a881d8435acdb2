"""``winnow backup`` and ``winnow restore``: an embedded installation as a file, and back."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winnow.cli.command import ask, configure, hosting, run_loop
from winnow.cli.console import note, print_json, progress_bar
from winnow.cli.options import DataDir, Json, Url
from winnow.cli.verify import show_report, verify_collections
from winnow.core.errors import InvalidSource, StorageFailure
from winnow.core.text import counted

if TYPE_CHECKING:
    from winnow.cli.remote import Client
    from winnow.core.settings import Settings
    from winnow.operations.archive import Manifest

SUFFIX: Final = ".tar.zst"
PART: Final = "~part"
STAGING: Final = "~restoring"
COPY_SECONDS: Final = 3600.0  # longest wait for the service's own copy, before the first byte


def backup(
    target: Annotated[Path, typer.Argument(help="A new file (ending in .tar.zst) or folder.", metavar="FILE|DIR")],
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Copy an embedded installation. A running service goes on with searches and uploads meanwhile.

    The file gets its name only after it was read back completely.
    """
    if target.exists():
        raise InvalidSource(f"{target} exists already: name a new file or folder")
    settings = configure(data_dir)
    part = target.with_name(target.name + PART)
    _remove(part)
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        ask(lambda client: fetch(client, part), url, settings)
        manifest = finish(part, target)
    except BaseException:
        _remove(part)
        raise
    facts = _facts(manifest, target)
    if json:
        print_json(facts)
    else:
        sizes = f"{manifest.size / 2**20:,.1f} MiB, {facts['stored_bytes'] / 2**20:,.1f} MiB stored"
        note(f"{target}: {counted(facts['files'], 'file')}, {sizes}; read back without errors")


async def fetch(client: Client, part: Path) -> None:
    """Have the service copy everything and write the compressed stream to ``part``; it is not checked yet."""
    from asyncio import to_thread

    import zstandard

    note("the service makes a copy; searches and uploads continue, indexing pauses")
    async with client.stream("POST", "/v1/backup", {}, silence=COPY_SECONDS) as response:
        total = int(response.headers["X-Winnow-Backup-Bytes"])
        compressor = zstandard.ZstdCompressor(level=3, threads=-1, write_checksum=True)
        with progress_bar("writing", total=total, in_bytes=True) as show, part.open("wb") as file:
            written = 0
            with compressor.stream_writer(file, closefd=False) as packed:
                async for piece in response.content.iter_any():
                    await to_thread(packed.write, piece)
                    written += len(piece)
                    show(written)
            file.flush()
            await to_thread(os.fsync, file.fileno())


def finish(part: Path, target: Path) -> Manifest:
    """Read the written file back and give it, or the folder that it becomes, its name."""
    from winnow.operations.archive import write_manifest

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
    import zstandard

    from winnow.operations.archive import unpack

    try:
        with source.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as archive:
            return unpack(archive, folder)
    except zstandard.ZstdError as error:
        raise InvalidSource(f"not a complete backup: {error}") from error


def restore(
    source: Annotated[Path, typer.Argument(help="A backup that winnow backup wrote.", metavar="FILE|DIR")],
    data_dir: Annotated[Path, typer.Option("--data-dir", help="The data directory to create.")],
    json: Json = False,
) -> None:
    """Create a data directory from a backup: check every byte first, then place it and verify it."""
    from winnow.core.lock import LOCK_FILE, DirectoryLock

    if not source.exists():
        raise InvalidSource(f"{source} does not exist")
    settings = configure(data_dir)
    with DirectoryLock(data_dir / LOCK_FILE):
        manifest = place(source, data_dir)
    reports = run_loop(_verify(settings))
    if json:
        print_json({**_facts(manifest, data_dir), "collections": reports})
    else:
        note(f"restored {data_dir} as of {manifest.created_at}: {manifest.size / 2**20:,.1f} MiB")
        for report in reports:
            show_report(report)
    raise typer.Exit(0 if all(report["sound"] for report in reports) else 1)


def place(source: Path, data_dir: Path) -> Manifest:
    """Unpack into a staging folder, check everything, and only then move it into place, the catalog last."""
    from winnow.core.disk_reserve import RESERVE_FILE
    from winnow.core.lock import LOCK_FILE
    from winnow.operations.archive import CATALOG, VECTORS, check_database, read_folder

    staging = data_dir / STAGING
    if staging.exists() and not (data_dir / CATALOG).exists():
        _remove(data_dir / VECTORS)  # of a restore that was cut short on its last step
    present = sorted({entry.name for entry in data_dir.iterdir()} - {LOCK_FILE, RESERVE_FILE, STAGING, "lost+found"})
    if present:
        raise InvalidSource(f"{data_dir} is not empty (it holds {present[0]!r}): name a new directory")
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
    """Verify without a worker: pending work of the backup is left to the next service."""
    from winnow.runtime import open_local

    async with open_local(settings) as local, hosting(local) as client:
        return await verify_collections(client, None, repair=False)


def _facts(manifest: Manifest, path: Path) -> dict[str, Any]:
    return {
        "path": str(path),
        "created_at": manifest.created_at,
        "versions": dict(manifest.versions),
        "files": len(manifest.files),
        "bytes": manifest.size,
        "stored_bytes": path.stat().st_size if path.is_file() else manifest.size,
    }


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
