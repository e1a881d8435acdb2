"""``winnow index``: documents of folders, files, sites and buckets into a collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from winnow.cli.command import configure, run_loop
from winnow.cli.console import note
from winnow.cli.options import (
    AllowPrivate,
    CollectionOption,
    Columns,
    DataDir,
    FollowLinks,
    Json,
    Ocr,
    Tenant,
    Url,
    key_pairs,
)
from winnow.core.errors import InvalidCollection, InvalidSource

if TYPE_CHECKING:
    from winnow.ports.source import Source, SourceOptions

Sources = Annotated[
    list[str],
    typer.Argument(
        help="'python' (the standard library's docstrings), folders and files (Markdown, HTML, text, PDF, "
        "Office files, EPUB, mail, notebooks, CSV, JSONL, Parquet), site:https://example.org/docs/, "
        "feed:https://…, git:REPOSITORY#REF, mbox:FILE, imaps://…, s3://bucket/docs.",
        metavar="SOURCE...",
    ),
]
Watch = Annotated[bool, typer.Option("--watch", help="Keep running and index what changes.")]
DeleteMissing = Annotated[
    bool, typer.Option("--delete-missing", help="Delete documents that these sources no longer have.")
]
YesDelete = Annotated[
    bool, typer.Option("--yes-delete", help="Delete them without asking, even if they are more than half of a source.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be indexed and change nothing.")]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        help="Declare a metadata key that filters may use, for example year=integer "
        "(keyword, integer, float, datetime, boolean). Repeatable.",
        metavar="KEY=TYPE",
    ),
]
BaseUrl = Annotated[str, typer.Option(help="Address under which a folder is published, for links.")]
MaxPages = Annotated[int, typer.Option(min=1, help="For site:, the most pages to fetch.")]
Delay = Annotated[float, typer.Option(min=0, help="For site:, seconds between two requests.")]
Engine = Annotated[Literal["worker", "ray"], typer.Option(help="Embed in this process or with Ray.")]
RayAddress = Annotated[
    str, typer.Option(help="With ray: a running cluster (default: RAY_ADDRESS, or Ray on this machine).")
]
EmbedActors = Annotated[int, typer.Option(min=1, help="With ray: number of embedder processes.")]
Gpus = Annotated[float, typer.Option(min=0, help="With ray: GPUs of each embedder process.")]


def index(
    sources: Sources,
    collection: CollectionOption,
    watch: Watch = False,
    delete_missing: DeleteMissing = False,
    yes_delete: YesDelete = False,
    dry_run: DryRunOption = False,
    field: Fields = None,
    tenant: Tenant = None,
    base_url: BaseUrl = "",
    column: Columns = None,
    max_pages: MaxPages = 10_000,
    delay: Delay = 0.1,
    allow_private: AllowPrivate = False,
    follow_links: FollowLinks = False,
    ocr: Ocr = False,
    engine: Engine = "worker",
    ray_address: RayAddress = "",
    embed_actors: EmbedActors = 1,
    num_gpus: Gpus = 0,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Read, chunk, embed and store documents. Unchanged ones are skipped; a run that was interrupted is resumed."""
    from indexer.bulk.options import RayOptions, require_ray, require_servers
    from winnow.cli.indexing import Indexing
    from winnow.ports.source import SiteOptions, SourceOptions

    settings = configure(data_dir)
    bulk = RayOptions(ray_address, embed_actors, num_gpus) if engine == "ray" else None
    if bulk is not None:
        if url is None:
            require_servers(settings)
        require_ray()
    fields = key_pairs(field, "--field", "KEY=TYPE, for example year=integer", InvalidCollection)
    reading = SourceOptions(
        base_url=base_url,
        columns=key_pairs(column, "--column", "ROLE=COLUMN, for example text=body", InvalidSource),
        fields=fields,
        follow_links=follow_links,
        ocr=ocr,
        state_dir=settings.data_dir / "sources",
        site=SiteOptions(allow_private=allow_private, max_pages=max_pages, delay=delay),
    )
    opened = _open(sources, reading, watch=watch)
    work = Indexing(
        collection, opened, fields, delete_missing, yes_delete, settings.indexing.max_document_chars, json, tenant
    )
    try:
        failed = run_loop(work.run(settings, url, bulk, dry_run=dry_run, watched=sources if watch else ()))
    except KeyboardInterrupt:
        note("stopped; accepted documents are kept, and the next run or a running service indexes them")
        raise
    raise typer.Exit(1 if failed else 0)


def _open(specs: list[str], reading: SourceOptions, *, watch: bool) -> list[Source]:
    from indexer.sources.build import open_source

    sources = [open_source(spec, reading) for spec in specs]
    if watch and (other := next((spec for spec in specs if not Path(spec).exists()), None)):
        raise InvalidSource(f"cannot watch {other!r}: only files and folders can be watched")
    labels = [source.label for source in sources]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise InvalidSource(f"source {twice!r} is given twice")
    return sources
