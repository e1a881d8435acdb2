"""What a source is: something that yields documents, and failures for what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from retrieval.types import Document, FieldType


@dataclass(frozen=True, slots=True)
class Failure:
    """One item that could not be read.

    Attributes:
        source: where it is: a path, or ``path:line``.
        code: stable name of what is wrong.
        message: what is wrong and what to do about it.
        document_id: the id that the document would have had, empty where it is not known.
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
