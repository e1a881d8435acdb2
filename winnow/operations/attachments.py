"""Files of a collection: kept files that are attached to it, and the documents that came another way.

A file's documents have its id: the one document the id itself, rows of a table the id, ``#`` and their own. So the
files of a collection are its documents by id, rows taken together, and the files that have no document yet, or none.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, TypeAlias

from winnow.core.access import view_of
from winnow.core.acl import AccessView
from winnow.core.clock import utc_now
from winnow.core.documents import MAX_ID_CHARS
from winnow.core.errors import DocumentNotFound, InvalidInput, NotFound
from winnow.core.ids import new_id
from winnow.core.missing import missing_batch, withheld
from winnow.core.principal import Principal
from winnow.core.tenancy import plain_id, qualify_id
from winnow.core.types import Document
from winnow.operations import submit as submitting
from winnow.operations.admission import Backlog
from winnow.operations.attributes import Attributes, check_attributes, declare, plain_attributes
from winnow.operations.audit import audited, event_of
from winnow.operations.documents import find_document, see_documents
from winnow.operations.kept_files import READERS, see_file, sees_file
from winnow.operations.resources import Resources
from winnow.ports import Attachment, AttachmentBatch, Catalog, StoredDocument
from winnow.ports.kept_files import ROW_MARK

MAX_BATCH: Final = 2000
FileStatus: TypeAlias = Literal["in_progress", "completed", "failed", "cancelled"]
_KEPT_ID: Final = re.compile(r"file-[0-9A-Z]{26}(?=#|$)")
_LAST: Final = ROW_MARK + "\U0010ffff"
_STATES: Final[dict[str, FileStatus]] = {"pending": "in_progress", "indexed": "completed", "failed": "failed"}


@dataclass(frozen=True, slots=True)
class CollectionFile:
    """A file of a collection.

    Attributes:
        size: in bytes; 0 where the documents came another way.
        error_code, error: why it failed, or which part of it did.
    """

    id: str
    filename: str
    size: int
    status: FileStatus
    attributes: Attributes
    created_at: datetime | None
    error_code: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class FileToAttach:
    """A kept file by its id, and the attributes that its documents are to have."""

    file_id: str
    attributes: Attributes


def file_of(document_id: str) -> str:
    """The id of the file that a document is of: its own, unless it is a row of a kept file."""
    found = _KEPT_ID.match(document_id)
    return found[0] if found else document_id


def is_kept_id(file_id: str) -> bool:
    """Whether this can be the id of a kept file."""
    return _KEPT_ID.fullmatch(file_id) is not None


async def row_ids(catalog: Catalog, name: str, qualified: str) -> list[str]:
    """The qualified ids of the documents that a file has for its rows. Raises ``CollectionNotFound``."""
    start, ids = qualified + ROW_MARK, list[str]()
    async for row in catalog.documents.scan_keys(name, after=start):
        if not row.key.id.startswith(start):
            break
        ids.append(row.key.id)
    return ids


async def attach_files(
    resources: Resources,
    principal: Principal,
    backlog: Backlog,
    name: str,
    files: Sequence[FileToAttach],
    *,
    as_batch: bool = False,
) -> str:
    """Attach kept files to a collection, to be read soon; that is stored on return. One that is there is read again.

    Returns:
        The id of the batch; empty for none.

    Raises:
        CollectionNotFound, FileNotFound: the collection or a file does not exist.
        Forbidden: an attribute is not a field yet, and the principal may not declare fields.
        InvalidInput: attributes cannot be fields, or there are too many files.
        Overloaded: too many documents wait already.
    """
    principal.require("documents:write", collection=name)
    view, catalog = view_of(principal), resources.catalog
    await catalog.collections.get(name)
    await backlog.require_room(catalog.queue, bulk=False)
    if not 1 <= len(files) <= MAX_BATCH:
        raise InvalidInput(f"a batch has 1 to {MAX_BATCH} files, not {len(files)}", location=("file_ids",))
    wanted = {each.file_id: check_attributes(each.attributes) for each in files}
    kept = [await see_file(catalog, principal, each, tenant=view.tenant) for each in wanted]
    _, typed = await declare(resources, principal, name, wanted.values())
    batch = AttachmentBatch(new_id("vsfb"), view.tenant, utc_now()) if as_batch else None
    attachments = [
        Attachment(
            qualify_id(view.tenant, file.id), file.filename, file.size, attributes, batch=batch.id if batch else ""
        )
        for file, attributes in zip(kept, typed, strict=True)
    ]
    await catalog.files.attach(name, attachments, batch)
    ids = [file.id for file in kept]
    only = ids[0] if len(ids) == 1 else ""
    catalog.trail.note(event_of(principal, "files.attach", collection=name, document=only, files=len(ids)))
    return "" if batch is None else batch.id


async def see_attached(catalog: Catalog, principal: Principal, name: str, file_id: str) -> CollectionFile:
    """One file of a collection. Raises ``CollectionNotFound``, and ``DocumentNotFound`` where it has no such file."""
    principal.require(*READERS, collection=name)
    view = view_of(principal)
    qualified = qualify_id(view.tenant, file_id)
    for each in await catalog.files.attachments(name, tenant=view.tenant, among=[qualified]):
        if _is_there(each) and await _shows(catalog, principal, view, name, each):
            return _of_attachment(each)
    return _of_document(await find_document(catalog, principal, name, file_id, None))


async def see_attached_files(
    catalog: Catalog,
    principal: Principal,
    name: str,
    *,
    after: str = "",
    descending: bool = False,
    limit: int,
    status: FileStatus | None = None,
) -> Sequence[CollectionFile]:
    """Files by id, those beyond ``after`` (before it, if ``descending``). Raises ``CollectionNotFound``."""
    principal.require("documents:read", collection=name)
    await catalog.collections.get(name)
    found: list[CollectionFile] = []
    while len(found) < limit:
        page, more = await _page(catalog, principal, name, after=after, descending=descending, limit=limit + 1)
        found += [each for each in page if status is None or each.status == status]
        if not more:
            break
        after = more
    return found[:limit]


async def _page(
    catalog: Catalog, principal: Principal, name: str, *, after: str, descending: bool, limit: int
) -> tuple[list[CollectionFile], str]:
    """Some files by id, and the id after which there may be more; empty where there are none."""
    view = view_of(principal)
    beyond = after + _LAST if after and not descending and _KEPT_ID.fullmatch(after) else after
    keys = await see_documents(catalog, principal, name, after=beyond, descending=descending, limit=limit)
    start = qualify_id(view.tenant, after) if after else ""
    attached = await catalog.files.attachments(
        name, tenant=view.tenant, after=start, descending=descending, limit=limit
    )
    files = {plain_id(each.id): each for each in attached}
    seen = dict.fromkeys(file_of(plain_id(key.id)) for key in keys)
    ends = [list(ids)[-1] for ids, found in ((seen, keys), (files, attached)) if len(found) == limit]
    end = (max(ends) if descending else min(ends)) if ends else ""
    ids = sorted(seen.keys() | files.keys(), reverse=descending)
    if end:
        ids = ids[: ids.index(end) + 1]
    page: list[CollectionFile] = []
    for file_id in ids:
        attachment = files.get(file_id)
        if attachment is None and _KEPT_ID.fullmatch(file_id):
            among = [qualify_id(view.tenant, file_id)]
            attachment = next(iter(await catalog.files.attachments(name, tenant=view.tenant, among=among)), None)
        if attachment is not None and _is_there(attachment):
            if file_id in seen or view.is_whole or await _is_ones_own(catalog, principal, file_id):
                page.append(_of_attachment(attachment))
        elif file_id in seen:
            page.append(_of_document(await find_document(catalog, principal, name, file_id, None)))
    return page, end


async def detach_file(resources: Resources, principal: Principal, name: str, file_id: str) -> None:
    """Remove a file from a collection, with its documents; a kept file stays. Raises as ``see_attached``."""
    principal.require("documents:write", collection=name)
    await see_attached(resources.catalog, principal, name, file_id)
    await remove_documents(resources, principal, name, qualify_id(view_of(principal).tenant, file_id))


async def remove_documents(resources: Resources, principal: Principal, name: str, qualified: str) -> None:
    """Detach a file that the principal may write, and mark its documents for deletion."""
    await resources.catalog.files.detach(name, qualified)
    ids = [each.document.id async for each in _documents(resources.catalog, name, qualified)]
    if ids:
        await submitting.delete_qualified(resources, principal, name, ids)


async def delete_file(resources: Resources, principal: Principal, file_id: str) -> None:
    """Delete a kept file, and remove it from every collection that the principal sees.

    Raises:
        Forbidden: the principal may not write documents.
        FileNotFound: there is no such file, or the principal does not see it.
    """
    catalog = resources.catalog
    file = await see_file(catalog, principal, file_id, "documents:write")
    qualified = qualify_id(file.tenant, file_id)
    async with audited(catalog.trail, principal, "file.delete", ids=[file_id]):
        for name in await catalog.files.collections_with(qualified):
            if principal.sees(name):
                await remove_documents(resources, principal, name, qualified)
        await catalog.files.remove(file_id)


async def describe_file(
    resources: Resources, principal: Principal, name: str, file_id: str, attributes: Attributes
) -> CollectionFile:
    """Replace the attributes of a file of a collection, and index its documents with them.

    Raises:
        CollectionNotFound, DocumentNotFound: the collection does not exist, or has no such file.
        Forbidden: an attribute is not a field yet, and the principal may not declare fields.
        InvalidInput: attributes cannot be fields.
    """
    principal.require("documents:write", collection=name)
    catalog, qualified = resources.catalog, qualify_id(view_of(principal).tenant, file_id)
    before = await see_attached(catalog, principal, name, file_id)
    _, (typed,) = await declare(resources, principal, name, [check_attributes(attributes)])
    await catalog.files.describe(name, qualified, typed)
    changed: list[Document] = []
    async for stored in _documents(catalog, name, qualified):
        others = {key: value for key, value in stored.document.metadata.items() if key not in before.attributes}
        changed.append(replace(stored.document, metadata={**others, **typed}))
    if changed:
        await submitting.submit_again(resources, principal, name, changed)
    return await see_attached(catalog, principal, name, file_id)


async def texts_of_file(catalog: Catalog, principal: Principal, name: str, file_id: str) -> list[str]:
    """The canonical texts of a file's documents, in the order of ids. Raises as ``see_attached``."""
    principal.require("documents:read", collection=name)
    await see_attached(catalog, principal, name, file_id)
    qualified = qualify_id(view_of(principal).tenant, file_id)
    texts: list[str] = []
    async for stored in _documents(catalog, name, qualified):
        try:
            seen = await find_document(catalog, principal, name, plain_id(stored.document.id), None)
        except DocumentNotFound:  # a row that this principal does not see
            continue
        texts.append(seen.document.text)
    return texts


