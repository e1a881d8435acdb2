"""``winnow doctor``: probes of every configured part, with findings and remedies."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

import typer
from rich.markup import escape
from rich.table import Table

from winnow.cli.command import run_loop
from winnow.cli.console import out, print_json
from winnow.cli.options import DataDir, Json
from winnow.core.cores import usable_cores
from winnow.core.errors import DataDirectoryLocked, IdentityMismatch, WinnowError
from winnow.core.text import counted
from winnow.core.unwritable import unwritable

if TYPE_CHECKING:
    from winnow.core.settings import Settings
    from winnow.operations.probes import ProbeReport
    from winnow.operations.resources import Resources
    from winnow.ports import Reranker, VectorStore
    from winnow.search.embedders import Embedders

PARTS: Final = ("winnow-search", "qdrant-edge-py", "torch", "sentence-transformers", "transformers", "vllm", "fastapi")
MIN_FREE_GB: Final = 1.0
READY_SECONDS: Final = 15.0
SQLITE_FIXED: Final = (3, 51, 3)
MARKS: Final = {"ok": "[green]✓[/]", "skipped": "[dim]-[/]", "warning": "[yellow]![/]", "failed": "[red]✗[/]"}


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One probe: its status (``ok``, ``skipped``, ``warning`` or ``failed``), the finding and the remedy."""

    name: str
    status: str
    detail: str
    fix: str = ""


def doctor(data_dir: DataDir = None, json: Json = False) -> None:
    """Probe every configured part, print the settings in force, name problems and remedies."""
    from winnow.core.settings import load_settings

    settings = load_settings(**({} if data_dir is None else {"data_dir": data_dir}))
    checks = [_versions(), _sqlite(settings), _disk(settings), _parsers(), *_plug_ins()]
    checks += run_loop(_probe(settings))
    if json:
        print_json({"settings": settings.model_dump(mode="json"), "checks": [asdict(check) for check in checks]})
    else:
        _show(settings, checks)
    raise typer.Exit(1 if any(check.status == "failed" for check in checks) else 0)


async def _probe(settings: Settings) -> list[DoctorCheck]:
    from asyncio import to_thread

    from winnow.runtime import lock_data, open_resources

    try:
        with lock_data(settings) as lock:
            own = [] if lock is None else [DoctorCheck("data directory", "ok", str(settings.data_dir.resolve()))]
            try:
                async with open_resources(settings) as resources:
                    return [*own, *await _probe_resources(resources)]
            except WinnowError as error:
                return [*own, DoctorCheck("start", "failed", error.message), *await _probe_apart(settings)]
    except DataDirectoryLocked as error:
        return await to_thread(_ask_owner, error)


async def _probe_apart(settings: Settings) -> list[DoctorCheck]:
    """The parts that can be opened without the one that the start failed at; none where that is one of them."""
    from winnow.runtime import open_apart

    try:
        async with open_apart(settings) as (store, embedders, reranker):
            return [await _check("vectors", _store(store)), *await _models(embedders, reranker)]
    except WinnowError:
        return []


def _ask_owner(owner: DataDirectoryLocked) -> list[DoctorCheck]:
    """Ask the process that owns the data directory for the health of its parts."""
    import json
    from urllib.error import HTTPError
    from urllib.request import urlopen

    in_use = DoctorCheck("data directory", "ok" if owner.url else "warning", f"in use by process {owner.pid}")
    if not owner.url:
        return [replace(in_use, detail=f"{in_use.detail}, which does not serve HTTP: stop it to probe the models")]
    checks = [replace(in_use, detail=f"{in_use.detail}, which serves {owner.url} and reports:")]
    request = f"{owner.url}/readyz"
    try:
        with urlopen(request, timeout=READY_SECONDS) as response:  # noqa: S310 - the address out of our own lock file
            readiness = json.load(response)
    except HTTPError as error:
        readiness = json.load(error)
    except (OSError, ValueError) as error:
        return [*checks, DoctorCheck("server", "failed", f"{request} does not answer: {error}")]
    parts = readiness.get("checks") or {}
    if not parts:
        return [*checks, DoctorCheck("server", "warning", str(readiness.get("status", "starting")))]
    return checks + [
        DoctorCheck(f"server: {name}", part["status"], part["reason"] or f"checked {part['age_s']:.0f} s ago")
        for name, part in parts.items()
    ]


