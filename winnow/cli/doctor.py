"""``winnow doctor``: probes of every configured part, with findings and remedies."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

import typer
from rich.markup import escape
from rich.table import Table

from winnow.cli.command import run_loop
from winnow.cli.console import out, print_json
from winnow.cli.doctor_check import DoctorCheck
from winnow.cli.doctor_machine import check_machine
from winnow.cli.doctor_parts import check_models, check_parts, check_store
from winnow.cli.options import DataDir, Json
from winnow.core.errors import DataDirectoryLocked, WinnowError

if TYPE_CHECKING:
    from winnow.core.settings import Settings

READY_SECONDS: Final = 15.0
MARKS: Final = {"ok": "[green]✓[/]", "skipped": "[dim]-[/]", "warning": "[yellow]![/]", "failed": "[red]✗[/]"}


def doctor(data_dir: DataDir = None, json: Json = False) -> None:
    """Probe every configured part, print the settings in force, name problems and remedies."""
    from winnow.core.settings import load_settings

    settings = load_settings(**({} if data_dir is None else {"data_dir": data_dir}))
    checks = check_machine(settings) + run_loop(_probe(settings))
    if json:
        print_json({"settings": settings.model_dump(mode="json"), "checks": [asdict(check) for check in checks]})
    else:
        _show(settings, checks)
    raise typer.Exit(1 if any(check.status == "failed" for check in checks) else 0)


async def _probe(settings: Settings) -> list[DoctorCheck]:
    from asyncio import to_thread

    from winnow.runtime import open_resources
    from winnow.storage import lock_data

    try:
        with lock_data(settings) as lock:
            own = [] if lock is None else [DoctorCheck("data directory", "ok", str(settings.data_dir.resolve()))]
            try:
                async with open_resources(settings) as resources:
                    return [*own, *await check_parts(resources)]
            except WinnowError as error:
                return [*own, DoctorCheck("start", "failed", error.message), *await _probe_apart(settings)]
    except DataDirectoryLocked as error:
        return await to_thread(_ask_owner, error)


async def _probe_apart(settings: Settings) -> list[DoctorCheck]:
    """The parts that can be opened without the one that the start failed at; none where that is one of them."""
    from winnow.runtime import open_apart

    try:
        async with open_apart(settings) as (store, embedders, reranker):
            return [await check_store(store, settings), *await check_models(embedders, reranker)]
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
