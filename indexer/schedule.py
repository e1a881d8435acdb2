"""Runs the sources that collections keep: one at a time in a process, each in one process at a time, under a lease."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from indexer.ingest import IndexSummary, ingest
from winnow.core.clock import Clock, utc_now
from winnow.core.documents import wire_document
from winnow.core.errors import WinnowError
from winnow.core.principal import Principal
from winnow.core.tenancy import plain_id
from winnow.core.types import Document
from winnow.operations.admission import Backlog
from winnow.operations.audit import audited
from winnow.operations.documents import see_documents
from winnow.operations.resources import Resources
from winnow.operations.submit import NothingAccepted, admit_upload, delete_by_id, parse_batch, submit
from winnow.ports import DocumentKey, Job, KeptSource, SourceClaim, SourceRun, Submission
from winnow.ports.source import SiteOptions, Source, SourceOptions

POLL_SECONDS: Final = 2.0
LEASE_SECONDS: Final = 60.0
PAGE_ROWS: Final = 1000
SHOWN_FAILURES: Final = 20
BULK_PRIORITY: Final = 0

_SITE: Final = frozenset(each.name for each in fields(SiteOptions))
_OWN: Final = ("base_url", "follow_links", "ocr")

log = logging.getLogger(__name__)


def open_kept(spec: str, options: Mapping[str, Any], state_dir: Path | None = None) -> Source:
    """Open a kept source, without reading it. Raises ``InvalidSource``."""
    from indexer.sources.build import open_source  # noqa: PLC0415 - a service starts without its parsers

    site = SiteOptions(**{name: value for name, value in options.items() if name in _SITE})
    own = {name: options[name] for name in _OWN if name in options}
    return open_source(spec, SourceOptions(**own, state_dir=state_dir, site=site))


@dataclass(frozen=True)
class CatalogTarget:
    """The catalog of this process as a place to send documents to.

    Attributes:
        tenant: of documents that name none.
        count: is told how many documents were ``accepted`` and ``rejected``.
    """

    resources: Resources
    principal: Principal
    tenant: str
    backlog: Backlog
    count: Callable[[str, int], None]

    async def submit(self, collection: str, documents: Sequence[Document], *, source: str) -> Submission:
        """As an upload of the same documents."""
        resources, principal = self.resources, self.principal
        terms = await admit_upload(
            resources, principal, self.backlog, collection, priority=BULK_PRIORITY, tenant=self.tenant
        )
        batch = await asyncio.to_thread(parse_batch, list(enumerate(map(wire_document, documents))), terms)
        rest: dict[str, Any] = {"source": source, "priority": BULK_PRIORITY, "count": self.count}
        try:
            return await submit(resources, principal, collection, batch, **rest, warn=lambda _: None)
        except NothingAccepted as error:
            return Submission("", 0, 0, error.rejected)

    async def delete(self, collection: str, document_ids: Sequence[str]) -> Submission:
        """Mark documents for deletion."""
        return await delete_by_id(self.resources, self.principal, collection, document_ids, tenant=self.tenant)

    async def job(self, job_id: str) -> Job:
        """Progress of a submission."""
        return await self.resources.catalog.jobs.get(job_id)

    async def keys(self, collection: str, *, source: str | None = None) -> AsyncIterator[DocumentKey]:
        """Page through the documents of the tenant; their ids are plain."""
        after = ""
        while True:
            page = await see_documents(
                self.resources.catalog,
                self.principal,
                collection,
                after=after,
                limit=PAGE_ROWS,
                source=source,
                tenant=self.tenant,
            )
            for key in page:
                yield replace(key, id=plain_id(key.id))
            if len(page) < PAGE_ROWS:
                return
            after = plain_id(page[-1].id)


class SourceSchedule:
    """Reads kept sources when they are due.

    Args:
        resources: of this process, in which a worker runs or does not: a run waits until its documents are indexed.
        count: is told how many documents were ``accepted`` and ``rejected``.
        clock: tells the time of day.
    """

    def __init__(
        self,
        resources: Resources,
        *,
        count: Callable[[str, int], None] = lambda *_: None,
        clock: Clock = utc_now,
    ) -> None:
        self._resources = resources
        self._catalog = resources.catalog
        self._count = count
        self._clock = clock
        self._backlog = Backlog(resources.settings.indexing.max_backlog)
        self.owner = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"

    async def run(self, stopped: asyncio.Event) -> None:
        """Run what is due until ``stopped``; then a run that is going on is given back, to be repeated."""
        while not stopped.is_set():
            try:
                busy = await self.run_once(stopped)
            except WinnowError as error:
                log.warning("kept sources wait: %s", error.message)
                busy = False
            if not busy:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), POLL_SECONDS)

    async def run_once(self, stopped: asyncio.Event) -> bool:
        """Run one source; false if none was due."""
        claim = await self._catalog.sources.claim(self.owner, seconds=LEASE_SECONDS)
        if claim is None:
            return False
        working = asyncio.create_task(self._carry_out(claim.source), name=f"source-{claim.source.id}")
        stopping = asyncio.create_task(stopped.wait())
        held = asyncio.create_task(self._hold(claim))
        try:
            await asyncio.wait({working, stopping, held}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await self._catalog.sources.finish(claim, working.result())
        finally:
            for task in (working, stopping, held):
                task.cancel()
            await asyncio.gather(working, stopping, held, return_exceptions=True)
            if stopped.is_set():
                await self._catalog.sources.release(claim)
        return True

    async def _hold(self, claim: SourceClaim) -> None:
        """Keep the lease; return once it is lost, or cannot be kept any more."""
        left = 3
        while left:
            await asyncio.sleep(LEASE_SECONDS / 4)
            try:
                if not await self._catalog.sources.renew(claim, seconds=LEASE_SECONDS):
                    return
                left = 3
            except WinnowError as error:
                log.warning("the lease of source %s is not renewed: %s", claim.source.id, error.message)
                left -= 1

    async def _carry_out(self, source: KeptSource) -> SourceRun:
        """Read the source into its collection; what goes wrong becomes a part of the outcome."""
        began = self._clock()
        principal = Principal("local", f"source {source.id}")
        place = {"collection": source.collection}
        try:
            async with audited(self._catalog.trail, principal, "sources.read", **place) as details:
                summary = await self._read(source, principal)
                run = _outcome(summary, began, self._clock())
                details.update(source=source.id, status=run.status, **run.documents)
        except WinnowError as error:
            run = _failed(source, error.code, error.message, began, self._clock())
        except Exception as error:  # a defect of one source must not keep the others from being read
            log.exception("source %s of %s failed", source.id, source.collection)
            run = _failed(source, "internal_error", type(error).__name__, began, self._clock())
        log.log(
            logging.INFO if run.status == "ok" else logging.WARNING,
            "source %s of %s: %s, %s",
            source.id,
            source.collection,
            run.status,
            ", ".join(f"{count} {name}" for name, count in run.documents.items()) or run.failures[0]["message"],
        )
        return run

    async def _read(self, source: KeptSource, principal: Principal) -> IndexSummary:
        settings, options = self._resources.settings, source.options
        opened = await asyncio.to_thread(open_kept, source.spec, options, settings.data_dir / "sources")
        return await ingest(
            CatalogTarget(self._resources, principal, source.tenant, self._backlog, self._count),
            source.collection,
            [opened],
            delete_missing=bool(options.get("delete_missing", True)),
            max_chars=settings.indexing.max_document_chars,
            tenant=source.tenant,
        )


def _outcome(summary: IndexSummary, began: datetime, ended: datetime) -> SourceRun:
    counts = {name: getattr(summary, name) for name in ("seen", "indexed", "unchanged", "deleted", "failed")}
    got = summary.indexed + summary.unchanged + summary.deleted
    status = "ok" if not summary.failures else "partial" if got else "failed"
    shown = summary.failures[:SHOWN_FAILURES]
    failures = tuple({"source": each.source, "code": each.code, "message": each.message} for each in shown)
    return SourceRun(status, began, ended, counts, failures)  # type: ignore[arg-type] # one of the three


def _failed(source: KeptSource, code: str, message: str, began: datetime, ended: datetime) -> SourceRun:
    return SourceRun("failed", began, ended, {}, ({"source": source.spec, "code": code, "message": message},))
