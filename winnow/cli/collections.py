"""``winnow collections``: administration."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from winnow.cli.access import reach
from winnow.cli.console import note, out, print_json
from winnow.cli.remote import collection_path
from winnow.runtime import configure_logging, settings_for


def run_list(*, url: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Print every collection with its counts."""
    answer = _call("GET", "/v1/collections", url, data_dir)
    if as_json:
        print_json(answer)
        return
    if not answer["collections"]:
        note("no collection yet; make one: winnow index ./docs -c docs")
        return
    columns = ("documents", "chunks", "pending", "failed")
    table = Table("name", *columns, "model", box=None, header_style="dim")
    for row in answer["collections"]:
        counts = (f"{row['counts'][name]:,}" for name in columns)
        table.add_row(row["name"], *counts, row["identity"]["model"])
    out().print(table)


def run_show(name: str, *, url: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Print one collection, nested settings one per line."""
    answer = _call("GET", collection_path(name), url, data_dir)
    if as_json:
        print_json(answer)
        return
    table = Table(box=None, show_header=False)
    for key, value in _flat(answer):
        table.add_row(key, value, style=None)
    out().print(table)


def run_delete(name: str, *, yes: bool, url: str | None, data_dir: Path | None) -> None:
    """Delete after asking."""
    if not yes:
        typer.confirm(f"Delete collection {name} with all its documents?", abort=True, err=True)
    _call("DELETE", collection_path(name), url, data_dir)
    note(f"deleted {name}")


def _call(method: str, path: str, url: str | None, data_dir: Path | None) -> Any:
    settings = settings_for(data_dir)
    configure_logging(settings, quiet=True)

    async def ask() -> Any:
        async with reach(settings, url) as client:
            return await client.call(method, path)

    return asyncio.run(ask())


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            rows += _flat(item, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", "–" if item in (None, {}, "") else str(item)))
    return rows
