"""Files of conversations, kept in one collection under ids that the chat application gives them.

A file is a document of its id, or the rows of a table as documents whose ids begin with it. Its owner, a user or an
agent, is the only one on the documents' access list.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from winnow.core.access import view_of
from winnow.core.acl import Acl
from winnow.core.documents import MAX_ID_CHARS
from winnow.core.errors import CollectionNotFound, InvalidInput, NotFound
from winnow.core.missing import missing_document
from winnow.core.principal import LOCAL, Principal
from winnow.core.tenancy import plain_id, qualify_id
from winnow.core.types import Document, FieldType
from winnow.operations import submit as submitting
from winnow.operations.admission import Backlog
from winnow.operations.attachments import row_id, row_ids
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.operations.documents import find_document
from winnow.operations.resources import Resources
from winnow.operations.submit import INTERACTIVE, ParsedBatch, UploadTerms, admit_upload
from winnow.operations.uploads import Upload, read_uploads
from winnow.ports import Catalog, Submission, UploadedFile
from winnow.ports.kept_files import ROW_MARK

FILE_FIELD: Final = "file_id"
SOURCE_KEY: Final = "source"
_FIELDS: Final[dict[str, FieldType]] = {FILE_FIELD: "keyword"}
_MAX_FILE_ID: Final = MAX_ID_CHARS // 2


@dataclass(frozen=True, slots=True)
class ChatFile:
    """A file of a conversation; without an ``owner`` all callers of the collection see it."""

    id: str
    owner: str
    content: UploadedFile


class DeletedFiles(NamedTuple):
    """The job that deletes files, empty where there are none, and the ids of those that do not exist."""

    job_id: str
    missing: Sequence[str]


async def read_chat_file(
    resources: Resources, principal: Principal, backlog: Backlog, name: str, file: ChatFile
) -> ParsedBatch:
    """Parse a file into documents of a collection, which is made where it does not exist.

    Raises:
        Forbidden: the principal may not write documents.
        InvalidInput: the id is empty or too long.
        Overloaded: too many documents wait already.
    """
    principal.require("documents:write", collection=name)
    if not 0 < len(file.id) <= _MAX_FILE_ID or ROW_MARK in file.id:
        message = f"file_id has 1 to {_MAX_FILE_ID} characters, and no {ROW_MARK}"
        raise InvalidInput(message, location=("file_id",))
    await _ensure(resources, name)
    terms = await admit_upload(resources, principal, backlog, name, priority=INTERACTIVE)
    batch = await read_uploads(resources.files, [Upload(file.content, {"id": file.id})], terms)
    return replace(batch, documents=[_owned(each, n, file, terms.tenant) for n, each in enumerate(batch.documents)])


async def submit_chat_file(
    resources: Resources,
    principal: Principal,
    name: str,
    batch: ParsedBatch,
    file_id: str,
    *,
    count: submitting.CountDocuments,
    warn: Callable[[str], None],
) -> Submission:
    """Store the documents of a file, and remove rows that an earlier upload of it had besides.

    Raises:
        NothingAccepted: the file could not be read; the message says why.
    """
    submission = await submitting.submit(
        resources, principal, name, batch, source="", priority=INTERACTIVE, count=count, warn=warn
    )
    new = {each.id for each in batch.documents}
    stale = [each.id async for each in _documents(resources.catalog, principal, name, file_id) if each.id not in new]
    if stale:
        await submitting.delete_qualified(resources, principal, name, stale)
    return submission


async def text_of_upload(resources: Resources, principal: Principal, file: ChatFile) -> str:
    """The text of a file, which is not kept.

    Raises:
        Forbidden: the principal may not write documents.
        NothingAccepted: the file could not be read; the message says why.
    """
    principal.require("documents:write")
    terms = UploadTerms({}, resources.settings.indexing.max_document_chars)
    batch = await read_uploads(resources.files, [Upload(file.content, {"id": file.id})], terms)
    if not batch.documents:
        raise submitting.NothingAccepted(batch.rejected)
    return _joined(batch.documents)


async def text_of_chat_file(resources: Resources, principal: Principal, name: str, file_id: str) -> str:
    """The text of a file that is kept. Raises ``Forbidden``, and ``DocumentNotFound`` where there is no such file."""
    principal.require("documents:read", collection=name)
    found = [each async for each in _documents(resources.catalog, principal, name, file_id)]
    if not found:
        raise missing_document(name, file_id)
    return _joined(found)


async def delete_chat_files(
    resources: Resources, principal: Principal, name: str, file_ids: Sequence[str]
) -> DeletedFiles:
    """Mark the documents of files for deletion. Raises ``Forbidden`` where the principal may not write documents."""
    principal.require("documents:write", collection=name)
    ids: list[str] = []
    missing: list[str] = []
    for file_id in file_ids:
        found = [each.id async for each in _documents(resources.catalog, principal, name, file_id)]
        ids += found
        missing += [] if found else [file_id]
    done = await submitting.delete_qualified(resources, principal, name, ids) if ids else None
    return DeletedFiles("" if done is None else done.job_id, missing)


async def _ensure(resources: Resources, name: str) -> None:
    """See to it that the collection is there, with the field that searches of one file need."""
    try:
        if FILE_FIELD in (await resources.catalog.collections.get(name)).fields:
            return
    except CollectionNotFound:
        pass
    await ensure_collection(resources, LOCAL, name, CollectionSpec(fields=_FIELDS))


def _owned(document: Document, number: int, file: ChatFile, tenant: str) -> Document:
    """The document under the file's id, whatever a row says of its own id, owner or file."""
    metadata = {**document.metadata, FILE_FIELD: file.id, SOURCE_KEY: file.content.name}
    return replace(
        document,
        id=qualify_id(tenant, row_id(plain_id(document.id), file.id, number)),
        metadata=metadata,
        acl=Acl(users=(file.owner,)) if file.owner else None,
    )


async def _documents(catalog: Catalog, principal: Principal, name: str, file_id: str) -> AsyncIterator[Document]:
    """A file's documents that the principal sees; none where there is no such collection."""
    qualified = qualify_id(view_of(principal).tenant, file_id)
    try:
        ids = [qualified, *await row_ids(catalog, name, qualified)]
    except CollectionNotFound:
        return
    for each in ids:
        with suppress(NotFound):
            yield (await find_document(catalog, principal, name, plain_id(each), None)).document


def _joined(documents: Sequence[Document]) -> str:
    return "\n\n".join(each.text for each in documents)
