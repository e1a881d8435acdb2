"""Cuts blocks into pieces with a limited number of tokens and packs the pieces into chunks.

Tokens are counted in the text of a block; each block is tokenized once.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import sub
from typing import Final

from indexer.chunking.outline import Block
from winnow.ports import Tokenizer

_LONG_TOKEN: Final = 100  # a longer token is text that the model does not know: every character counts
_SENTENCE_END: Final = re.compile(r"""[.!?…]["'”’)\]]*\s+|[。！？；…]["'”’」』）】]*\s*|\n\s*\n""")
_LINE_END: Final = re.compile(r"\n\s*")
_WORD_END: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, eq=False)
class CountedBlock:
    """A block and where each of its tokens starts, as character positions in ``block.text``."""

    block: Block
    starts: Sequence[int]

    def __len__(self) -> int:
        return len(self.starts)

    def begin(self, token: int) -> int:
        """Character position where text from ``token`` on begins: 0 for the first."""
        return 0 if token <= 0 else self.end(token)

    def end(self, token: int) -> int:
        """Character position where text up to ``token``, exclusive, ends: the text's own end behind the last."""
        return self.starts[token] if token < len(self.starts) else len(self.block.text)


def token_starts(text: str, tokenizer: Tokenizer) -> list[int]:
    """Where the tokens of ``text`` start; long stretches with one token or none count one for each character."""
    spans = tokenizer.spans(text)
    starts = [start for start, _ in spans]
    if max(map(sub, [*starts, len(text)], [0, *starts])) <= _LONG_TOKEN:
        return starts
    starts = []
    behind = 0
    for start, end in spans:
        if start - behind > _LONG_TOKEN and not text[behind:start].isspace():
            starts.extend(range(behind, start))
        if end - start > _LONG_TOKEN:
            starts.extend(range(start, end))
        else:
            starts.append(start)
        behind = end
    if len(text) - behind > _LONG_TOKEN and not text[behind:].isspace():
        starts.extend(range(behind, len(text)))
    return starts


@dataclass(frozen=True, slots=True)
class BlockPiece:
    """The tokens ``first`` to ``last`` (exclusive) of a block; the block was cut before it unless ``first`` is 0."""

    counted: CountedBlock
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first

    @property
    def start(self) -> int:
        """Where the piece begins in its block's text."""
        return self.counted.begin(self.first)

    @property
    def end(self) -> int:
        """Where the piece ends in its block's text, including the white space that follows it."""
        return self.counted.end(self.last)


def cut_block(counted: CountedBlock, limit: int, *, max_chars: int, grain: int) -> list[BlockPiece]:
    """Cut a block into pieces of at most ``limit`` tokens and ``max_chars`` characters.

    A block that fits is one piece. Others are cut into sentences, or lines if the block consists of lines; pieces
    that are too long still are cut at line ends, then at white space, then between tokens, at about ``grain`` tokens.
    """
    text = counted.block.text
    whole = BlockPiece(counted, 0, len(counted))
    if len(whole) <= limit and len(text) <= max_chars:
        return [whole]
    levels = [_LINE_END] if counted.block.lines else [_SENTENCE_END, _LINE_END]
    pieces = [whole]
    for level in levels:
        ends = [match.end() for match in level.finditer(text)]
        pieces = [part for piece in pieces for part in _at(piece, ends, limit, max_chars)]
    if all(_fits(piece, limit, max_chars) for piece in pieces):
        return pieces
    words = [match.end() for match in _WORD_END.finditer(text)]
    return [part for piece in pieces for part in _by_tokens(piece, words, limit, max_chars, grain)]


def _fits(piece: BlockPiece, limit: int, max_chars: int) -> bool:
    return len(piece) <= limit and (piece.end - piece.start <= max_chars or len(piece) <= 1)


def _at(piece: BlockPiece, ends: Sequence[int], limit: int, max_chars: int) -> Iterator[BlockPiece]:
    """Cut a piece that is too long at every one of ``ends`` (positions in the text, sorted) inside of it."""
    if _fits(piece, limit, max_chars):
        yield piece
        return
    first = piece.first
    for end in ends[bisect_left(ends, piece.start + 1) : bisect_left(ends, piece.end)]:
        token = bisect_left(piece.counted.starts, end, first, piece.last)
        if first < token < piece.last:
            yield BlockPiece(piece.counted, first, token)
            first = token
    yield BlockPiece(piece.counted, first, piece.last)


