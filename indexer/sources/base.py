"""What a source is: something that yields documents, and failures for what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from indexer.sources.site.options import SiteOptions
from winnow.core.types import Document, FieldType


@dataclass(frozen=True, slots=True)
class Failure:
    """One item that could not be read.

    Attributes:
        source: where it is: a path, or ``path:line``.
        code: stable name of what is wrong.
        message: what is wrong and what to do about it.
        document_id: the id that the document would have had, empty where it is not known. A source with a failure
            that names no document may still hold anything: nothing counts as gone from it.
    """

    source: str
    code: str
    message: str
    document_id: str = ""


class Source(Protocol):
    """Yields documents in a stable order; one bad item never stops the rest."""

    @property
    def label(self) -> str:
        """Stable name of the source, kept with its documents to find those that are gone from it."""
        ...

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """Metadata keys that are worth filtering on; a collection that is made for this source declares them."""
        ...

    def count(self) -> int | None:
        """A cheap estimate of the number of items, ``None`` where nobody knows."""
        ...

    def read(self) -> Iterator[Document | Failure]:
        """Read everything, from the start at each call. Blocking: run it in a thread."""
        ...


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How sources are read; each kind of source takes what concerns it.

    Attributes:
        base_url: where a folder is published; addresses of its documents start with it.
        columns: for CSV and Parquet, which column is ``id``, ``text``, ``title`` or ``url``; others go by convention.
        fields: declared fields; cells of CSV files under these names are read as their type.
        state_dir: where to keep what spares work in the next run; ``None`` keeps nothing.
        site: how a site is crawled.
    """

    base_url: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    state_dir: Path | None = None
    site: SiteOptions = field(default_factory=SiteOptions)
