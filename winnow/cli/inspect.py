"""``winnow inspect``: what ``winnow index`` would store and search of a source, document by document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winnow.cli.command import configure, run_loop
from winnow.cli.console import note, print_line, print_row
from winnow.cli.options import AllowPrivate, Columns, DataDir, FollowLinks, Json, Ocr, key_pairs
from winnow.core.errors import InvalidSource
from winnow.core.marks import wire_warnings

if TYPE_CHECKING:
    from winnow.core.settings import Settings
    from winnow.core.types import Chunk, Chunking, Document
    from winnow.ports import Embedder
    from winnow.ports.source import Failure, Notice, Source

SHOWN_CHARS: Final = 200

ContentType = Annotated[
    str,
    typer.Option(
        help="Read the file as a server would have sent it, for example 'text/html; charset=gb2312'.", metavar="TYPE"
    ),
]


def inspect(
    source: Annotated[str, typer.Argument(help="As for winnow index.", metavar="SOURCE")],
    content_type: ContentType = "",
    column: Columns = None,
    allow_private: AllowPrivate = False,
    follow_links: FollowLinks = False,
    ocr: Ocr = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Print what would be indexed: title, metadata, canonical text, warnings and chunks. Nothing is stored.

    With --json one object a line: a document, or what could not be read. The exit status is 1 if there was one.
    """
    from indexer.sources.build import open_source
    from winnow.ports.source import SiteOptions, SourceOptions

    settings = configure(data_dir)
    options = SourceOptions(
        columns=key_pairs(column, "--column", "ROLE=COLUMN, for example text=body", InvalidSource),
        content_type=content_type,
        follow_links=follow_links,
        ocr=ocr,
        site=SiteOptions(allow_private=allow_private),
    )
    failed = run_loop(_inspect(open_source(source, options), settings, as_json=json))
    raise typer.Exit(1 if failed else 0)


async def _inspect(source: Source, settings: Settings, *, as_json: bool) -> int:
    from winnow.ports.source import Notice

    failed = found = 0
    async for row in _rows(source, settings):
        if isinstance(row, Notice):
            note(f"{row.source}: {row.message}")
            continue
        failed += "code" in row
        found += 1
        if as_json:
            print_row(row)
        elif "code" in row:
            note(f"{row['source']}: {row['message']} ({row['code']})")
        else:
            _show(row)
    if not found:
        note(f"{source.label}: nothing that could be read")
    return failed


async def _rows(source: Source, settings: Settings) -> AsyncIterator[dict[str, Any] | Notice]:
    from winnow.core.types import Chunking, Document
    from winnow.ports.source import Failure, Notice
    from winnow.runtime import ADAPTERS

    embedder = ADAPTERS.load_embedder(settings)
    try:
        async with aclosing(source.read()) as items:
            async for item in items:
                match item:
                    case Failure():
                        yield _failure(item)
                    case Notice():
                        yield item
                    case Document():
                        yield _document(item, embedder, Chunking())
    finally:
        await embedder.close()


def _failure(failure: Failure) -> dict[str, Any]:
    return {"source": failure.source, "code": failure.code, "message": failure.message}


def _document(document: Document, embedder: Embedder, chunking: Chunking) -> dict[str, Any]:
    from indexer.chunking.chunker import chunk_document

    chunks = chunk_document(document, embedder.tokenizer, chunking, max_tokens=embedder.info.max_tokens)
    return {
        "id": document.id,
        "title": document.title,
        "url": document.url,
        "source_format": document.source_format,
        "text": document.text,
        "metadata": document.metadata,
        "warnings": wire_warnings(document.warnings),
        "chunks": list(map(_chunk, chunks)),
    }


def _chunk(chunk: Chunk) -> dict[str, Any]:
    return {
        "index": chunk.index,
        "start": chunk.start,
        "end": chunk.end,
        "headings": chunk.headings,
        "anchor": chunk.anchor,
        "prefix": chunk.prefix,
        "text": chunk.text,
        **chunk.place,
    }


def _show(row: dict[str, Any]) -> None:
    print_line(f"{row['id']}: {row['title']} ({row['source_format']}, {len(row['text']):,} characters)")
    for warning in row["warnings"]:
        print_line(f"  warning: {warning['message']} ({warning['code']})")
    for chunk in row["chunks"]:
        place = " › ".join(chunk["headings"])
        text = " ".join(chunk["text"].split())
        shown = text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]} …"
        print_line(f"  {chunk['index']} [{chunk['start']}:{chunk['end']}] {place} #{chunk['anchor']}: {shown}")