async def _probe_resources(resources: Resources) -> list[DoctorCheck]:
    probes = (("catalog", _catalog), ("vectors", _vectors), ("collections", _collections))
    checks = [await _check(name, probe(resources)) for name, probe in probes]
    checks += await _lost(resources)
    checks += await _unowned(resources)
    checks += await _workers(resources)
    return checks + await _models(resources.embedders, resources.reranker)


async def _models(embedders: Embedders, reranker: Reranker | None) -> list[DoctorCheck]:
    from winnow.operations.probes import probe_embedder, probe_reranker
    from winnow.search.query_cache import uncached

    checks = []
    for embedder in embedders:
        checks += _of_report(await probe_embedder(uncached(embedder)))
    if reranker is None:
        return [*checks, DoctorCheck("reranker", "skipped", "not configured: results have retrieval scores only")]
    return checks + _of_report(await probe_reranker(reranker))


async def _check(name: str, probe: Awaitable[str]) -> DoctorCheck:
    began = time.perf_counter()
    try:
        detail = await probe
    except WinnowError as error:
        return DoctorCheck(name, "failed", error.message)
    return DoctorCheck(name, "ok", f"{detail} ({(time.perf_counter() - began) * 1000:.0f} ms)")


def _of_report(report: ProbeReport) -> list[DoctorCheck]:
    """The model on a line of its own, then each finding."""
    status = "failed" if report.failed else "ok"
    found = [DoctorCheck(f"{report.part}: {each.check}", each.status, each.seen, each.fix) for each in report.findings]
    where = f" at {', '.join(report.addresses)}" if report.addresses else ""
    return [DoctorCheck(report.part, status, f"{report.model} ({report.provider}{where})"), *found]


async def _catalog(resources: Resources) -> str:
    await resources.catalog.check()
    return f"{counted(await resources.catalog.queue.backlog(), 'document')} pending"


async def _workers(resources: Resources) -> list[DoctorCheck]:
    """Whether a worker runs; nothing is said where this process's own would do the work."""
    from winnow.operations.missing_worker import missing_worker

    if resources.settings.keeps_data:
        return []
    try:
        missing = await missing_worker(resources)
    except WinnowError as error:
        return [DoctorCheck("workers", "failed", error.message)]
    if missing is None:
        return [DoctorCheck("workers", "ok", "no document waits for one")]
    found, _, fix = missing.partition(": ")
    return [DoctorCheck("workers", "warning", found, fix)]


async def _vectors(resources: Resources) -> str:
    return await _store(resources.store)


async def _store(store: VectorStore) -> str:
    from winnow.core.types import IndexRef

    await store.check()
    # a write that changes nothing, since names of indexes end in a part of a uid: a key that may only read is refused
    await store.drop(IndexRef("winnow-doctor"))
    return f"{store.engine}, {counted(len(await store.indexes()), 'index')}"


async def _lost(resources: Resources) -> list[DoctorCheck]:
    """Name indexes that are missing or damaged, and those that are being filled again."""
    from winnow.operations.index_watch import IndexWatch

    try:
        found = await IndexWatch(resources, heals=False).look()
    except WinnowError:  # as below
        return []
    fix = "winnow serve and winnow worker fill it from the catalog again, and so does winnow verify --repair"
    return [DoctorCheck(f"index of {name}", "failed", seen, fix) for name, seen in found.items()]


async def _unowned(resources: Resources) -> list[DoctorCheck]:
    """Name indexes that no collection owns. Where one process owns everything, they are dropped at start."""
    from winnow.operations.unowned import unowned_indexes

    try:
        found = await unowned_indexes(resources.catalog, resources.store)
    except WinnowError:  # reported by the check of catalog or vectors
        return []
    if not found:
        return []
    names = ", ".join(f"{ref.collection} (generation {ref.generation})" for ref in found)
    seen = f"{counted(len(found), 'index')} that no collection of this catalog owns: {names}"
    fix = "delete them: winnow collections prune, unless another installation uses this WINNOW_VECTORS__PREFIX"
    return [DoctorCheck("unowned indexes", "warning", seen, fix)]