async def see_batch(
    catalog: Catalog, principal: Principal, name: str, batch_id: str
) -> tuple[AttachmentBatch, list[CollectionFile]]:
    """A batch and its files. Raises ``CollectionNotFound`` and ``FileNotFound``."""
    principal.require(*READERS, collection=name)
    view = view_of(principal)
    batch = await catalog.files.batch(name, batch_id)
    if batch.tenant != view.tenant:
        raise withheld(missing_batch(batch_id))
    attached = await catalog.files.attachments(name, tenant=view.tenant, batch=batch_id, limit=MAX_BATCH)
    shown = [each for each in attached if await _shows(catalog, principal, view, name, each)]
    if not shown and attached:
        raise withheld(missing_batch(batch_id))
    return batch, [_of_attachment(each) for each in shown if _is_there(each)]


async def cancel_batch(resources: Resources, principal: Principal, name: str, batch_id: str) -> None:
    """Cancel the files of a batch that have not been read. Raises as ``see_batch``."""
    principal.require("documents:write", collection=name)
    await see_batch(resources.catalog, principal, name, batch_id)
    await resources.catalog.files.cancel_batch(name, batch_id)


def row_id(own: str, file_id: str, number: int) -> str:
    """The id of a file's document ``number``: the file's, or where it is a row one that begins with the file's."""
    if own == file_id or own.startswith(file_id + ROW_MARK):
        return own
    named = f"{file_id}{ROW_MARK}{own}"
    return named if len(named) <= MAX_ID_CHARS else f"{file_id}{ROW_MARK}{number}"


