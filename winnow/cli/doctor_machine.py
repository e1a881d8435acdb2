"""The checks of ``winnow doctor`` that need nothing opened: versions, SQLite, disk, parsers, plug-ins."""

from __future__ import annotations

import platform
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from winnow.cli.doctor_check import DoctorCheck
from winnow.core.cores import usable_cores
from winnow.core.text import counted
from winnow.core.unwritable import unwritable

if TYPE_CHECKING:
    from winnow.core.settings import Settings

PARTS: Final = ("winnow-search", "qdrant-edge-py", "torch", "sentence-transformers", "transformers", "vllm", "fastapi")
MIN_FREE_GB: Final = 1.0
SQLITE_FIXED: Final = (3, 51, 3)


def check_machine(settings: Settings) -> list[DoctorCheck]:
    """Versions, SQLite, free space, the process for parsers, and sources of other packages."""
    return [_versions(), _sqlite(settings), _disk(settings), _parsers(), *_plug_ins()]


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
