"""The ``winnow`` command: one function a subcommand; each module loads when its command runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.console import fail
from retrieval.errors import InvalidInput, WinnowError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="winnow",
    help="Two-stage semantic search: index documents, retrieve candidates, rerank them, see what each stage did.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
collections_app = typer.Typer(help="List, show and delete collections.", no_args_is_help=True)
app.add_typer(collections_app, name="collections")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Where embedded storage lives [default: ./data]. WINNOW_DATA_DIR", show_default=False
    ),
]
Url = Annotated[
    str | None,
    typer.Option("--url", help="Work through a running service instead of opening the data directory.", metavar="URL"),
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="Name of the collection.", metavar="NAME")]


def version_callback(value: bool) -> None:
    """Print the version and leave."""
    if value:
        from importlib.metadata import version

        typer.echo(version("winnow-search"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=version_callback, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Two-stage semantic search."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one [default: 8000].")] = None,
    data_dir: DataDir = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Serve other addresses than loopback although no key is configured.")
    ] = False,
) -> None:
    """Serve searches and uploads over HTTP; with embedded storage the worker runs in the same process."""
    from cli.serve import run

    run(host=host, port=port, data_dir=data_dir, insecure=insecure)


@app.command()
def worker(data_dir: DataDir = None) -> None:
    """Run the indexer's worker alone, until it is interrupted."""
    from cli.worker import run

    run(data_dir=data_dir)


@app.command()
def index(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="'python' (the standard library's docstrings), folders and files (Markdown, MDX, HTML, text, PDF, "
            "DOCX, CSV, JSONL, Parquet), site:https://example.org/docs/, s3://bucket/docs.",
            metavar="SOURCE...",
        ),
    ],
    collection: CollectionOption,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and index what changes.")] = False,
    delete_missing: Annotated[
        bool, typer.Option("--delete-missing", help="Delete documents of these sources that are gone.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            help="Declare a metadata key as filterable, for example year=integer "
            "(keyword, integer, float, datetime, boolean). May be repeated.",
            metavar="KEY=TYPE",
        ),
    ] = None,
    base_url: Annotated[
        str, typer.Option("--base-url", help="Address of the site that a folder becomes, for the results' links.")
    ] = "",
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            help="For CSV and Parquet, the column that is id, text, title or url: text=body. May be repeated.",
            metavar="ROLE=COLUMN",
        ),
    ] = None,
    max_pages: Annotated[
        int | None, typer.Option("--max-pages", min=1, help="For site:, the most pages to fetch [default: 10000].")
    ] = None,
    delay: Annotated[
        float | None,
        typer.Option("--delay", min=0, help="For site:, seconds between two requests [default: 0.1]."),
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="For site:, also fetch from loopback and intranet addresses.")
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Read, chunk, embed and store documents. Unchanged ones are skipped; Ctrl-C loses nothing."""
    from cli.index import IndexOptions, run

    options = IndexOptions(
        sources=tuple(sources),
        collection=collection,
        watch=watch,
        delete_missing=delete_missing,
        dry_run=dry_run,
        fields=tuple(field or ()),
        base_url=base_url,
        columns=tuple(column or ()),
        max_pages=max_pages,
        delay=delay,
        allow_private=allow_private,
    )
    raise typer.Exit(run(options, url=url, data_dir=data_dir, as_json=json))


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    collection: CollectionOption,
    top_k: Annotated[int, typer.Option(help="Candidates out of the first stage, 1 to 1000.")] = 100,
    top_n: Annotated[int, typer.Option(help="Results, 1 to 100.")] = 10,
    mode: Annotated[str, typer.Option(help="hybrid, dense or sparse.")] = "hybrid",
    filter: Annotated[
        str | None, typer.Option("--filter", help='Filter as JSON: \'{"type": "eq", "key": "lang", "value": "en"}\'.')
    ] = None,
    rerank: Annotated[bool, typer.Option(help="Run the second stage.")] = True,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Search a collection and show where each stage put every result."""
    from cli.search import run

    body = {"query": query, "top_k": top_k, "top_n": min(top_n, top_k), "mode": mode, "rerank": rerank}
    run(collection, body, filter_json=filter, url=url, data_dir=data_dir, as_json=json)


@app.command("eval")
def evaluate(
    data: Annotated[Path, typer.Option("--data", help="Folder with corpus.jsonl, queries.jsonl and qrels.tsv.")],
    html: Annotated[Path | None, typer.Option("--html", help="Also write a report with charts to this file.")] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Keep the index in this directory and re-use it next time.")
    ] = None,
    max_queries: Annotated[int | None, typer.Option("--max-queries", help="Measure on the first N queries.")] = None,
    json: Json = False,
) -> None:
    """Measure retrieval quality: nDCG@10, Recall@100 and MRR@10 for keywords, dense, hybrid and two-stage search."""
    from cli.evaluate import run

    run(data, html=html, keep=keep, max_queries=max_queries, as_json=json)


@app.command()
def doctor(data_dir: DataDir = None, json: Json = False) -> None:
    """Probe every configured part, print the settings in force, and say what is wrong."""
    from cli.doctor import run

    raise typer.Exit(run(data_dir=data_dir, as_json=json))


@collections_app.command("list")
def list_collections(url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """List the collections with their counts."""
    from cli.collections import run_list

    run_list(url=url, data_dir=data_dir, as_json=json)


@collections_app.command("show")
def show_collection(
    name: Annotated[str, typer.Argument(help="Name of the collection.")],
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show one collection: counts, fields, chunking and what it was built with."""
    from cli.collections import run_show

    run_show(name, url=url, data_dir=data_dir, as_json=json)


@collections_app.command("delete")
def delete_collection(
    name: Annotated[str, typer.Argument(help="Name of the collection.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Delete a collection with all its documents."""
    from cli.collections import run_delete

    run_delete(name, yes=yes, url=url, data_dir=data_dir)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors of ours become one line on stderr and an exit status.

    Exit status: 0 all well, 1 it failed or some documents did, 2 the input was wrong, 130 interrupted.
    """
    try:
        app(args=list(arguments) if arguments is not None else None)
    except InvalidInput as error:
        fail(error.message)
        sys.exit(EXIT_USAGE)
    except WinnowError as error:
        fail(error.message)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
