"""The port of a source, with its options, its failures and the checks of its documents."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from winnow.core.errors import InvalidDocument
from winnow.core.types import Document, FieldType
from winnow.operations.submit import read_document


@dataclass(frozen=True, slots=True)
class Failure:
    """One item that could not be read.

    Attributes:
        source: where it is: a path, ``path:line``, or an address.
        code: stable name of the problem.
        message: what is wrong and what to do about it.
        document_id: the id that the document would have had, empty if unknown. A failure without an id may hide any
            document of its source, so nothing of that source counts as missing.
    """

    source: str
    code: str
    message: str
    document_id: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that was left out on purpose, which is not a failure: files of unknown types, copies of a page.

    Attributes:
        source: where: the label of the source, or an address.
        code: stable name of the reason.
        message: what was left out and why.
        count: how many items.
    """

    source: str
    code: str
    message: str
    count: int


@dataclass(eq=False)
class ReadError(Exception):
    """An item cannot be read, or not to its end.

    Attributes:
        code: stable name of the problem.
        message: what is wrong and what to do about it.
    """

    code: str
    message: str


SourceItem: TypeAlias = Document | Failure | Notice


class Source(Protocol):
    """Yields documents in a stable order; one bad item never stops the rest."""

    @property
    def label(self) -> str:
        """Stable name of the source, kept with its documents so that missing ones can be found."""

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """Metadata keys worth filtering on; a collection created for this source declares them."""

    async def count(self) -> int | None:
        """A cheap estimate of the number of items, ``None`` if unknown."""

    def read(self) -> AsyncGenerator[SourceItem, None]:
        """Read everything, from the start at each call. Close the generator to stop early."""


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """Politeness and limits of a crawl. Times are seconds.

    Attributes:
        allow_private: also connect to addresses that are not public (loopback, intranet, link-local).
        delay: minimum time between the starts of two requests; a longer ``Crawl-delay`` of the site is obeyed, up to
            ``max_wait``.
        concurrency: number of simultaneous requests.
        max_pages: number of addresses that are fetched.
        max_depth: number of links from the start to a page.
        max_variants: number of addresses that differ only in digits and query: calendars and filters are endless.
        max_page_bytes: size of a page, unpacked.
        max_total_bytes: of all pages together.
        page_seconds: time for a page, from the connection to its last byte, redirects included.
        max_wait: longest ``Retry-After`` and ``Crawl-delay`` that is obeyed.
        attempts: requests for one page before it counts as failed.
    """

    allow_private: bool = False
    delay: float = 0.1
    concurrency: int = 4
    max_pages: int = 10_000
    max_depth: int = 32
    max_variants: int = 200
    max_page_bytes: int = 20 * 1024 * 1024
    max_total_bytes: int = 10 * 1024 * 1024 * 1024
    page_seconds: float = 30.0
    max_wait: float = 120.0
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How sources are read; each kind of source uses the options that apply to it.

    Attributes:
        base_url: where a folder is published; addresses of its documents start with it.
        columns: for CSV and Parquet, the columns of ``id``, ``text``, ``title`` and ``url``; others go by convention.
        fields: declared fields; CSV cells under these names are converted to their type.
        content_type: media type and charset with which a server sent a file; empty where none did.
        state_dir: where to cache results for the next run; ``None`` caches nothing.
        site: how a site is crawled.
    """

    base_url: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    content_type: str = ""
    state_dir: Path | None = None
    site: SiteOptions = field(default_factory=SiteOptions)


class DocumentParser:
    """Parses the records of one source; of several with the same id the first becomes a document.

    Args:
        max_chars: longest text of a document.
    """

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._seen: set[str] = set()

    def parse(self, raw: object, where: str) -> Document | Failure:
        """The document in ``raw``, an object as in the HTTP API, or why it is not one; ``where`` locates failures."""
        try:
            document = read_document(raw, fields={}, max_chars=self._max_chars)
        except InvalidDocument as error:
            known = raw.get("id") if isinstance(raw, dict) else None
            return Failure(where, error.code, error.message, known if isinstance(known, str) else "")
        if document.id in self._seen:
            message = f"id {document.id!r} belongs to an earlier document of this source, which was kept"
            return Failure(where, "duplicate_id", message, document.id)
        self._seen.add(document.id)
        return document
