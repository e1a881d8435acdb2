"""``winnow collections``: list, show and delete collections."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from winnow.cli.command import ask, configure, read_catalog
from winnow.cli.console import note, out, print_json, print_pairs
from winnow.cli.options import CollectionArgument, DataDir, Json, Url, collection_path

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


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            rows += _flat(item, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", item))
    return rows
