"""``winnow sources``: sources that are kept with a collection and read again by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer
from rich.table import Column, Table

from winnow.cli.command import ask, configure, read_catalog, through_catalog
from winnow.cli.console import note, out, print_json, print_pairs
from winnow.cli.options import AllowPrivate, CollectionOption, DataDir, FollowLinks, Json, Ocr, Url, collection_path
from winnow.core.errors import Forbidden, NotFound, WinnowError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import BaseModel

    from winnow.cli.remote import Client
    from winnow.core.principal import Principal
    from winnow.core.settings import Settings
    from winnow.ports import Catalog

LOOK_SECONDS: Final = 0.5

app = typer.Typer(help="Keep sources with a collection, so that it stays fresh by itself.", no_args_is_help=True)
SourceId = Annotated[str, typer.Argument(help="ID of the source, as src_01JY….", metavar="ID")]


@app.command("add")
def add_kept(
    source: Annotated[
        str, typer.Argument(help="As for `winnow index`: site:https://…, feed:https://…, git:…, a folder.")
    ],
    collection: CollectionOption,
    every: Annotated[
        str | None, typer.Option(help="Time between two runs: 30m, 6h, 7d (default: on demand alone).", metavar="TIME")
    ] = None,
    run: Annotated[bool, typer.Option("--run/--no-run", help="Whether the first run is due at once.")] = True,
    delete_missing: Annotated[
        bool,
        typer.Option(
            "--delete-missing/--keep-missing", help="Delete what the source lost, unless it is more than half of it."
        ),
    ] = True,
    tenant: Annotated[str | None, typer.Option(help="The tenant whose documents it yields.")] = None,
    base_url: Annotated[str, typer.Option(help="Address under which a folder is published, for links.")] = "",
    max_pages: Annotated[int, typer.Option(min=1, help="For site:, the most pages to fetch.")] = 10_000,
    delay: Annotated[float, typer.Option(min=0, help="For site:, seconds between two requests.")] = 0.1,
    allow_private: AllowPrivate = False,
    follow_links: FollowLinks = False,
    ocr: Ocr = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Keep a source with a collection, which is created if it does not exist."""
    spec = str(Path(source).expanduser().resolve()) if _is_path(source) else source
    options = {"base_url": base_url, "max_pages": max_pages, "delay": delay, "delete_missing": delete_missing}
    options |= {"allow_private": allow_private, "follow_links": follow_links, "ocr": ocr}
    body = {"source": spec, "every": every, "run": run, "tenant": tenant, **options}
    fields = _fields_of(spec, options)

    async def add(client: Client) -> Any:
        await _ensure(client, collection, fields)
        return await client.call("POST", _path(collection), body)

    answer = ask(add, url, configure(data_dir))
    if json:
        print_json(answer)
        return
    rhythm = f"every {every}" if every else "on demand"
    note(f"{collection} keeps {answer['source']} as {answer['id']}, read {rhythm} by `winnow serve` or a worker")


