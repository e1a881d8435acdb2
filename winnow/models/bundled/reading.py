"""A text as a bundled model reads it, and the tokenizer that reads it so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from winnow.ports import EmbedKind

_PIECE: Final = re.compile(r"(?s).{1,16384}(?!\S)|.{1,16384}")  # tokens never reach across white space


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as the model reads it.

    Attributes:
        ids: token ids with the special tokens.
        head: tokens in front of the text's own: the first special one, a prefix, and those of an instruct.
        coverage: share of the text that the model knows, in [0, 1].
        prefix: tokens of ``head`` that the model wants in front of each text.
    """

    ids: list[int]
    head: int
    coverage: float
    prefix: int = 0

    @property
    def tokens(self) -> int:
        """Tokens that are read, special ones and the prefix left out."""
        return len(self.ids) - 2 - self.prefix


class TextReader(Protocol):
    """The tokenizer of a bundled model."""

    name: str

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Character ranges of the tokens of ``text``, in order, special tokens left out."""

    def read(self, texts: Sequence[str], instruct: str = "", *, kind: EmbedKind = "document") -> list[Reading]:
        """Read ``texts``, cut to what the model takes; ``instruct`` is put in front and takes at most half of that."""

    def telling(self, reading: Reading) -> list[int]:
        """Positions in ``reading.ids`` of the tokens that say something about a query's subject."""


def pieces_of(text: str) -> Iterator[tuple[int, str]]:
    """``text`` in pieces of bounded length that end at white space where they can, each with its place."""
    return ((match.start(), match.group()) for match in _PIECE.finditer(text))
