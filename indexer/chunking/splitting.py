"""Cuts blocks into pieces with a limited number of tokens and packs the pieces into chunks.

Everything is a span of the document's text, which is tokenized once.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import sub
from typing import Final

import regex

from indexer.chunking.outline import Block
from indexer.chunking.words import word_border
from winnow.ports import Tokenizer

_LONG_TOKEN: Final = 24  # a longer token is text that the model does not know: every character counts
_SENTENCE_END: Final = re.compile(
    r"""[.!?…;]["'”’)\]]*\s+(?<!;\s)|[。！？；…]["'”’」』）】]*\s*|[।॥؟۔։።፧፨༎၊။។៕᙮꓿‼-⁉⸮]["'”’»)\]]*\s*|\n[^\S\n]*\n\s*"""
)
_LINE_END: Final = re.compile(r"\n(?:[^\S\n]*\n)*")
_WORD_END: Final = re.compile(r"\s+|[\u200b、，：]")
_CLUSTER: Final = regex.compile(r"\X")


class TokenCount:
    """Counts the tokens of spans of one text.

    ``starts``: where each token starts; long stretches that are one token, or none, count one for each character.
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.text = text
        self.starts = token_starts(text, tokenizer)

    def __call__(self, start: int, end: int) -> int:
        """Tokens that start in ``text[start:end]``."""
        return bisect_left(self.starts, end) - bisect_left(self.starts, start)

    def behind(self, start: int, tokens: int) -> int:
        """The offset behind ``tokens`` tokens from ``start`` on."""
        at = bisect_left(self.starts, start) + tokens
        return self.starts[at] if at < len(self.starts) else len(self.text)

    def before(self, end: int, tokens: int) -> int:
        """The offset that ``tokens`` tokens lie behind, up to ``end``."""
        return self.starts[max(0, bisect_left(self.starts, end) - tokens)] if self.starts else 0


def token_starts(text: str, tokenizer: Tokenizer) -> list[int]:
    """Where the tokens of ``text`` start, as ``TokenCount`` counts them."""
    spans = tokenizer.spans(text)
    starts = [start for start, _ in spans]
    if max(map(sub, [*starts, len(text)], [0, *starts])) <= _LONG_TOKEN:
        return starts
    starts = []
    behind = 0
    for start, end in spans:
        if start - behind > _LONG_TOKEN and not text[behind:start].isspace():
            starts.extend(range(behind, start))
        if end - start > _LONG_TOKEN and not text[start:end].isspace():
            starts.extend(range(start, end))
        else:
            starts.append(start)
        behind = end
    if len(text) - behind > _LONG_TOKEN and not text[behind:].isspace():
        starts.extend(range(behind, len(text)))
    return starts


@dataclass(frozen=True, slots=True)
class BlockPiece:
    """A part of a block; the block was cut before it unless ``start`` is the block's own. ``cost``: its tokens."""

    block: Block
    start: int
    end: int
    cost: int

    @property
    def is_first(self) -> bool:
        """Whether the piece begins its block."""
        return self.start == self.block.start


def cut_block(block: Block, count: TokenCount, limit: int, *, max_chars: int, grain: int) -> list[BlockPiece]:
    """Cut a block into pieces of at most ``limit`` tokens and ``max_chars`` characters.

    A block that fits is one piece. Others are cut into sentences, or lines if the block consists of lines; pieces
    that are too long still are cut at line ends, then at white space, then between grapheme clusters, at about
    ``grain`` tokens.
    """
    whole = BlockPiece(block, block.start, block.end, count(block.start, block.end))
    if whole.cost <= limit and block.end - block.start <= max_chars:
        return [whole]
    spans = [(block.start, block.end)]
    for level in [_LINE_END] if block.lines else [_SENTENCE_END, _LINE_END]:
        spans = [part for span in spans for part in _at(span, level, count, limit, max_chars)]
    spans = [part for span in spans for part in _by_tokens(span, count, limit, max_chars, grain)]
    return [BlockPiece(block, start, end, count(start, end)) for start, end in spans]


def _fits(start: int, end: int, count: TokenCount, limit: int, max_chars: int) -> bool:
    return end - start <= max_chars and count(start, end) <= limit


def _at(
    span: tuple[int, int], ends: re.Pattern[str], count: TokenCount, limit: int, max_chars: int
) -> Iterator[tuple[int, int]]:
    """Cut a span that is too long behind every match inside of it."""
    start, end = span
    if not _fits(start, end, count, limit, max_chars):
        for match in ends.finditer(count.text, start, end):
            if start < match.end() < end:
                yield start, match.end()
                start = match.end()
    yield start, end


def _by_tokens(
    span: tuple[int, int], count: TokenCount, limit: int, max_chars: int, grain: int
) -> Iterator[tuple[int, int]]:
    """Cut a span that is too long into parts of about ``grain`` tokens, at white space if possible."""
    start, end = span
    if _fits(start, end, count, limit, max_chars):
        yield span
        return
    words = [match.end() for match in _WORD_END.finditer(count.text, start, end)]
    while start < end:
        stop = min(count.behind(start, grain), start + max_chars, end)
        if stop < end:
            word = bisect_right(words, stop) - 1
            middle = start + (stop - start) // 2
            if word >= 0 and words[word] > middle:
                stop = words[word]
            else:
                border = word_border(count.text, start, stop)
                stop = border if border > middle else _cluster_end(count.text, start, stop)
        yield start, stop
        start = stop