@app.command("list")
def list_kept(collection: CollectionOption, url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """List the sources of a collection and the outcome of their last runs."""
    from service.reading import read_sources

    settings = configure(data_dir)
    answer = read_catalog(
        _path(collection), lambda catalog, asker: read_sources(catalog, asker, collection), url, settings
    )
    if json:
        print_json(answer)
        return
    if not answer["sources"]:
        note(f"{collection} keeps no sources; add one: winnow sources add site:https://… --every 6h -c {collection}")
        return
    table = Table(
        Column("id", no_wrap=True), Column("source, and its last run", overflow="fold"), box=None, header_style="dim"
    )
    for each in answer["sources"]:
        last = each["last_run"] or {}
        following = "running" if each["running"] else (each["next_run_at"] or "on demand")[:16]
        every = f", every {each['every_seconds']:,} s" if each["every_seconds"] else ""
        run = f"{last['ended_at'][:16]}  {_outcome(last)}" if last else "never"
        table.add_row(each["id"], f"{each['source']}\nnext run: {following}{every}\nlast run: {run}")
    out().print(table)


@app.command("show")
def show_kept(
    source_id: SourceId, collection: CollectionOption, url: Url = None, data_dir: DataDir = None, json: Json = False
) -> None:
    """Show one source with the outcome of its last run."""
    from service.reading import read_source

    settings = configure(data_dir)
    answer = read_catalog(
        _path(collection, source_id),
        lambda catalog, asker: read_source(catalog, asker, collection, source_id),
        url,
        settings,
    )
    if json:
        print_json(answer)
    else:
        _print_source(answer)


@app.command("remove")
def remove_kept(
    source_id: SourceId, collection: CollectionOption, url: Url = None, data_dir: DataDir = None, json: Json = False
) -> None:
    """Stop keeping a source; its documents stay."""

    async def forget(catalog: Catalog, asker: Principal) -> BaseModel:
        from service.schemas.sources import SourceView
        from winnow.operations.kept_sources import forget_source

        return SourceView.shown(await forget_source(catalog, asker, collection, source_id))

    answer = _send("DELETE", _path(collection, source_id), forget, url, configure(data_dir))
    if json:
        print_json(answer)
    else:
        note(f"{collection} no longer keeps {answer['source']}; its documents stay")


@app.command("run")
def run_kept(
    source_id: SourceId,
    collection: CollectionOption,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to wait for the outcome.")] = True,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Read a source now, whenever it is due."""
    import asyncio

    path = _path(collection, source_id)

    async def run(client: Client) -> Any:
        began = (await client.call("GET", path))["last_run"]
        answer = await client.call("POST", f"{path}:run")
        while wait and (answer["last_run"] == began or answer["running"]):
            await asyncio.sleep(LOOK_SECONDS)
            answer = await client.call("GET", path)
        return answer

    answer = ask(run, url, configure(data_dir), keeps_fresh=True)
    if json:
        print_json(answer)
    elif wait:
        _print_source(answer)
    else:
        note(f"{answer['source']} is due now")
    if wait and answer["last_run"]["status"] == "failed":
        raise typer.Exit(1)


def _send(
    method: str,
    path: str,
    view: Callable[[Catalog, Principal], Awaitable[BaseModel]],
    url: str | None,
    settings: Settings,
) -> Any:
    return through_catalog(lambda client: client.call(method, path), view, url, settings)


async def _ensure(client: Client, collection: str, fields: dict[str, Any]) -> None:
    """Create the collection, or declare what the source knows; with a key that may not, see that it exists."""
    try:
        await client.call("PUT", collection_path(collection), {"fields": fields} if fields else {})
    except Forbidden as refused:
        try:
            await client.call("GET", collection_path(collection))
        except NotFound:
            raise refused from None


def _fields_of(spec: str, options: dict[str, Any]) -> dict[str, Any]:
    """The fields that a source declares; none where it can be opened by the service alone."""
    from indexer.schedule import open_kept

    try:
        return dict(open_kept(spec, options).fields)
    except WinnowError:
        return {}


def _is_path(source: str) -> bool:
    return source != "python" and Path(source).expanduser().exists()


def _outcome(last: dict[str, Any]) -> str:
    if not last:
        return ""
    counts = ", ".join(f"{count:,} {name}" for name, count in last["documents"].items() if count)
    reason = last["failures"][0]["message"] if last["failures"] and last["status"] == "failed" else ""
    return f"{last['status']}: {'; '.join(filter(None, (counts, reason)))}"


def _print_source(answer: dict[str, Any]) -> None:
    last = answer["last_run"] or {}
    rows = [(name, answer[name]) for name in ("id", "source", "tenant", "every_seconds", "running", "next_run_at")]
    print_pairs((*rows, ("last_run", last.get("ended_at", "never")), ("outcome", _outcome(last))))
    for failure in last.get("failures", ()):
        note(f"{failure['source']}: {failure['message']} ({failure['code']})")


def _path(collection: str, source_id: str = "") -> str:
    path = f"{collection_path(collection)}/sources"
    return f"{path}/{quote(source_id, safe='')}" if source_id else path
