"""``winnow analytics``: what visitors searched for and clicked."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table

from winnow.cli.command import ask, configure, through_catalog
from winnow.cli.console import note, out, print_json
from winnow.cli.options import AnyCollection, CollectionOption, DataDir, Json, Url, collection_path
from winnow.core.errors import StorageFailure
from winnow.core.text import counted

if TYPE_CHECKING:
    from pydantic import BaseModel

    from winnow.cli.remote import Client
    from winnow.core.principal import Principal
    from winnow.core.settings import Settings
    from winnow.ports import Catalog

app = typer.Typer(help="What visitors searched for and clicked, where analytics are enabled.")
_LISTS = (("top_queries", "top queries"), ("nothing_found", "nothing found"), ("nothing_clicked", "nothing clicked"))
Days = Annotated[int, typer.Option(min=1, max=3650, help="Days before now.", metavar="N")]
TenantOption = Annotated[str | None, typer.Option(help="Of one tenant (default: all that the caller sees).")]


@app.callback(invoke_without_command=True)
def show_analytics(
    context: typer.Context,
    collection: AnyCollection = None,
    days: Days = 30,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Queries of each list.", metavar="N")] = 10,
    tenant: TenantOption = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show top queries, what was not found or not clicked, click positions and speed."""
    if context.invoked_subcommand is not None:
        return
    params: dict[str, str | int] = {"days": days, "limit": limit} | ({} if tenant is None else {"tenant": tenant})
    reports = _reports(collection, params, url, configure(data_dir))
    if json:
        print_json(reports[0] if collection is not None else {"analytics": reports})
        return
    for report in reports:
        _show(report)
    if not reports:
        note("no collections yet; create one: winnow index ./docs -c docs")
    elif not reports[0]["enabled"]:
        note("nothing is being recorded: set WINNOW_ANALYTICS__ENABLED=true for winnow serve")


@app.command("export")
def export(
    collection: CollectionOption,
    to: Annotated[Path | None, typer.Option("--to", help="File to write (default: stdout).", metavar="FILE")] = None,
    days: Days = 3650,
    tenant: TenantOption = None,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Write the searches of a collection as JSON lines, oldest first, each with its events."""
    params = {"days": str(days)} | ({} if tenant is None else {"tenant": tenant})

    try:
        target = nullcontext(sys.stdout.buffer) if to is None else to.open("wb")
    except OSError as error:
        raise StorageFailure(f"{to} cannot be written: {error.strerror}") from error

    async def fetch(client: Client) -> int:
        """Write the lines; return their number."""
        lines = 0
        async with client.stream("GET", f"{_path(collection)}/export", params=params) as response:
            async for piece in response.content.iter_any():
                file.write(piece)
                lines += piece.count(b"\n")
        file.flush()
        return lines

    with target as file:
        lines = ask(fetch, url, configure(data_dir), heals=False)
    note(f"{lines:,} searches of {collection}")


@app.command("delete")
def delete(
    collection: CollectionOption,
    session: Annotated[str | None, typer.Option(help="Of this session alone.")] = None,
    tenant: TenantOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Delete the searches and events of a collection, or of one session."""
    chosen = {name: value for name, value in (("session", session), ("tenant", tenant)) if value is not None}
    if not yes:
        whose = f"session {session}" if session else f"all sessions in collection {collection}"
        typer.confirm(f"Delete the searches and events of {whose}?", abort=True, err=True)

    async def remove(catalog: Catalog, asker: Principal) -> BaseModel:
        from service.schemas.analytics import DeletedAnalyticsView
        from winnow.operations.analytics import delete_analytics

        searches, events = await delete_analytics(catalog, asker, collection, **chosen)
        return DeletedAnalyticsView(searches=searches, events=events)

    asking = through_catalog(
        lambda client: client.call("DELETE", _path(collection), **chosen), remove, url, configure(data_dir)
    )
    if json:
        print_json(asking)
    else:
        gone = f"{counted(asking['searches'], 'search')} and {counted(asking['events'], 'event')}"
        note(f"deleted {gone} of {collection}")


def _reports(
    collection: str | None, params: dict[str, str | int], url: str | None, settings: Settings
) -> list[dict[str, Any]]:
    """What visitors did in a collection, or in each of them."""
    from service.reading import read_analytics, read_collections
    from service.schemas.analytics import AnalyticsList, AnalyticsParameters

    parameters, enabled = AnalyticsParameters.model_validate(params), settings.analytics.enabled

    async def fetch(client: Client) -> Any:
        found = [] if collection else (await client.call("GET", "/v1/collections"))["collections"]
        names = [collection] if collection else [each["name"] for each in found]
        return {"analytics": [await client.call("GET", _path(name), **params) for name in names]}

    async def read(catalog: Catalog, asker: Principal) -> AnalyticsList:
        found = [] if collection else (await read_collections(catalog, asker)).collections
        names = [collection] if collection else [each.name for each in found]
        reports = [await read_analytics(catalog, asker, name, parameters, enabled=enabled) for name in names]
        return AnalyticsList(analytics=reports)

    reports: list[dict[str, Any]] = through_catalog(fetch, read, url, settings)["analytics"]
    return reports


def _show(report: dict[str, Any]) -> None:
    totals, console = report["totals"], out()
    share = f" ({totals['clicked'] / totals['searches']:.0%} clicked)" if totals["searches"] else ""
    console.print(
        f"{report['collection']} since {report['since'][:10]}: {totals['searches']:,} searches{share}, "
        f"{totals['without_results']:,} without results, {counted(totals['clicks'], 'click')}, "
        f"{counted(totals['conversions'], 'conversion')}",
        markup=False,
        soft_wrap=True,
    )
    for each in report["speed"]:
        console.print(f"  {each['speed']}: p50 {each['p50_ms']:.1f} ms, p95 {each['p95_ms']:.1f} ms", markup=False)
    positions = report["click_positions"]
    if positions["mean"] is not None:
        counts = ", ".join(f"{each['position']}: {each['clicks']:,}" for each in positions["counts"][:10])
        console.print(f"  mean click position {positions['mean']:.1f} ({counts})", markup=False, soft_wrap=True)
    for name, title in _LISTS:
        if report[name]:
            console.print(_table(title, report[name]))


def _table(title: str, queries: list[dict[str, Any]]) -> Table:
    from rich.text import Text

    numbers = ("searches", "without results", "clicks", "position")
    columns = (Column(title, overflow="fold"), *(Column(name, justify="right") for name in numbers))
    table = Table(*columns, box=None, header_style="dim")
    for each in queries:
        position = "–" if each["position"] is None else f"{each['position']:.1f}"
        figures = (each["searches"], each["without_results"], each["clicks"])
        table.add_row(Text(each["query"]), *(f"{number:,}" for number in figures), position)
    return table


def _path(collection: str) -> str:
    return f"{collection_path(collection)}/analytics"