def _by_tokens(piece: BlockPiece, words: Sequence[int], limit: int, max_chars: int, grain: int) -> Iterator[BlockPiece]:
    """Cut a piece that is too long into parts of about ``grain`` tokens, at white space if possible."""
    if _fits(piece, limit, max_chars):
        yield piece
        return
    starts = piece.counted.starts
    first = piece.first
    while first < piece.last:
        last = min(first + grain, piece.last)
        while last - first > 1 and piece.counted.end(last) - piece.counted.begin(first) > max_chars:
            last = first + (last - first) // 2
        if last < piece.last:
            word = bisect_left(words, starts[last] + 1) - 1
            if word >= 0 and words[word] > piece.counted.end(first + (last - first) // 2):
                last = bisect_left(starts, words[word], first + 1, last)
        yield BlockPiece(piece.counted, first, last)
        first = last


@dataclass(frozen=True, slots=True)
class Draft:
    """Consecutive pieces that make up one chunk.

    ``lead``: token of the first piece's block where the chunk begins: before the piece itself if the chunk repeats the
    end of the one before.
    """

    pieces: tuple[BlockPiece, ...]
    lead: int

    def slices(self) -> Iterator[tuple[CountedBlock, int, int]]:
        """The chunk as slices of its blocks' texts: block, first position, last position."""
        first = self.pieces[0]
        start = first.counted.begin(self.lead)
        for piece, following in zip(self.pieces, [*self.pieces[1:], None], strict=True):
            if following is None or following.counted is not piece.counted:
                yield piece.counted, start, piece.end
                start = following.start if following else 0

    def halves(self) -> tuple[Draft, ...]:
        """The chunk in two shorter ones without overlap; empty if it cannot be cut."""
        if len(self.pieces) > 1:
            middle = len(self.pieces) // 2
            return Draft(self.pieces[:middle], self.lead), Draft(self.pieces[middle:], self.pieces[middle].first)
        piece = self.pieces[0]
        if self.lead < piece.first:
            return (Draft(self.pieces, piece.first),)
        if len(piece) < 2:
            return ()
        middle = (piece.first + piece.last) // 2
        head, tail = BlockPiece(piece.counted, piece.first, middle), BlockPiece(piece.counted, middle, piece.last)
        return Draft((head,), head.first), Draft((tail,), tail.first)


def pack_pieces(pieces: Sequence[BlockPiece], limit: int, *, max_chars: int, overlap: int, gaps: bool) -> list[Draft]:
    """Pack pieces into chunks of at most ``limit`` tokens, of about equal size rather than full ones and a remainder.

    ``max_chars`` limits the characters of a chunk; with ``gaps`` those between its blocks count.

    A chunk that begins inside a block repeats up to ``overlap`` tokens from before its border, from the start of a
    sentence or of a word. Between blocks nothing is repeated: the end of a paragraph is a border of meaning, and
    repeated text costs vectors and crowds the results.
    """
    left = sum(map(_cost, pieces))
    target = _target(left, limit)
    drafts: list[Draft] = []
    current: list[BlockPiece] = []
    lead = size = chars = 0
    for previous, piece in zip([None, *pieces], pieces, strict=False):
        cost, width = _cost(piece), piece.end - piece.start
        if gaps and previous is not None and piece.first == 0:
            width += piece.counted.block.start - previous.counted.block.end
        over = size + cost - target
        if current and (size + cost > limit or chars + width > max_chars or over > target - size):
            drafts.append(Draft(tuple(current), lead))
            lead = _lead(drafts[-1], piece, min(overlap, limit - cost), max_chars // 4)
            current, size, chars = [], piece.first - lead, 0
            target = _target(left + size, limit)
        elif not current:
            lead = piece.first
        current.append(piece)
        size += cost
        chars += width
        left -= cost
    if current:
        drafts.append(Draft(tuple(current), lead))
    return drafts


def _cost(piece: BlockPiece) -> int:
    """Tokens of a piece, and one for the line end before a block, which some tokenizers count."""
    return len(piece) + (piece.first == 0)


def _target(tokens: int, limit: int) -> int:
    """Size of chunks when ``tokens`` are spread evenly over the fewest that can hold them."""
    return -(-tokens // max(1, -(-tokens // limit)))


def _lead(previous: Draft, piece: BlockPiece, overlap: int, max_chars: int) -> int:
    """The token that a chunk begins with if ``piece`` is the first that is new in it."""
    if piece.first == 0 or overlap <= 0:
        return piece.first
    same = [part for part in previous.pieces if part.counted is piece.counted]
    earliest = max(piece.first - overlap, previous.lead if same[0] is previous.pieces[0] else 0)
    if piece.start - piece.counted.begin(earliest) > max_chars:
        return piece.first
    sentences = [part.first for part in same if part.first >= earliest]
    if sentences:
        return sentences[0]
    text, starts = piece.counted.block.text, piece.counted.starts
    words = (token for token in range(earliest, piece.first) if token == 0 or _begins_word(text, starts[token]))
    return next(words, piece.first)


def _begins_word(text: str, position: int) -> bool:
    return text[position - 1].isspace() or text[position - 1] > "\u2e80"
