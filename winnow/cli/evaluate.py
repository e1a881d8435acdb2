"""``winnow eval``: index a test collection, answer its queries in four ways, report how well each did."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.progress import Progress

from indexer.ingest import ingest
from indexer.sources.base import Failure
from winnow.cli.access import hosting
from winnow.cli.console import err, note, out, print_json
from winnow.cli.remote import Client, HttpTarget, collection_path
from winnow.core.settings import Settings
from winnow.core.types import Document, FieldType
from winnow.evaluation.dataset import Dataset, load_dataset
from winnow.evaluation.evaluate import IndexSummary, evaluate
from winnow.evaluation.html import render_html
from winnow.evaluation.report import Evaluation, to_json
from winnow.evaluation.runs import for_measurement
from winnow.evaluation.table import render_table
from winnow.runtime import configure_logging, open_local, running, settings_for

COLLECTION = "eval"


def run(data: Path, *, html: Path | None, keep: Path | None, max_queries: int | None, as_json: bool) -> None:
    """Evaluate and print a table, or JSON; write the HTML report if asked for."""
    dataset = load_dataset(data)
    if dataset.blank:
        note(f"left out {len(dataset.blank)} queries without text, the first is {dataset.blank[0]!r}")
    if max_queries is not None:
        dataset = replace(dataset, queries=dict(list(dataset.queries.items())[:max_queries]))
    with ExitStack() as stack:
        home = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="winnow-eval-")))
        settings = for_measurement(settings_for(home / dataset.name))
        configure_logging(settings, quiet=True)
        report = asyncio.run(_evaluate(dataset, settings))
    if html is not None:
        html.write_text(render_html(report), encoding="utf-8")
        note(f"wrote {html}")
    if as_json:
        print_json(to_json(report))
    else:
        out().print(render_table(report))


async def _evaluate(dataset: Dataset, settings: Settings) -> Evaluation:
    async with open_local(settings) as local, running(local.worker), hosting(local) as client:
        with _bar() as (on_indexed, on_query):

            async def index(documents: Iterable[Document]) -> IndexSummary:
                return await _index(client, settings, list(documents), on_indexed)

            return await evaluate(
                dataset,
                index=index,
                searcher=local.resources.search,
                collection=COLLECTION,
                progress=on_query,
            )


async def _index(client: Client, settings: Settings, documents: list[Document], on_indexed: Any) -> IndexSummary:
    await client.call("PUT", collection_path(COLLECTION), {})
    summary = await ingest(
        HttpTarget(client),
        COLLECTION,
        [_Memory(documents)],
        delete_missing=True,
        max_chars=settings.indexing.max_document_chars,
        on_progress=lambda state: on_indexed(state.done, len(documents)),
    )
    return IndexSummary({item.source: item.message for item in summary.failures})


@dataclass(frozen=True)
class _Memory:
    """Documents that are read already, as a source."""

    documents: list[Document]
    label: str = "eval"
    fields: Mapping[str, FieldType] = field(default_factory=dict)

    async def count(self) -> int:
        return len(self.documents)

    async def read(self) -> AsyncGenerator[Document | Failure, None]:
        for document in self.documents:
            yield document


@contextmanager
def _bar() -> Iterator[Any]:
    with Progress(console=err(), transient=True) as progress:
        tasks: dict[str, Any] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done)

        yield lambda done, total: show("index", done, total), show
