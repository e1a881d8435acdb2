"""The port of files that are kept as they were uploaded and attached to collections, and the types that cross it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, Protocol, TypeAlias

from winnow.core.types import JsonValue

AttachmentState: TypeAlias = Literal["waiting", "read", "failed", "cancelled"]
ROW_MARK: Final = "#"
"""Between the id of a file and that of a row, in the id of a document that is one of a file's rows."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file as it was uploaded.

    Attributes:
        id: ``file-`` and a ULID: ids sort by time.
        size: in bytes.
        tenant: of the principal that uploaded it; ``''`` where it had none.
        collections: patterns of the collections that this principal sees.
        owner: the subject of the token that it was uploaded with; empty for keys.
        expires_at: when it is deleted; ``None``: never.
    """

    id: str
    filename: str
    size: int
    purpose: str = ""
    content_type: str = ""
    tenant: str = ""
    collections: tuple[str, ...] = ("*",)
    owner: str = ""
    created_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A kept file in a collection, and the state of the documents that were read from it.

    Attributes:
        id: the id of the file, qualified by its tenant (``winnow.core.tenancy``): that of its document, or the part
            before ``ROW_MARK`` of those of its rows.
        attributes: that its documents have beside their own metadata.
        state: ``waiting`` to be read; ``read``: its documents are submitted.
        error_code, error: why it could not be read, or which of its rows could not.
        batch: the batch that it was attached with; empty for none.
        token: moves with every change.
        attempts: how often reading it was begun.
        documents: the number of its documents by state.
        document_error: why one of them failed.
    """

    id: str
    filename: str
    size: int
    attributes: Mapping[str, JsonValue] = field(default_factory=dict)
    state: AttachmentState = "waiting"
    error_code: str | None = None
    error: str | None = None
    batch: str = ""
    created_at: datetime | None = None
    token: int = 0
    attempts: int = 0
    documents: Mapping[str, int] = field(default_factory=dict)
    document_error: str | None = None


@dataclass(frozen=True, slots=True)
class ReadingClaim:
    """An attachment that is to be read, with its collection and its file."""

    collection: str
    attachment: Attachment
    file: KeptFile


@dataclass(frozen=True, slots=True)
class AttachmentBatch:
    """Files that were attached together."""

    id: str
    tenant: str
    created_at: datetime
    cancelled: bool = False


class FileCatalog(Protocol):
    """Kept files, their contents, and their attachments to collections. Every method is one transaction."""

    async def keep(self, file: KeptFile, content: AsyncIterator[bytes]) -> KeptFile:
        """Store a file with its content, in pieces; committed on return."""

    async def get(self, file_id: str) -> KeptFile:
        """Raise ``FileNotFound`` for an unknown id, and for a file that has expired."""

    def content(self, file_id: str) -> AsyncIterator[bytes]:
        """The content in pieces, each read in a transaction of its own; raises ``FileNotFound``."""

    async def list(
        self, *, tenant: str, after: str = "", descending: bool = False, limit: int = 1000, purpose: str | None = None
    ) -> Sequence[KeptFile]:
        """A tenant's files by id, those beyond ``after``."""

    async def remove(self, file_id: str) -> None:
        """Delete a file and its content; attachments stay."""

    async def expired(self, *, limit: int) -> Sequence[KeptFile]:
        """Files whose time is over."""

    async def collections_with(self, attachment_id: str) -> Sequence[str]:
        """The names of the collections in service to which a file is attached."""

    async def attach(self, collection: str, attachments: Sequence[Attachment], batch: AttachmentBatch | None) -> None:
        """Store attachments and their batch; one that is there already is replaced, and waits again.

        Raises:
            CollectionNotFound: the collection does not exist.
        """

    async def attachments(
        self,
        collection: str,
        *,
        tenant: str,
        among: Sequence[str] | None = None,
        batch: str | None = None,
        after: str = "",
        descending: bool = False,
        limit: int = 1000,
    ) -> Sequence[Attachment]:
        """A tenant's attachments by id, those beyond ``after``; with ``among`` or ``batch`` only those."""

    async def waiting(self, collection: str, *, tenant: str) -> tuple[int, int, int, int]:
        """Numbers of attachments that wait, failed and were cancelled without a document, and bytes of all of them."""

    async def describe(self, collection: str, attachment_id: str, attributes: Mapping[str, JsonValue]) -> None:
        """Replace the attributes of an attachment, if it exists."""

    async def detach(self, collection: str, attachment_id: str) -> bool:
        """Remove an attachment; tells whether it was there."""

    async def batch(self, collection: str, batch_id: str) -> AttachmentBatch:
        """Raise ``FileNotFound`` for an unknown batch."""

    async def cancel_batch(self, collection: str, batch_id: str) -> None:
        """Cancel what has not been read of a batch; raises ``FileNotFound``."""

    async def claim(self, *, lease_seconds: float) -> ReadingClaim | None:
        """Lease the attachment that has waited longest, if one is due, for as long as it takes to read it."""

    async def settle(
        self, claim: ReadingClaim, state: AttachmentState, *, error_code: str = "", error: str = ""
    ) -> bool:
        """Record how reading ended. False if the attachment has changed since: then it is still to be read."""

    async def put_off(self, claim: ReadingClaim, *, seconds: float, tried: bool = True) -> None:
        """Have an attachment that waits to be read claimed again after this time, by whoever comes first.

        ``tried`` is whether the claim counts as an attempt to read it.
        """

    async def release(self) -> None:
        """Have every attachment that waits to be read claimed at once (only where one process owns the storage)."""
