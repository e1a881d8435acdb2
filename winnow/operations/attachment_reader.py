"""Reading of attached files into documents, in the background of a service.

An attachment is stored before its request is answered. Any replica reads it, under a lease: one that ends meanwhile
leaves it to another.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import PurePosixPath
from typing import IO, Final

from winnow.core.errors import InvalidInput, NotFound, WinnowError
from winnow.core.principal import LOCAL
from winnow.core.tenancy import plain_id, qualify_id, tenant_of
from winnow.core.types import PLAIN, Document
from winnow.operations.attachments import remove_documents, row_id
from winnow.operations.attributes import Attributes, declare
from winnow.operations.resources import Resources
from winnow.operations.submit import INTERACTIVE, CountDocuments, NothingAccepted, ParsedBatch, UploadTerms, submit
from winnow.operations.uploads import Upload, read_uploads
from winnow.ports import ReadingClaim, UploadedFile

POLL_SECONDS: Final = 10.0
LEASE_SECONDS: Final = 60.0  # renewed while a file is read
AT_ONCE: Final = 4
ATTEMPTS: Final = 5
MAX_TITLE_LINE: Final = 200  # characters of a first line that is a title
_PAUSE: Final = 5.0  # while storage cannot take what was read
_IN_MEMORY: Final = 4 * 2**20
_MANY: Final = 3  # rejected rows that an error names
_EXPIRED: Final = 20
PLAIN_SUFFIXES: Final = frozenset(
    f".{each}"
    for each in "c cc cfg conf cpp cs css go h hpp ini java js json kt log lua php pl py rb rs sh sql swift tex toml "
    "ts tsx xml yaml yml".split()
)
"""Suffixes of files that are read as plain text here, for which the parser has no format."""

log = logging.getLogger(__name__)


class AttachmentReader:
    """Reads attached files, some at a time, and deletes files whose time is over.

    Args:
        resources: gives the open resources.
        count, warn: as ``submit`` takes them.
    """

    def __init__(
        self, resources: Callable[[], Resources], *, count: CountDocuments, warn: Callable[[str], None]
    ) -> None:
        self._resources = resources
        self._count = count
        self._warn = warn
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Tell about new attachments of this process; those of others are found by looking."""
        self._woken.set()

    def start(self) -> None:
        """Begin to read, in a task."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End the task; what it was reading is read again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def read_all(self) -> None:
        """Read what is due, some files at a time."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_on(group, AT_ONCE - 1))

    async def _read_on(self, group: asyncio.TaskGroup, others: int) -> None:
        """Read one file after the other; the first one found starts the next of ``others`` tasks."""
        while (claim := await self._claim()) is not None:
            if others:
                group.create_task(self._read_on(group, others - 1))
                others = 0
            await self.read(claim)

    async def _claim(self) -> ReadingClaim | None:
        """The next file; one that is claimed while the process ends is given back, so that none waits for its lease."""
        files = self._resources().catalog.files
        claiming = asyncio.ensure_future(files.claim(lease_seconds=LEASE_SECONDS))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            if (claim := await claiming) is not None:
                await files.put_off(claim, seconds=0, tried=False)
            raise

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self.read_all()
                await self.expire()
            except* WinnowError as errors:
                log.warning("attached files are not read: %s", errors.exceptions[0])
            except* Exception:
                log.exception("reading an attached file failed")
            try:
                await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)
            except TimeoutError:
                continue

    async def expire(self) -> None:
        """Delete files whose time is over, and the documents that were read from them."""
        resources = self._resources()
        for file in await resources.catalog.files.expired(limit=_EXPIRED):
            qualified = qualify_id(file.tenant, file.id)
            for name in await resources.catalog.files.collections_with(qualified):
                await remove_documents(resources, LOCAL, name, qualified)
            await resources.catalog.files.remove(file.id)

    async def read(self, claim: ReadingClaim) -> None:
        """Read one file, and record how that ended; where the process ends meanwhile, another one need not wait."""
        try:
            await self._read(claim)
        except asyncio.CancelledError:
            await self._resources().catalog.files.put_off(claim, seconds=0, tried=False)
            raise

    async def _read(self, claim: ReadingClaim) -> None:
        files = self._resources().catalog.files
        if claim.attachment.attempts > ATTEMPTS:
            message = f"reading it did not end in {ATTEMPTS} attempts"
            await files.settle(claim, "failed", error_code="server_error", error=message)
            return
        try:
            async with self._held(claim):
                error = await self._submit(claim)
        except (NothingAccepted, InvalidInput, NotFound) as refused:
            code = refused.rejected[0].code if isinstance(refused, NothingAccepted) else refused.code
            message = refused.rejected[0].message if isinstance(refused, NothingAccepted) else refused.message
            await files.settle(claim, "failed", error_code=code, error=message)
        except WinnowError as failure:  # storage is busy, full or away: what was acknowledged waits for it
            log.warning("a file cannot be read now: %s", failure.message)
            await files.put_off(claim, seconds=failure.retry_after or _PAUSE, tried=False)
        else:
            code = "invalid_file" if error else ""
            if not await files.settle(claim, "read", error_code=code, error=error):
                await self._look_again(claim)

    @asynccontextmanager
    async def _held(self, claim: ReadingClaim) -> AsyncIterator[None]:
        """Renew the lease of a claim for as long as the block takes."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(LEASE_SECONDS / 3)
                with suppress(WinnowError):  # then the lease may end, and the file is read twice, to the same end
                    await self._resources().catalog.files.put_off(claim, seconds=LEASE_SECONDS)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])

    async def _look_again(self, claim: ReadingClaim) -> None:
        """The attachment changed while its file was read: remove its documents if it is gone."""
        resources, qualified = self._resources(), claim.attachment.id
        try:
            found = await resources.catalog.files.attachments(
                claim.collection, tenant=tenant_of(qualified), among=[qualified]
            )
            if not found or found[0].state == "cancelled":
                await remove_documents(resources, LOCAL, claim.collection, qualified)
        except NotFound:
            return  # the collection was deleted meanwhile

    async def _submit(self, claim: ReadingClaim) -> str:
        """Submit the documents of a file; returns which of its rows were left out, and why."""
        resources, attachment, file = self._resources(), claim.attachment, claim.file
        collection, (attributes,) = await declare(resources, LOCAL, claim.collection, [attachment.attributes])
        limit = resources.settings.indexing.max_document_chars
        terms = UploadTerms(collection.fields, limit, tenant_of(attachment.id))
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as content:
            async for piece in resources.catalog.files.content(file.id):
                await asyncio.to_thread(content.write, piece)
            content.seek(0)
            upload = Upload(as_upload(file.id, file.filename, file.content_type, content), {"id": file.id})
            batch = await read_uploads(resources.files, [upload], terms)
        named = _as_documents(batch, claim, attributes)
        submission = await submit(
            resources,
            LOCAL,
            claim.collection,
            named,
            source="",
            priority=INTERACTIVE,
            count=self._count,
            warn=self._warn,
        )
        left_out = [each.message for each in submission.rejected]
        more = f" (and {len(left_out) - _MANY} more)" if len(left_out) > _MANY else ""
        return f"{len(left_out)} rows were left out: {'; '.join(left_out[:_MANY])}{more}" if left_out else ""


def as_upload(file_id: str, filename: str, content_type: str, content: IO[bytes]) -> UploadedFile:
    """A file for the parser; source code and the like are read as plain text."""
    plain = "txt" if PurePosixPath(filename).suffix.lower() in PLAIN_SUFFIXES else ""
    return UploadedFile(filename, content, content_type, plain, file_id)


def _as_documents(batch: ParsedBatch, claim: ReadingClaim, attributes: Attributes) -> ParsedBatch:
    """The documents with the attributes, and ids that begin with that of the file where they are rows."""
    file_id, tenant = claim.file.id, tenant_of(claim.attachment.id)
    documents: list[Document] = []
    for number, document in enumerate(batch.documents):
        named = row_id(plain_id(document.id), file_id, number)
        metadata = {**document.metadata, **attributes}
        title = _title_of(document, claim.file.filename)
        documents.append(replace(document, id=qualify_id(tenant, named), title=title, metadata=metadata))
    return replace(batch, documents=documents)


def _title_of(document: Document, filename: str) -> str:
    """The title; of a plain text its first line, if that is one by itself, in place of the file's name.

    Files are often named by number, and every chunk of a document is read with its title.
    """
    if document.source_format not in PLAIN or document.title != PurePosixPath(filename).stem:
        return document.title
    line, _, rest = document.text.partition("\n")
    alone = rest.startswith("\n") and bool(rest.strip())
    return line.strip() if alone and 0 < len(line.strip()) <= MAX_TITLE_LINE else document.title
