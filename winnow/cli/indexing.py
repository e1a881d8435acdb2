"""The work of ``winnow index``: send documents to a service and report the progress."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import typer
from watchfiles import awatch

from indexer import ingest
from indexer.bulk.options import RayOptions
from indexer.reading import DryRun, compare_sources
from winnow.cli.command import reach
from winnow.cli.console import err, note, print_json, progress_bar
from winnow.cli.options import collection_path
from winnow.cli.remote import Client, HttpTarget
from winnow.core.errors import CollectionNotFound, Forbidden, NotFound, WinnowError
from winnow.core.marks import wire_warnings
from winnow.core.settings import Settings
from winnow.core.settings.rerank import NoRerank
from winnow.core.text import counted
from winnow.ports.source import Failure, Notice, Source

STALLED_SECONDS = 10.0  # without progress, after which the service is asked whether a worker runs
SHOWN = 20  # failures and ids; --json prints all of them
MAX_NAME_CHARS = 240  # of a source in a message


@dataclass(frozen=True, slots=True)
class Indexing:
    """One run: where the documents come from, where they go, and how the result is printed.

    Attributes:
        fields: metadata keys that the command line declares, with their types.
        yes_delete: whether more than half of a source's documents may be deleted without asking.
        max_chars: longest text of a document.
        tenant: whose documents they are, where they do not say; by default the caller's own, or none's.
    """

    collection: str
    sources: Sequence[Source]
    fields: dict[str, str]
    delete_missing: bool
    yes_delete: bool
    max_chars: int
    as_json: bool
    tenant: str | None = None

    async def run(
        self, settings: Settings, url: str | None, bulk: RayOptions | None, *, dry_run: bool, watched: Sequence[str]
    ) -> int:
        """Index once, and again whenever ``watched`` paths change; returns the failures of the last time."""
        if bulk is not None:
            settings = settings.model_copy(update={"rerank": NoRerank()})  # this process serves no searches
        async with reach(settings, url, bulk=None if dry_run else bulk) as client:
            _end_on_sigterm()
            if dry_run:
                return await self._dry_run(client)
            fields = {key: kind for source in self.sources for key, kind in source.fields.items()} | self.fields
            path = collection_path(self.collection)
            before = await _ensured(client, path, {"fields": fields} if fields else {})
            failed = await self._index(client)
            if before.get("awaits_model"):
                _note_choice(await client.call("GET", path))
            if watched:
                note(f"watching {', '.join(watched)}; Ctrl-C stops")
                async for _ in awatch(*watched):
                    failed = await self._index(client)
            return failed

    async def _index(self, client: Client) -> int:
        began = time.perf_counter()
        with progress_bar(f"indexing {self.collection}", keep=True) as show:
            done = 0

            def on_progress(state: ingest.IngestProgress) -> None:
                nonlocal done
                done = state.done
                seconds = time.perf_counter() - began
                rate = f"{state.done / seconds:,.0f}" if seconds > 0.5 else "–"
                total = None if state.expected is None else max(state.expected, state.done)
                show(state.done, total, f"{rate}/s, {counted(state.chunks, 'chunk')}")

            waiting = asyncio.create_task(_note_missing_worker(client, lambda: done))
            try:
                summary = await ingest.ingest(
                    HttpTarget(client, self.tenant),
                    self.collection,
                    self.sources,
                    delete_missing=self.delete_missing,
                    may_delete=self._may_delete,
                    max_chars=self.max_chars,
                    tenant=self.tenant or "",
                    on_progress=on_progress,
                )
            finally:
                waiting.cancel()
        if self.as_json:
            print_json(_as_json(summary))
        else:
            _print(summary)
        return summary.failed

    def _may_delete(self, label: str, missing: int, known: int) -> bool:
        """Ask on the terminal; without one the answer is no."""
        question = f"{label}: {missing:,} of {counted(known, 'document')} were not found. Delete them?"
        return self.yes_delete or (sys.stdin.isatty() and typer.confirm(question, err=True))

    async def _dry_run(self, client: Client) -> int:
        try:
            known = {key.id: key async for key in HttpTarget(client, self.tenant).keys(self.collection)}
        except CollectionNotFound:
            note(f"collection {self.collection} does not exist yet; it would be created")
            known = {}
        found = await compare_sources(
            known, self.collection, self.sources, delete_missing=self.delete_missing, tenant=self.tenant or ""
        )
        if self.as_json:
            print_json(asdict(found))
        else:
            _print_plan(found)
        return len(found.failures)


def _end_on_sigterm() -> None:
    """Have SIGTERM end the command as Ctrl-C does, so that the work which it claimed is given back at once.

    Called when all is open, because Ray replaces the handler with its own when it starts.
    """
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)


def _note_choice(collection: dict[str, Any]) -> None:
    """Say which model the first documents have chosen."""
    if collection["awaits_model"]:  # nothing was accepted
        return
    name, model = collection["name"], collection["identity"]["model"]
    other = "english" if "multilingual" in model else "multilingual"
    note(
        f"{name} is embedded with {model}, which its first documents chose by their language; "
        f"`winnow reembed -c {name} --model {other}` changes it"
    )


async def _ensured(client: Client, path: str, spec: dict[str, Any]) -> Any:
    """Create or check the collection; with a key that may not, only see that it exists."""
    try:
        return await client.call("PUT", path, spec)
    except Forbidden as refused:
        try:
            return await client.call("GET", path)
        except NotFound:
            raise refused from None


async def _note_missing_worker(client: Client, done: Callable[[], int]) -> None:
    """Say so once if nothing is ``done`` for a while and the service knows that no worker takes the documents."""
    before = -1
    while True:
        if done() == before:
            with suppress(WinnowError):  # a service that is not ready has another trouble
                workers = (await client.call("GET", "/readyz"))["checks"].get("workers", {})
                if workers.get("status") == "warning":
                    note(workers["reason"])
                    return
        before = done()
        await asyncio.sleep(STALLED_SECONDS)


def _as_json(summary: ingest.IndexSummary) -> dict[str, Any]:
    counts = ("seen", "indexed", "unchanged", "deleted", "failed")
    return {
        "collection": summary.collection,
        "documents": {name: getattr(summary, name) for name in counts},
        "chunks_embedded": summary.chunks_embedded,
        "chunks_unread": summary.chunks_unread,
        "seconds": round(summary.seconds, 3),
        "failures": [{"source": item.source, "code": item.code, "message": item.message} for item in summary.failures],
        "warnings": [{"id": id_, **row} for id_, each in summary.warnings for row in wire_warnings([each])],
        "left_out": [asdict(item) for item in summary.notices],
    }


def _print(summary: ingest.IndexSummary) -> None:
    rate = f" ({summary.indexed / summary.seconds:,.0f} documents/s)" if summary.indexed and summary.seconds else ""
    _say(
        f"{summary.collection}: {summary.seen:,} seen, {summary.indexed:,} indexed, {summary.unchanged:,} unchanged, "
        f"{summary.deleted:,} deleted, {summary.failed:,} failed; {counted(summary.chunks_embedded, 'chunk')} embedded "
        f"in {summary.seconds:.1f} s{rate}"
    )
    if summary.chunks_unread:
        unread = counted(summary.chunks_unread, "chunk")
        _say(f"  {unread} that the embedding model cannot read: found by keywords alone", style="yellow")
    _print_failures(summary.failures)
    _print_notices(summary.notices)
    for id_, warning in summary.warnings[:SHOWN]:
        _say(f"  {id_}: {warning.message} ({warning.code})", style="yellow")
    if len(summary.warnings) > SHOWN:
        _say(f"  … {len(summary.warnings) - SHOWN:,} more (--json prints all)", style="yellow")


def _print_plan(found: DryRun) -> None:
    _say(
        f"would index {len(found.new):,} new and {counted(len(found.changed), 'changed document')}, skip "
        f"{found.unchanged:,} unchanged, delete {len(found.missing):,}; {len(found.failures):,} cannot be read"
    )
    for sign, ids in (("+", found.new), ("~", found.changed), ("-", found.missing)):
        for name in ids[:SHOWN]:
            _say(f"  {sign} {name}")
        if len(ids) > SHOWN:
            _say(f"  {sign} … {len(ids) - SHOWN:,} more")
    _print_failures(found.failures)
    _print_notices(found.notices)


def _print_failures(failures: Sequence[Failure]) -> None:
    for failure in failures[:SHOWN]:
        _say(f"  {_shortened(failure.source)}: {failure.message} ({failure.code})", style="red")
    if len(failures) > SHOWN:
        _say(f"  … {len(failures) - SHOWN:,} more (--json prints all)", style="red")


def _shortened(name: str) -> str:
    """A name for a terminal: of one that is too long its beginning and its end."""
    return name if len(name) <= MAX_NAME_CHARS else f"{name[: MAX_NAME_CHARS // 2]}…{name[-MAX_NAME_CHARS // 2 :]}"


def _print_notices(notices: Sequence[Notice]) -> None:
    for notice in notices[:SHOWN]:
        _say(f"  {notice.source}: {notice.message}", style="dim")
    if len(notices) > SHOWN:
        _say(f"  … {len(notices) - SHOWN:,} more (--json prints all)", style="dim")


def _say(line: str, style: str = "") -> None:
    err().print(line, markup=False, style=style)
