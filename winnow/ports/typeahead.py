"""The seam to the index of names that answers while somebody types: ``TypeaheadIndex``, and its entries.

An index belongs to one process, which fills it and follows the catalog's changes. It is a hint: what it finds is read
from the vector store before it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from winnow.core.typed import TypedQuery
from winnow.core.types import Filter, Metadata


class NameEntry(NamedTuple):
    """A chunk and the names that lead to it.

    Attributes:
        point_id: of the chunk.
        document_id: of its document, qualified.
        revision: of the document, to which ``access`` belongs.
        title: of the document.
        heads: the document begins with this chunk: its title and id lead here.
        headings: those that begin with this chunk.
        keywords: identifiers in its text, and keywords of the document.
        metadata: of the document, for filters.
        access: values of the fields on which access is decided, for filters.
    """

    point_id: str
    document_id: str
    revision: int
    title: str
    heads: bool
    headings: tuple[str, ...]
    keywords: tuple[str, ...]
    metadata: Metadata
    access: Metadata


class FoundName(NamedTuple):
    """An entry that was found. ``score`` orders the entries of one answer and has no other meaning.

    The other attributes are as in ``NameEntry``.
    """

    point_id: str
    document_id: str
    revision: int
    title: str
    heads: bool
    headings: tuple[str, ...]
    access: Metadata
    score: float

    @property
    def name(self) -> str:
        """What the entry is called: the title of its document, or the innermost of its headings."""
        return self.headings[-1] if self.headings and not self.heads else self.title


class FoundNames(NamedTuple):
    """What was found, best first.

    Attributes:
        names: one for each document, or each chunk.
        matching: the number of entries that match, as far as the index knows the filter.
        exact: whether all of ``names`` pass the filter.
        forgiving: whether names that differ in some letters were looked for.
        is_cut: whether there are entries beyond those that were looked at.
    """

    names: Sequence[FoundName]
    matching: int
    forgiving: bool
    is_cut: bool
    exact: bool


class TypeaheadIndex(Protocol):
    """Names of one collection. ``find`` is called by one thread, the others by another, one call at a time."""

    @property
    def engine(self) -> str:
        """Name of the engine, as an answer reports it."""

    def replace(self, document_ids: Collection[str], entries: Iterable[NameEntry]) -> None:
        """Forget these documents, then add entries. Searches see neither before ``publish``."""

    def publish(self) -> None:
        """Let searches see what was replaced. Few calls for much make an index that answers fast."""

    def find(
        self, wordings: Sequence[TypedQuery], allowed: Filter | None, *, limit: int, wanted: int, by_document: bool
    ) -> FoundNames:
        """The best entries that pass ``allowed``, which may let some pass that the filter does not.

        Args:
            wordings: what was typed, then other wordings of it, which count a little less; empty where nothing was
                typed: the first chunks of all documents, by title.
            allowed: a filter on metadata and access.
            limit: entries that are looked at.
            wanted: names of other spelling are looked for where fewer than this are found, and none of them begins with
                what was typed.
            by_document: whether each document is named once.
        """

    def close(self) -> None:
        """Free the memory; nothing else is called afterwards."""


OpenTypeahead: TypeAlias = Callable[[], TypeaheadIndex]
"""Makes an empty index."""
