"""The ``winnow`` command: one function a subcommand; each module loads when its command runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from winnow.cli.console import fail
from winnow.cli.jobs_app import jobs_app
from winnow.cli.options import DataDir, Json, Url
from winnow.core.errors import InvalidInput, WinnowError
from winnow.core.import_path import put_ours_first

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
app.add_typer(jobs_app, name="jobs")

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
    from winnow.cli.serve import run

    run(host=host, port=port, data_dir=data_dir, insecure=insecure)


@app.command()
def worker(data_dir: DataDir = None) -> None:
    """Run the indexer's worker alone, until it is interrupted."""
    from winnow.cli.worker import run

    run(data_dir=data_dir)


@app.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the catalog's database to this version's schema, and leave. Every other command does so when it starts."""
    from winnow.cli.migrate import run

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
    engine: Annotated[
        Literal["worker", "ray"], typer.Option(help="Who embeds: this process, or processes of Ray.")
    ] = "worker",
    ray_address: Annotated[
        str,
        typer.Option(
            "--ray-address", help="With ray: a running cluster [default: RAY_ADDRESS, or Ray on this machine]."
        ),
    ] = "",
    embed_actors: Annotated[
        int, typer.Option("--embed-actors", min=1, help="With ray: processes that hold an embedder each.")
    ] = 1,
    num_gpus: Annotated[float, typer.Option("--num-gpus", min=0, help="With ray: GPUs of each of them.")] = 0,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Read, chunk, embed and store documents. Unchanged ones are skipped; Ctrl-C loses nothing."""
    from indexer.bulk.options import RayOptions
    from winnow.cli.index import IndexOptions, run

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
        bulk=RayOptions(ray_address, embed_actors, num_gpus) if engine == "ray" else None,
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
    from winnow.cli.search import run

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
    from winnow.cli.evaluate import run

    run(data, html=html, keep=keep, max_queries=max_queries, as_json=json)


@app.command()
def doctor(data_dir: DataDir = None, json: Json = False) -> None:
    """Probe every configured part, print the settings in force, and say what is wrong."""
    from winnow.cli.doctor import run

    raise typer.Exit(run(data_dir=data_dir, as_json=json))


@app.command()
def reembed(
    collection: CollectionOption,
    provider: Annotated[
        str, typer.Option(help="Of the next model: bundled, vllm, torch, dashscope … WINNOW_NEXT_EMBEDDING__PROVIDER")
    ] = "",
    model: Annotated[str, typer.Option(help="The next model. WINNOW_NEXT_EMBEDDING__MODEL")] = "",
    model_url: Annotated[str, typer.Option("--model-url", help="Where it is served. WINNOW_NEXT_EMBEDDING__URL")] = "",
    dimensions: Annotated[int | None, typer.Option(help="Of its vectors. WINNOW_NEXT_EMBEDDING__DIMENSIONS")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder with queries.jsonl and qrels.tsv: switch only if no less is found."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Estimate tokens and time; change nothing.")] = False,
    switch_after: Annotated[bool, typer.Option("--switch-after/--no-switch", help="Switch when all is built.")] = True,
    status: Annotated[bool, typer.Option("--status", help="Say how far it is.")] = False,
    switch: Annotated[bool, typer.Option("--switch", help="Have searches use the new index.")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Have searches use the old index again.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Let go of the index that searches do not use.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Switch although documents or quality would be lost.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Change a collection's embedding model without downtime: build a second index, compare, switch, roll back."""
    from winnow.cli.reembed import ReembedOptions, choose_action, run

    given = {"provider": provider, "model": model, "url": model_url, "dimensions": dimensions}
    actions = {"dry-run": dry_run, "status": status, "switch": switch, "rollback": rollback, "drop": drop}
    options = ReembedOptions(
        collection=collection,
        action=choose_action(actions),
        model={key: value for key, value in given.items() if value},
        data=data,
        force=force,
        switch=switch_after,
    )
    raise typer.Exit(run(options, url=url, data_dir=data_dir, as_json=json))


@app.command()
def verify(
    collection: Annotated[
        str | None,
        typer.Option("--collection", "-c", help="Name of the collection [default: all].", metavar="NAME"),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Index damaged documents again and remove points that belong to none.")
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Compare the catalog with the points while work goes on: missing, stale, doubled and orphaned ones are named."""
    from winnow.cli.verify import run

    raise typer.Exit(run(collection, repair=repair, url=url, data_dir=data_dir, as_json=json))


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="A new file (ending in .tar.zst) or folder.", metavar="FILE|DIR")],
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Copy everything of an embedded installation, also while a service is using it. Searches go on meanwhile."""
    from winnow.cli.backup import run_backup

    run_backup(target, url=url, data_dir=data_dir, as_json=json)


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="What winnow backup wrote.", metavar="FILE|DIR")],
    data_dir: Annotated[Path, typer.Option("--data-dir", help="A data directory that does not exist yet.")],
    json: Json = False,
) -> None:
    """Make a data directory out of a backup: check every byte first, verify at the end."""
    from winnow.cli.backup import run_restore

    raise typer.Exit(run_restore(source, data_dir=data_dir, as_json=json))


@collections_app.command("list")
def list_collections(url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """List the collections with their counts."""
    from winnow.cli.collections import run_list

    run_list(url=url, data_dir=data_dir, as_json=json)


@collections_app.command("show")
def show_collection(
    name: Annotated[str, typer.Argument(help="Name of the collection.")],
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show one collection: counts, fields, chunking and what it was built with."""
    from winnow.cli.collections import run_show

    run_show(name, url=url, data_dir=data_dir, as_json=json)


@collections_app.command("delete")
def delete_collection(
    name: Annotated[str, typer.Argument(help="Name of the collection.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Delete a collection with all its documents."""
    from winnow.cli.collections import run_delete

    run_delete(name, yes=yes, url=url, data_dir=data_dir)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors of ours become one line on stderr and an exit status.

    Exit status: 0 all well, 1 it failed or some documents did, 2 the input was wrong, 130 interrupted.
    """
    put_ours_first()
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