def _is_there(attachment: Attachment) -> bool:
    """False where the documents that were read from it have been deleted."""
    return attachment.state != "read" or bool(attachment.documents)


async def _shows(catalog: Catalog, principal: Principal, view: AccessView, name: str, attachment: Attachment) -> bool:
    """Whether the principal sees a document of an attachment, or uploaded the file itself."""
    file_id = plain_id(attachment.id)
    if view.is_whole or await _is_ones_own(catalog, principal, file_id):
        return True
    try:
        await find_document(catalog, principal, name, file_id, None)
    except DocumentNotFound:
        if not principal.may("documents:read"):
            return False
        rows = await see_documents(catalog, principal, name, after=file_id + ROW_MARK, limit=1)
        return any(file_of(plain_id(row.id)) == file_id for row in rows)
    return True


async def _is_ones_own(catalog: Catalog, principal: Principal, file_id: str) -> bool:
    try:
        return sees_file(principal, await catalog.files.get(file_id))
    except NotFound:
        return False


async def _documents(catalog: Catalog, name: str, qualified: str) -> AsyncIterator[StoredDocument]:
    """The documents of a file: the one of its id, or its rows. Raises ``CollectionNotFound``."""
    has_rows = _KEPT_ID.fullmatch(plain_id(qualified)) is not None
    for each in [qualified, *(await row_ids(catalog, name, qualified) if has_rows else ())]:
        try:
            yield await catalog.documents.get(name, each)
        except DocumentNotFound:
            continue


def _of_attachment(attachment: Attachment) -> CollectionFile:
    states = attachment.documents
    code, error = attachment.error_code, attachment.error
    match attachment.state:
        case "waiting":
            status: FileStatus = "in_progress"
        case "failed":
            status = "failed"
        case "cancelled":
            status = "cancelled"
        case "read":
            some = "pending" if states.get("pending") else "indexed" if states.get("indexed") else "failed"
            status = _STATES[some]
            if states.get("failed"):
                code, error = "server_error", attachment.document_error or error
    return CollectionFile(
        plain_id(attachment.id),
        attachment.filename,
        attachment.size,
        status,
        plain_attributes(attachment.attributes),
        attachment.created_at,
        code,
        error,
    )


def _of_document(stored: StoredDocument) -> CollectionFile:
    document = stored.document
    file_id = plain_id(document.id)
    return CollectionFile(
        file_id,
        document.title or file_id,
        0,
        _STATES.get(stored.state, "in_progress"),
        plain_attributes(document.metadata),
        stored.updated_at,
        stored.error_code,
        stored.error,
    )