async def _collections(resources: Resources) -> str:
    """Name every collection that does not fit the configured models."""
    from winnow.core.principal import LOCAL
    from winnow.operations.collections import CollectionSpec, ensure_collection

    found = await resources.catalog.collections.list()
    mismatches = []
    for collection in found:
        try:
            await ensure_collection(resources, LOCAL, collection.name, CollectionSpec())
        except IdentityMismatch as error:
            mismatches.append(error.message)
    if mismatches:
        raise IdentityMismatch("\n".join(mismatches))
    return f"{counted(len(found), 'collection')} built with the configured models"


def _versions() -> DoctorCheck:
    from importlib.metadata import PackageNotFoundError, version

    found = [f"Python {platform.python_version()}"]
    for name in PARTS:
        with suppress(PackageNotFoundError):  # an extra that is not installed
            found.append(f"{name} {version(name)}")
    return DoctorCheck("versions", "ok", f"{', '.join(found)}, {counted(usable_cores(), 'core')}")


def _parsers() -> DoctorCheck:
    """Whether the process in which files of strangers are parsed starts, and whether it has a network."""
    from indexer.sources.base import ReadError
    from indexer.sources.sandbox import Sandbox

    try:
        with Sandbox() as sandbox:
            held = sandbox.confined_by()
    except ReadError as error:
        return DoctorCheck("parsers", "failed", error.message)
    if held:
        return DoctorCheck("parsers", "ok", f"have no network, by {' and '.join(held)}")
    fix = "allow user namespaces or seccomp filters to this user, or index files of strangers where there is no network"
    return DoctorCheck("parsers", "warning", "files are parsed in a process that can use the network", fix)


def _plug_ins() -> list[DoctorCheck]:
    """Name the sources of other packages, and those among them that cannot be loaded."""
    from indexer.sources.build import OWN_SCHEMES
    from indexer.sources.plug_ins import found_plug_ins

    checks = []
    for scheme, found in found_plug_ins().items():
        packages = ", ".join(f"{each.dist.name} {each.dist.version}" for each in found if each.dist)
        name, fix = f"source {scheme}:", f"update or uninstall {packages}"
        if scheme in OWN_SCHEMES:
            checks.append(DoctorCheck(name, "warning", f"{packages} does not replace Winnow's own source", fix))
        elif len(found) > 1:
            checks.append(DoctorCheck(name, "failed", f"several packages read it: {packages}", fix))
        else:
            try:
                found[0].load()
            except Exception as error:  # noqa: BLE001 - the code of others raises anything
                checks.append(DoctorCheck(name, "failed", f"{packages}: {type(error).__name__}: {error!s:.200}", fix))
            else:
                checks.append(DoctorCheck(name, "ok", packages))
    return checks


def _sqlite(settings: Settings) -> DoctorCheck:
    import sqlite3

    if not settings.catalog_url.startswith("sqlite"):
        return DoctorCheck("sqlite", "ok", "not used")
    detail = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < SQLITE_FIXED:
        detail += (
            f"; versions before {'.'.join(map(str, SQLITE_FIXED))} can corrupt the write-ahead log if two processes "
            "reset it at once, which the lock on the data directory prevents"
        )
    return DoctorCheck("sqlite", "ok", detail)


def _disk(settings: Settings) -> DoctorCheck:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return DoctorCheck("disk", "failed", unwritable(settings.data_dir, error).message)
    free = shutil.disk_usage(settings.data_dir).free / 1e9
    if free < MIN_FREE_GB:
        return DoctorCheck("disk", "failed", f"only {free:.1f} GB free under {settings.data_dir}; free some space")
    return DoctorCheck("disk", "ok", f"{free:.0f} GB free")


def _show(settings: Settings, checks: list[DoctorCheck]) -> None:
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
