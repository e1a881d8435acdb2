"""The port of a source: where the indexer reads documents from, and what a plug-in gives to Winnow.

A plug-in is a package with an entry point in the group ``winnow.sources``. The entry point's name is the scheme of its
sources: ``winnow index wiki:handbook`` opens the plug-in ``wiki``. Its value names a ``SourceFactory``: a class or a
function that is called with ``wiki:handbook``, as the user wrote it, and with the options. For example::

    [project.entry-points."winnow.sources"]
    wiki = "our_wiki.source:WikiSource"

A plug-in imports this module and ``winnow.core``; its tests run ``winnow.testing.contracts.sources``. Its errors are
those of this page: ``InvalidSource`` where a source cannot be opened, a ``Failure`` for an item that cannot be read.
Anything else that it raises ends its source with a ``Failure`` that names the plug-in, and the other sources go on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from winnow.core.types import Document, FieldType

MAX_LABEL_CHARS: Final = 512
PLUG_INS: Final = "winnow.sources"
"""Group of the entry points of plug-ins, which are named by their scheme."""


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


SourceItem: TypeAlias = Document | Failure | Notice


class Source(Protocol):
    """Yields documents in a stable order; one bad item never stops the rest."""

    @property
    def label(self) -> str:
        """Stable name of the source, kept with its documents so that missing ones can be found. Never a secret."""

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """Metadata keys worth filtering on; a collection created for this source declares them."""

    @property
    def is_complete(self) -> bool:
        """Whether it yields all of its documents, so that one that an earlier run found and this one not is gone.

        False for a source that shows its newest documents only, such as a feed: nothing of it is ever deleted.
        """

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
        ocr: recognise the text of pages of PDF files that have none, if ocrmypdf is installed.
        follow_links: also read what links in a folder lead to outside of it.
        state_dir: where to cache results for the next run; ``None`` caches nothing.
        site: how a site is crawled.
    """

    base_url: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    content_type: str = ""
    follow_links: bool = False
    ocr: bool = False
    state_dir: Path | None = None
    site: SiteOptions = field(default_factory=SiteOptions)


class SourceFactory(Protocol):
    """Opens a source without reading it: the value of an entry point."""

    def __call__(self, spec: str, options: SourceOptions, /) -> Source:
        """Open the source that the user named ``spec``, its scheme included.

        Raises:
            InvalidSource: ``spec`` is malformed, or what it needs is not installed; the message says what to do.
        """
