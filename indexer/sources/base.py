"""The port of a source: it yields documents, and a failure for each item that cannot be read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from indexer.sources.site.options import SiteOptions
from winnow.core.types import Document, FieldType


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


class ReadError(Exception):
    """An item cannot be read, or not to its end.

    Attributes:
        code: stable name of the problem.
        message: what is wrong and what to do about it.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Source(Protocol):
    """Yields documents in a stable order; one bad item never stops the rest."""

    @property
    def label(self) -> str:
        """Stable name of the source, kept with its documents so that missing ones can be found."""
        ...

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """Metadata keys worth filtering on; a collection created for this source declares them."""
        ...

    async def count(self) -> int | None:
        """A cheap estimate of the number of items, ``None`` if unknown."""
        ...

    def read(self) -> AsyncGenerator[Document | Failure, None]:
        """Read everything, from the start at each call. Close the generator to stop early."""
        ...


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How sources are read; each kind of source uses the options that apply to it.

    Attributes:
        base_url: where a folder is published; addresses of its documents start with it.
        columns: for CSV and Parquet, the columns of ``id``, ``text``, ``title`` and ``url``; others go by convention.
        fields: declared fields; CSV cells under these names are converted to their type.
        state_dir: where to cache results for the next run; ``None`` caches nothing.
        site: how a site is crawled.
    """

    base_url: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    state_dir: Path | None = None
    site: SiteOptions = field(default_factory=SiteOptions)
