"""``winnow index``: read sources, hand them to a service, show how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from indexer import ingest
from indexer.bulk.options import RayOptions, require_ray, require_servers
from indexer.dry_run import DryRun, compare_sources
from indexer.sources.base import Source, SourceOptions
from indexer.sources.build import open_source
from indexer.sources.site.options import SiteOptions
from indexer.watch import changes, require_paths
from winnow.cli.access import reach
from winnow.cli.console import err, note, print_json
from winnow.cli.remote import Client, HttpTarget, collection_path
from winnow.core.errors import CollectionNotFound, InvalidCollection, InvalidSource
from winnow.core.settings import Settings
from winnow.core.settings.rerank import NoRerank
from winnow.core.types import FieldType
from winnow.runtime import configure_logging, settings_for

SHOWN_FAILURES = 20


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """What the command line asks for."""

    sources: tuple[str, ...]
    collection: str
    watch: bool = False
    delete_missing: bool = False
    dry_run: bool = False
    fields: tuple[str, ...] = ()
    base_url: str = ""
    columns: tuple[str, ...] = ()
    allow_private: bool = False
    max_pages: int | None = None
    delay: float | None = None
    bulk: RayOptions | None = None


def run(options: IndexOptions, *, url: str | None, data_dir: Path | None, as_json: bool) -> int:
    """Index and return the exit status: 1 if any document failed."""
    settings = settings_for(data_dir)
    if options.bulk is not None:
        if url is None:
            require_servers(settings)
        require_ray()
        settings = settings.model_copy(update={"rerank": NoRerank()})  # nobody searches through this process
    configure_logging(settings, quiet=True)
    reading = _reading(options, settings)
    sources = [open_source(spec, reading) for spec in options.sources]
    if options.watch:
        require_paths(options.sources)
    labels = [source.label for source in sources]
    if len(set(labels)) < len(labels):
        raise InvalidSource("a source is given twice")
    try:
        return asyncio.run(_run(options, sources, settings, url, as_json))
    except KeyboardInterrupt:
        note("stopped; what was accepted is kept, and the next run or a running service goes on with it")
        raise


async def _run(
    options: IndexOptions, sources: Sequence[Source], settings: Settings, url: str | None, as_json: bool
) -> int:
    async with reach(settings, url, bulk=None if options.dry_run else options.bulk) as client:
        if options.dry_run:
            return await _dry_run(client, options, sources, as_json)
        await _ensure(client, options, sources)
        failed = await _index(client, options, sources, settings, as_json)
        if options.watch:
            note(f"watching {', '.join(options.sources)}; Ctrl-C stops")
            async for _ in changes(options.sources):
                failed = await _index(client, options, sources, settings, as_json)
        return 1 if failed else 0


async def _index(
    client: Client, options: IndexOptions, sources: Sequence[Source], settings: Settings, as_json: bool
) -> int:
    with _bar(options.collection) as show:
        summary = await ingest.ingest(
            HttpTarget(client),
            options.collection,
            sources,
            delete_missing=options.delete_missing,
            max_chars=settings.indexing.max_document_chars,
            on_progress=show,
        )
    if as_json:
        print_json(_as_json(summary))
    else:
        _print(summary)
    return summary.failed


async def _ensure(client: Client, options: IndexOptions, sources: Sequence[Source]) -> None:
    fields: dict[str, str] = {key: kind for source in sources for key, kind in source.fields.items()}
    fields |= dict(_field(item) for item in options.fields)
    await client.call("PUT", collection_path(options.collection), {"fields": fields} if fields else {})


def _reading(options: IndexOptions, settings: Settings) -> SourceOptions:
    """How sources are read."""
    site: dict[str, Any] = {
        "allow_private": options.allow_private,
        "max_pages": options.max_pages,
        "delay": options.delay,
    }
    return SourceOptions(
        base_url=options.base_url,
        columns=dict(_column(item) for item in options.columns),
        fields=cast("dict[str, FieldType]", dict(_field(item) for item in options.fields)),
        state_dir=settings.data_dir / "sources",
        site=SiteOptions(**{name: value for name, value in site.items() if value is not None}),
    )


def _column(item: str) -> tuple[str, str]:
    role, separator, column = item.partition("=")
    if not separator:
        raise InvalidSource(f"--column {item!r} is not ROLE=COLUMN, for example text=body")
    return role, column


def _field(item: str) -> tuple[str, str]:
    key, separator, kind = item.partition("=")
    if not separator:
        raise InvalidCollection(f"--field {item!r} is not KEY=TYPE, for example year=integer")
    return key, kind


@contextmanager
def _bar(collection: str) -> Iterator[Any]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}/s, {task.fields[chunks]} chunks"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err(), transient=False) as progress:
        task = progress.add_task(f"indexing {collection}", total=None, rate="0", chunks=0)

        def show(state: ingest.IngestProgress) -> None:
            seconds = progress.tasks[task].elapsed or 0.0
            progress.update(
                task,
                total=max(state.expected, state.done) if state.expected is not None else None,
                completed=state.done,
                chunks=f"{state.chunks:,}",
                rate=f"{state.done / seconds:,.0f}" if seconds > 0.5 else "–",
            )

        yield show
        done = progress.tasks[task].completed
        progress.update(task, total=done, completed=done)


def _as_json(summary: ingest.IndexSummary) -> dict[str, Any]:
    counts = ("seen", "indexed", "unchanged", "deleted", "failed")
    return {
        "collection": summary.collection,
        "documents": {name: getattr(summary, name) for name in counts},
        "chunks_embedded": summary.chunks_embedded,
        "seconds": round(summary.seconds, 3),
        "failures": [{"source": item.source, "code": item.code, "message": item.message} for item in summary.failures],
    }


def _print(summary: ingest.IndexSummary) -> None:
    console = err()
    rate = summary.indexed / summary.seconds if summary.seconds else 0
    console.print(
        f"{summary.collection}: {summary.seen:,} seen, {summary.indexed:,} indexed, {summary.unchanged:,} unchanged, "
        f"{summary.deleted:,} deleted, {summary.failed:,} failed; {summary.chunks_embedded:,} chunks embedded "
        f"in {summary.seconds:.1f} s" + (f" ({rate:,.0f} documents/s)" if summary.indexed else ""),
        markup=False,
    )
    for failure in summary.failures[:SHOWN_FAILURES]:
        console.print(f"  {failure.source}: {failure.message} ({failure.code})", markup=False, style="red")
    if len(summary.failures) > SHOWN_FAILURES:
        console.print(f"  … and {len(summary.failures) - SHOWN_FAILURES:,} more (all of them with --json)", style="red")


async def _dry_run(client: Client, options: IndexOptions, sources: Sequence[Source], as_json: bool) -> int:
    try:
        found = await compare_sources(
            HttpTarget(client), options.collection, sources, delete_missing=options.delete_missing
        )
    except CollectionNotFound:
        note(f"collection {options.collection} does not exist yet; it would be created")
        found = await compare_sources(None, options.collection, sources, delete_missing=options.delete_missing)
    _show_plan(found, as_json)
    return 1 if found.failures else 0


def _show_plan(found: DryRun, as_json: bool) -> None:
    if as_json:
        print_json(asdict(found))
        return
    console = err()
    console.print(
        f"would index {len(found.new):,} new and {len(found.changed):,} changed documents, leave {found.unchanged:,} "
        f"as they are, delete {len(found.missing):,}; {len(found.failures):,} cannot be read",
        markup=False,
    )
    for sign, ids in (("+", found.new), ("~", found.changed), ("-", found.missing)):
        for name in ids[:SHOWN_FAILURES]:
            console.print(f"  {sign} {name}", markup=False)
        if len(ids) > SHOWN_FAILURES:
            console.print(f"  {sign} … {len(ids) - SHOWN_FAILURES:,} more", markup=False)
    for failure in found.failures[:SHOWN_FAILURES]:
        console.print(f"  ! {failure.source}: {failure.message} ({failure.code})", markup=False, style="red")
