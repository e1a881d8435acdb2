"""``winnow eval``: run judged queries in four ways and report the quality of each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winnow.cli.command import configure, hosting, run_loop
from winnow.cli.console import note, out, print_json, progress_bar
from winnow.cli.from_clicks import measure_clicks
from winnow.cli.options import DataDir, Json, Url, collection_path
from winnow.core.errors import InvalidSettings
from winnow.core.text import counted

if TYPE_CHECKING:
    from winnow.core.settings import Settings
    from winnow.core.types import Document, FieldType
    from winnow.evaluation.dataset import Dataset
    from winnow.evaluation.evaluate import Evaluation
    from winnow.ports.source import Failure

COLLECTION = "eval"


def evaluate(
    data: Annotated[Path | None, typer.Option(help="Folder with corpus.jsonl, queries.jsonl and qrels.tsv.")] = None,
    from_clicks: Annotated[
        bool, typer.Option("--from-clicks", help="Measure a collection on what its visitors clicked.")
    ] = False,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="With --from-clicks, the collection.", metavar="NAME")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="With --from-clicks, whose searches.", metavar="NAME")] = None,
    save: Annotated[
        Path | None,
        typer.Option(help="With --from-clicks, write queries.jsonl and qrels.tsv to this folder.", metavar="FOLDER"),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a report with a chart to this file.")] = None,
    keep: Annotated[Path | None, typer.Option(help="With --data, keep the index in this directory.")] = None,
    max_queries: Annotated[int | None, typer.Option(help="Run the first N queries only.", min=1)] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Measure nDCG@10, Recall@100 and MRR@10 of keyword, dense, hybrid and two-stage search."""
    from winnow.evaluation.metrics import require_metrics
    from winnow.evaluation.views import clicks_to_json, render_html, render_table, to_json

    require_metrics()
    if from_clicks:
        _refuse("--from-clicks", {"--data": data, "--keep": keep})
        if collection is None:
            raise InvalidSettings("--from-clicks needs -c NAME, the collection that visitors searched")
        report, judged = measure_clicks(collection, tenant, save, max_queries, url, configure(data_dir))
        shown = to_json(report) | {"from_clicks": clicks_to_json(judged, report)}
    else:
        if data is None:
            raise InvalidSettings("name a test collection with --data FOLDER, or measure with --from-clicks -c NAME")
        _refuse("--data", {"-c": collection, "--tenant": tenant, "--save": save, "--url": url, "--data-dir": data_dir})
        report = _measure_folder(data, keep, max_queries)
        shown = to_json(report)
    if html is not None:
        html.write_text(render_html(report), encoding="utf-8")
        note(f"wrote {html}")
    if json:
        print_json(shown)
    else:
        out().print(render_table(report))


def _refuse(option: str, others: Mapping[str, object]) -> None:
    if wrong := [name for name, value in others.items() if value is not None]:
        raise InvalidSettings(f"{' and '.join(wrong)} cannot be combined with {option}")


def _measure_folder(data: Path, keep: Path | None, max_queries: int | None) -> Evaluation:
    from tempfile import TemporaryDirectory

    from winnow.evaluation.dataset import load_dataset
    from winnow.evaluation.runs import for_measurement

    dataset = load_dataset(data)
    if dataset.blank:
        note(f"ignored {counted(len(dataset.blank), 'query')} without text, the first is {dataset.blank[0]!r}")
    if max_queries is not None:
        dataset = replace(dataset, queries=dict(list(dataset.queries.items())[:max_queries]))
    with ExitStack() as stack:
        home = keep or Path(stack.enter_context(TemporaryDirectory(prefix="winnow-eval-")))
        return run_loop(_evaluate(dataset, for_measurement(configure(home / dataset.name))))


async def _evaluate(dataset: Dataset, settings: Settings) -> Evaluation:
    from indexer.ingest import ingest
    from winnow.background import running
    from winnow.cli.remote import HttpTarget
    from winnow.evaluation.evaluate import evaluate
    from winnow.runtime import open_local

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
