"""``winnow collections``: list, show and delete collections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from winnow.cli.command import ask, configure, read_catalog, run_loop
from winnow.cli.console import note, out, print_json, print_line, print_pairs
from winnow.cli.options import CollectionArgument, DataDir, Json, Url, collection_path

if TYPE_CHECKING:
    from winnow.core.settings import Settings

app = typer.Typer(help="List, show and delete collections.", no_args_is_help=True)


@app.command("list")
def list_collections(url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """List the collections with their counts."""
    from service.reading import read_collections

    answer = read_catalog("/v1/collections", read_collections, url, configure(data_dir))
    if json:
        print_json(answer)
        return
    if not answer["collections"]:
        note("no collections yet; create one: winnow index ./docs -c docs")
        return
    columns = ("documents", "chunks", "pending", "failed")
    table = Table("name", *columns, "model", box=None, header_style="dim")
    for row in answer["collections"]:
        counts = (f"{row['counts'][name]:,}" for name in columns)
        table.add_row(row["name"], *counts, row["identity"]["model"])
    out().print(table)


@app.command("show")
def show_collection(name: CollectionArgument, url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Show one collection: counts, fields, chunking and the models that it was built with."""
    from service.reading import read_collection

    answer = read_catalog(
        collection_path(name), lambda catalog, asker: read_collection(catalog, asker, name), url, configure(data_dir)
    )
    if json:
        print_json(answer)
    else:
        print_pairs(_flat(answer))


@app.command("delete")
def delete_collection(
    name: CollectionArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Delete a collection with all its documents."""
    if not yes:
        typer.confirm(f"Delete collection {name} with all its documents?", abort=True, err=True)
    ask(lambda client: client.call("DELETE", collection_path(name)), url, configure(data_dir))
    note(f"deleted {name}")


@app.command("prune")
def prune_collections(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete them; without it they are only listed.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List the indexes on the server that no collection owns, and delete them with --yes.

    Only indexes of WINNOW_VECTORS__PREFIX are looked at. An installation with another catalog and the same prefix would
    lose its own: give each a prefix.
    """
    settings = configure(data_dir)
    if settings.is_embedded:
        note("with embedded storage they are deleted at each start: nothing to do")
    found, deleted = ([], []) if settings.is_embedded else run_loop(_prune(settings, delete=yes))
    if json:
        print_json({"found": found, "deleted": deleted})
        return
    for name in found:
        print_line(f"{'deleted' if name in deleted else 'kept' if yes else 'unowned'}  {name}")
    if not found:
        note("every index has a collection")
    elif not yes:
        note("nothing was deleted; winnow collections prune --yes deletes them")


async def _prune(settings: Settings, *, delete: bool) -> tuple[list[str], list[str]]:
    """The unowned indexes, and those of them that were deleted, by name."""
    from winnow.core.principal import LOCAL
    from winnow.operations.unowned import prune_indexes, unowned_indexes
    from winnow.storage import open_stores

    async with open_stores(settings) as (catalog, store):
        found = await unowned_indexes(catalog, store)
        deleted = await prune_indexes(catalog, store, LOCAL, found) if delete and found else []
    names = [[f"{ref.collection} (generation {ref.generation})" for ref in refs] for refs in (found, deleted)]
    return names[0], names[1]


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            rows += _flat(item, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", item))
    return rows
