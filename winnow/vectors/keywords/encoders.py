"""Which tokenizer an index was built with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Final, Protocol

from qdrant_edge import SparseVector

from winnow.core.errors import IdentityMismatch
from winnow.core.types import Chunk
from winnow.vectors.keywords import engine_words, folded_words

FIRST: Final = engine_words.IDENTITY
"""The tokenizer of indexes that do not name theirs."""

NEWEST: Final = folded_words.IDENTITY
"""The tokenizer of indexes that are made now."""


class KeywordEncoder(Protocol):
    """Turns text into sparse vectors, documents and queries alike."""

    def document(self, document_id: str, title: str, chunk: Chunk) -> Mapping[str, SparseVector]:
        """The sparse vectors of a chunk, by name: ``WORDS``, empty without words, and ``NAMES`` where it has them."""

    def query(self, text: str | None) -> SparseVector | None:
        """The words of a query; ``None`` without text, or where no word is left."""

    def name(self, text: str | None) -> SparseVector | None:
        """A query as the name of a document or a part of it; ``None`` where names are not stored, or it is none."""


_ENCODERS: Final[Mapping[str, Callable[[], KeywordEncoder]]] = {
    FIRST: engine_words.EngineWords,
    **{identity: partial(folded_words.FoldedWords, version) for identity, version in folded_words.EARLIER.items()},
    NEWEST: folded_words.FoldedWords,
}


def stores_names(identity: str) -> bool:
    """Whether indexes of a tokenizer keep names for exact look-ups."""
    return identity != FIRST


@lru_cache
def encoder_of(identity: str) -> KeywordEncoder:
    """The encoder of an index, by ``IndexIdentity.keyword_tokenizer``. One each for the process.

    Raises:
        IdentityMismatch: the tokenizer is of a later version.
    """
    make = _ENCODERS.get(identity)
    if make is None:
        raise IdentityMismatch(
            f"the index was built with the tokenizer {identity!r}, which this version does not have; "
            "use the version of Winnow that built it, or index its documents into a new collection"
        )
    return make()
