"""The tokenizer of versions up to 0.1: the engine's own, with numbers marked.

A document's weights are ``tf * (k + 1) / (tf + k * (1 - b + b * length / avg_length))``, a query's are 1; the engine
multiplies by the inverse document frequency at query time (Robertson and Zaragoza, 2009).

The multilingual tokenizer is the one that splits Chinese, Japanese and Thai into words. It drops bare numbers
("error 404" would be "error"), so these are marked with a letter first and count as words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from qdrant_edge import Bm25, Bm25Config, SparseVector, TokenizerType

from winnow.core.types import Chunk, passage_of
from winnow.vectors.keywords.vectors import WORDS

LANGUAGE: Final = "english"  # stop words and stemmer; text in other scripts passes through unchanged
K: Final = 1.2
B: Final = 0.75
AVG_LENGTH: Final = 128  # tokens without stop words in a chunk of 256 word pieces
IDENTITY: Final = f"bm25:multilingual+numbers:{LANGUAGE}:k{K}:b{B}:avg{AVG_LENGTH}"

MAX_QUERY_CHARS: Final = 16_384  # of a longer query only the start is searched for

_INVISIBLE: Final = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_NUMBER: Final = re.compile(r"(?<![A-Za-z\d])\d+(?![A-Za-z\d])")
_NUMBER_MARK: Final = "\u01bf"  # wynn: a Latin letter, so that it stays with the digits, and one that no text uses


class EngineWords:
    """See ``KeywordEncoder``. Pure, and cheap to make."""

    def __init__(self) -> None:
        self._model = Bm25(
            Bm25Config(k=K, b=B, avg_len=AVG_LENGTH, tokenizer=TokenizerType.Multilingual, language=LANGUAGE)
        )

    def document(self, document_id: str, title: str, chunk: Chunk) -> Mapping[str, SparseVector]:  # noqa: ARG002
        """See the protocol. It has no names."""
        return {WORDS: self._model.embed_document(_normalise(passage_of(title, chunk)))}

    def query(self, text: str | None) -> SparseVector | None:
        """See the protocol. Stop words are none."""
        if text is None:
            return None
        vector = self._model.embed_query(_normalise(text[:MAX_QUERY_CHARS]))
        return vector if vector.indices else None

    def name(self, text: str | None) -> SparseVector | None:  # noqa: ARG002
        """See the protocol."""
        return None


def _normalise(text: str) -> str:
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return _NUMBER.sub(_NUMBER_MARK + r"\g<0>", text)
