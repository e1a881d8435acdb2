"""What a search adds for chains: texts with their neighbours, packed into a number of tokens, duplicates folded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

MAX_EXPAND: Final = 10
MAX_PACK_TOKENS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Packing:
    """What is done to the results of a search before they are returned.

    Attributes:
        expand: the number of neighbouring chunks on each side whose text is returned with a result.
        max_tokens: the most tokens of all texts together; ``None`` does not limit them.
        tokenizer: its name; ``None`` is that of the first collection's embedder. With a name, or ``max_tokens``, tokens
            are counted.
        fold_duplicates: whether results of other documents with almost the same text are folded into the best of them.
    """

    expand: int = 0
    max_tokens: int | None = None
    tokenizer: str | None = None
    fold_duplicates: bool = True

    @property
    def counts_tokens(self) -> bool:
        """Whether the tokens of the texts are counted."""
        return self.max_tokens is not None or self.tokenizer is not None

    @property
    def changes_texts(self) -> bool:
        """Whether texts are read, counted or cut: folding alone does none of it."""
        return self.expand > 0 or self.counts_tokens


def folding_only(packing: Packing | None) -> Packing | None:
    """What is left to one of several searches: their results are packed together."""
    return None if packing is None else Packing(fold_duplicates=packing.fold_duplicates)


class Excerpt(NamedTuple):
    """The text that is returned for a result, where it is another than its chunk's.

    Attributes:
        start, end: offsets into the document's canonical text, in code points, ``end`` exclusive.
        text: ``prefix`` and the document's ``text[start:end]``.
        prefix: as in ``Chunk``, of the chunk at the start.
        tokens: of ``text``; ``None`` where they are not counted.
        merged: numbers of the document's chunks that were results of their own and are part of this text.
    """

    start: int
    end: int
    text: str
    prefix: str = ""
    tokens: int | None = None
    merged: tuple[int, ...] = ()


class Duplicate(NamedTuple):
    """A document whose text is almost that of a result. ``document_id`` is qualified."""

    document_id: str
    url: str
    collection: str = ""


class PackTotals(NamedTuple):
    """The sums of a pack. ``left_out``: results whose texts did not fit, not even in part."""

    tokenizer: str
    tokens: int
    left_out: int
