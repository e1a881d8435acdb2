"""``winnow doctor``: a check-up that probes every configured part and says what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

from rich.markup import escape
from rich.table import Table

from winnow.cli.console import out, print_json
from winnow.core.errors import DataDirectoryLocked, IdentityMismatch, WinnowError
from winnow.core.lock import DirectoryLock
from winnow.core.settings import Settings
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.operations.probes import ProbeReport, probe_embedder, probe_reranker
from winnow.operations.resources import Resources
from winnow.runtime import open_resources, settings_for

PARTS: Final = ("winnow-search", "qdrant-edge-py", "torch", "sentence-transformers", "transformers", "vllm", "fastapi")
MIN_FREE_GB: Final = 1.0
READY_SECONDS: Final = 15.0
SQLITE_FIXED: Final = (3, 51, 3)
MARKS: Final = {
    "ok": "[green]✓[/green]",
    "skipped": "[dim]-[/dim]",
    "warning": "[yellow]![/yellow]",
    "failed": "[red]✗[/red]",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One probe: ``ok``, ``skipped``, ``warning`` or ``failed``, with what was found and what to do about it."""

    name: str
    status: str
    detail: str
    fix: str = ""


def run(*, data_dir: Path | None, as_json: bool) -> int:
    """Probe and print; the exit status is 1 if anything failed."""
    settings = settings_for(data_dir)
    checks = [_versions(), _sqlite(settings), _disk(settings)]
    checks += asyncio.run(_probe(settings))
    if as_json:
        print_json({"settings": settings.model_dump(mode="json"), "checks": [asdict(check) for check in checks]})
    else:
        _show(settings, checks)
    return 1 if any(check.status == "failed" for check in checks) else 0


async def _probe(settings: Settings) -> list[Check]:
    if not settings.keeps_data:
        return await _probe_parts(settings)
    try:
        lock = DirectoryLock(settings.data_dir / "winnow.lock")
    except DataDirectoryLocked as error:
        return await asyncio.to_thread(_ask_owner, error)
    with lock:
        return [Check("data directory", "ok", str(settings.data_dir.resolve())), *await _probe_parts(settings)]


async def _probe_parts(settings: Settings) -> list[Check]:
    try:
        async with open_resources(settings) as resources:
            return await _probe_resources(resources)
    except WinnowError as error:
        return [Check("start", "failed", error.message)]


def _ask_owner(owner: DataDirectoryLocked) -> list[Check]:
    """What the process that holds the data directory says of its own parts."""
    in_use = Check("data directory", "ok" if owner.url else "warning", f"in use by process {owner.pid}")
    if not owner.url:
        return [replace(in_use, detail=f"{in_use.detail}, which serves nothing: stop it to have the models probed")]
    checks = [replace(in_use, detail=f"{in_use.detail}, which serves {owner.url} and was asked how it is")]
    request = f"{owner.url}/readyz"
    try:
        with urlopen(request, timeout=READY_SECONDS) as response:  # noqa: S310 - the address out of our own lock file
            readiness = json.load(response)
    except HTTPError as error:
        readiness = json.load(error)
    except (OSError, ValueError) as error:
        return [*checks, Check("server", "failed", f"{request} does not answer: {error}")]
    parts = readiness.get("checks") or {}
    if not parts:
        return [*checks, Check("server", "warning", f"{readiness.get('status', 'it is starting')}")]
    return checks + [
        Check(f"server: {name}", part["status"], part["reason"] or f"looked at {part['age_s']:.0f} s ago")
        for name, part in parts.items()
    ]


async def _probe_resources(resources: Resources) -> list[Check]:
    probes: list[tuple[str, Callable[[Resources], Awaitable[str]]]] = [
        ("catalog", _catalog),
        ("vectors", _vectors),
        ("collections", _collections),
    ]
    checks = [await _check(name, probe, resources) for name, probe in probes]
    checks += _of_report(await probe_embedder(resources.uncached or resources.embedder))
    if resources.reranker is None:
        return [*checks, Check("reranker", "skipped", "none is configured: answers carry retrieval scores")]
    return checks + _of_report(await probe_reranker(resources.reranker))


async def _check(name: str, probe: Callable[[Resources], Awaitable[str]], resources: Resources) -> Check:
    began = time.perf_counter()
    try:
        detail = await probe(resources)
    except WinnowError as error:
        return Check(name, "failed", error.message)
    return Check(name, "ok", f"{detail} ({(time.perf_counter() - began) * 1000:.0f} ms)")


def _of_report(report: ProbeReport) -> list[Check]:
    """The model on a line of its own, then each finding."""
    status = "failed" if report.failed else "ok"
    found = [Check(f"{report.part}: {each.check}", each.status, each.seen, each.fix) for each in report.findings]
    return [Check(report.part, status, f"{report.model} ({report.provider})"), *found]


async def _catalog(resources: Resources) -> str:
    await resources.catalog.check()
    return f"{await resources.catalog.queue.backlog():,} documents wait for the indexer"


async def _vectors(resources: Resources) -> str:
    await resources.store.check()
    return f"{resources.store.engine}, {len(await resources.store.indexes())} indexes"


async def _collections(resources: Resources) -> str:
    """Every collection must fit the configured models; all that do not are named."""
    found = await resources.catalog.collections.list()
    mismatches = []
    for collection in found:
        try:
            await ensure_collection(resources, collection.name, CollectionSpec())
        except IdentityMismatch as error:
            mismatches.append(error.message)
    if mismatches:
        raise IdentityMismatch("\n".join(mismatches))
    return f"{len(found)} fit the configured models"


def _versions() -> Check:
    found = [f"{name} {installed}" for name in PARTS if (installed := _version(name))]
    return Check("versions", "ok", f"Python {platform.python_version()}, {', '.join(found)}, {os.cpu_count()} cores")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None  # an extra that is not installed


def _sqlite(settings: Settings) -> Check:
    if not settings.catalog_url.startswith("sqlite"):
        return Check("sqlite", "ok", "not used")
    if sqlite3.sqlite_version_info < SQLITE_FIXED:
        wanted = ".".join(map(str, SQLITE_FIXED))
        return Check(
            "sqlite",
            "ok",
            f"{sqlite3.sqlite_version}; before {wanted} two processes that reset the write-ahead log at once could "
            "corrupt it, which one process alone (as here, under a lock) does not do",
        )
    return Check("sqlite", "ok", sqlite3.sqlite_version)


def _disk(settings: Settings) -> Check:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.data_dir).free / 1e9
    if free < MIN_FREE_GB:
        return Check("disk", "failed", f"{free:.1f} GB free under {settings.data_dir}; make room")
    return Check("disk", "ok", f"{free:.0f} GB free")


def _show(settings: Settings, checks: list[Check]) -> None:
    console = out()
    values = Table(box=None, show_header=False, title="Settings in force", title_justify="left", title_style="bold")
    for group, value in settings.model_dump(mode="json").items():
        for key, item in value.items() if isinstance(value, dict) else [("", value)]:
            values.add_row(f"{group}{'.' if key else ''}{key}", escape(str(item)))
    console.print(values)
    table = Table(box=None, show_header=False, title="Checks", title_justify="left", title_style="bold")
    for check in checks:
        detail = escape(check.detail) + (f"\n[bold]→ {escape(check.fix)}[/bold]" if check.fix else "")
        table.add_row(MARKS[check.status], check.name, detail)
    console.print(table)