def _cluster_end(text: str, start: int, stop: int) -> int:
    """The last border between grapheme clusters up to ``stop``, else the first behind it; beyond ``start``."""
    begin = max(start, stop - 64)
    border = start
    for match in _CLUSTER.finditer(text, begin):
        if match.end() > stop:
            return border if border > start else match.end()
        border = match.end()
    return border


@dataclass(frozen=True, slots=True)
class Draft:
    """Consecutive pieces that make up one chunk.

    ``lead``: where the chunk begins: before its first piece if it repeats the end of the chunk before.
    """

    pieces: tuple[BlockPiece, ...]
    lead: int

    @property
    def end(self) -> int:
        """Where the chunk ends."""
        return self.pieces[-1].end

    def halves(self, count: TokenCount) -> tuple[Draft, ...]:
        """The chunk in two shorter ones without overlap; empty if it cannot be cut."""
        if len(self.pieces) > 1:
            middle = len(self.pieces) // 2
            return Draft(self.pieces[:middle], self.lead), Draft(self.pieces[middle:], self.pieces[middle].start)
        piece = self.pieces[0]
        if self.lead < piece.start:
            return (Draft(self.pieces, piece.start),)
        middle = _cluster_end(count.text, piece.start, (piece.start + piece.end) // 2)
        if not piece.start < middle < piece.end:
            return ()
        head = BlockPiece(piece.block, piece.start, middle, count(piece.start, middle))
        tail = BlockPiece(piece.block, middle, piece.end, count(middle, piece.end))
        return Draft((head,), piece.start), Draft((tail,), middle)


def pack_pieces(
    pieces: Sequence[BlockPiece],
    count: TokenCount,
    limit: int,
    *,
    max_chars: int,
    overlap: int,
    heads: Mapping[Block, int],
) -> list[Draft]:
    """Pack pieces into chunks of at most ``limit`` tokens, of about equal size rather than full ones and a remainder.

    A chunk that begins inside a block repeats up to ``overlap`` tokens from before its border, from the start of a
    sentence or of a word. Between blocks nothing is repeated: the end of a paragraph is a border of meaning, and
    repeated text costs vectors and crowds the results. A heading never ends a chunk that has other text.

    ``heads``: tokens of the head that a chunk repeats which begins inside of a block.
    """
    left = sum(map(_cost, pieces))
    target = _target(left, limit)
    drafts: list[Draft] = []
    current: list[BlockPiece] = []
    lead = size = 0
    for piece in pieces:
        cost = _cost(piece)
        over = size + cost - target
        if current and (size + cost > limit or piece.end - lead > max_chars or over > target - size):
            moved = _headings_at_end(current)
            if len(moved) < len(current):
                done = current[: len(current) - len(moved)]
                drafts.append(Draft(tuple(done), lead))
                current = list(moved)
                head = 0 if moved or piece.is_first else heads.get(piece.block, 0)
                room = min(overlap, limit - cost - head)
                lead = moved[0].start if moved else _lead(drafts[-1], piece, count, room, max_chars // 4)
                size = sum(map(_cost, moved)) if moved else count(lead, piece.start) + head
                target = _target(left + size, limit)
        elif not current:
            lead = piece.start
        current.append(piece)
        size += cost
        left -= cost
    if current:
        drafts.append(Draft(tuple(current), lead))
    return drafts


def _headings_at_end(pieces: Sequence[BlockPiece]) -> Sequence[BlockPiece]:
    first = len(pieces)
    while first and pieces[first - 1].block.heading is not None:
        first -= 1
    return pieces[first:]


def _cost(piece: BlockPiece) -> int:
    """Tokens of a piece, and one for the line end before a block, which some tokenizers count."""
    return piece.cost + piece.is_first


def _target(tokens: int, limit: int) -> int:
    """Size of chunks when ``tokens`` are spread evenly over the fewest that can hold them."""
    return -(-tokens // max(1, -(-tokens // limit)))


def _lead(previous: Draft, piece: BlockPiece, count: TokenCount, overlap: int, max_chars: int) -> int:
    """Where a chunk begins if ``piece`` is the first that is new in it: never inside of the head of its block."""
    if piece.is_first or overlap <= 0:
        return piece.start
    same = [part for part in previous.pieces if part.block is piece.block]
    earliest = max(
        count.before(piece.start, overlap), previous.lead if same[0] is previous.pieces[0] else same[0].start
    )
    earliest = max(earliest, min(piece.block.head, piece.start))
    if piece.start - earliest > max_chars:
        return piece.start
    sentences = [part.start for part in same if part.start >= earliest]
    if sentences:
        return sentences[0]
    word = _WORD_END.search(count.text, max(earliest - 1, piece.block.start), piece.start)
    return word.end() if word and word.end() < piece.start else piece.start
