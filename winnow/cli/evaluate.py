"""``winnow eval``: index a test collection, run its queries in four ways and report the quality of each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winnow.cli.command import configure, hosting, run_loop
from winnow.cli.console import note, out, print_json, progress_bar
from winnow.cli.options import Json, collection_path
from winnow.core.text import counted

if TYPE_CHECKING:
    from winnow.core.settings import Settings
    from winnow.core.types import Document, FieldType
    from winnow.evaluation.dataset import Dataset
    from winnow.evaluation.evaluate import Evaluation
    from winnow.ports.source import Failure

COLLECTION = "eval"


def evaluate(
    data: Annotated[Path, typer.Option(help="Folder with corpus.jsonl, queries.jsonl and qrels.tsv.")],
    html: Annotated[Path | None, typer.Option(help="Also write a report with a chart to this file.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep the index in this directory for later runs.")] = None,
    max_queries: Annotated[int | None, typer.Option(help="Run the first N queries only.")] = None,
    json: Json = False,
) -> None:
    """Measure nDCG@10, Recall@100 and MRR@10 of keyword, dense, hybrid and two-stage search."""
    from tempfile import TemporaryDirectory

    from winnow.evaluation.dataset import load_dataset
    from winnow.evaluation.metrics import require_metrics
    from winnow.evaluation.runs import for_measurement
    from winnow.evaluation.views import render_html, render_table, to_json

    require_metrics()
    dataset = load_dataset(data)
    if dataset.blank:
        note(f"ignored {counted(len(dataset.blank), 'query')} without text, the first is {dataset.blank[0]!r}")
    if max_queries is not None:
        dataset = replace(dataset, queries=dict(list(dataset.queries.items())[:max_queries]))
    with ExitStack() as stack:
        home = keep or Path(stack.enter_context(TemporaryDirectory(prefix="winnow-eval-")))
        report = run_loop(_evaluate(dataset, for_measurement(configure(home / dataset.name))))
    if html is not None:
        html.write_text(render_html(report), encoding="utf-8")
        note(f"wrote {html}")
    if json:
        print_json(to_json(report))
    else:
        out().print(render_table(report))


async def _evaluate(dataset: Dataset, settings: Settings) -> Evaluation:
    from indexer.ingest import ingest
    from winnow.cli.remote import HttpTarget
    from winnow.evaluation.evaluate import evaluate
    from winnow.runtime import open_local, running

    async with open_local(settings) as local, running(local.worker), hosting(local) as client:
        with progress_bar(f"evaluating {dataset.name}") as show:

            async def index(documents: Sequence[Document]) -> Mapping[str, str]:
                await client.call("PUT", collection_path(COLLECTION), {})
                summary = await ingest(
                    HttpTarget(client),
                    COLLECTION,
                    [_Memory(documents)],
                    delete_missing=True,
                    max_chars=settings.indexing.max_document_chars,
                    on_progress=lambda state: show(state.done, len(documents), "indexing"),
                )
                return {failure.source: failure.message for failure in summary.failures}

            return await evaluate(
                dataset,
                index=index,
                searcher=local.resources.search,
                collection=COLLECTION,
                progress=lambda run, done, total: show(done, total, run),
            )


@dataclass(frozen=True)
class _Memory:
    """A source of documents that are in memory."""

    documents: Sequence[Document]
    label: str = "eval"
    is_complete: bool = True
    fields: Mapping[str, FieldType] = field(default_factory=dict)

    async def count(self) -> int:
        return len(self.documents)

    async def read(self) -> AsyncGenerator[Document | Failure, None]:
        for document in self.documents:
            yield document
