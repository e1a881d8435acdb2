"""Cuts a document into chunks: by structure first, then by tokens where sections are too long. Pure.

The rules are in ``docs/indexing.md``. A chunk's text is its prefix and ``document.text[start:end]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import takewhile
from typing import Final

from indexer.chunking.outline import Block, Marks, Section, outline_of
from indexer.chunking.splitting import BlockPiece, Draft, TokenCount, cut_block, pack_pieces, token_starts
from winnow.core.types import Chunk, Chunking, Document, passage_of
from winnow.ports import Tokenizer

_CHARS_PER_TOKEN: Final = 32  # a chunk of mostly white space is cut at this number of characters a token
_TINY: Final = 8  # sections under an eighth of the limit are joined
_JOINED: Final = 2  # up to half of the limit
_JOIN: Final = 2  # tokens that what separates headings from text, or a prefix, may take
_WORD: Final = re.compile(r"\s*\S*")
_MAX_PREFIX: Final = 2  # a header that takes more than half of the room is not repeated


def chunk_document(document: Document, tokenizer: Tokenizer, chunking: Chunking, *, max_tokens: int) -> list[Chunk]:
    """Cut ``document``, whose text is canonical, into chunks.

    Args:
        document: the document to cut.
        tokenizer: the embedder's.
        chunking: size and overlap, in tokens.
        max_tokens: the embedder's limit: passages have at most ``min(chunking.max_tokens, max_tokens)`` tokens.

    Returns:
        The chunks in the order of the text; none if there is nothing to read.
    """
    sections = outline_of(document)
    if not sections:
        return []
    limit = min(chunking.max_tokens, max_tokens)
    cutter = _Cutter(document, tokenizer, limit, min(chunking.overlap, limit // 2))
    return [replace(chunk, index=index) for index, chunk in enumerate(cutter.chunks(sections))]


def chunk_passages(
    document: Document, chunks: Sequence[Chunk], tokenizer: Tokenizer, chunking: Chunking, *, max_tokens: int
) -> list[str]:
    """The passage that models read for each chunk: title, heading path and text, within the limit of tokens."""
    title = fit_title(document.title, tokenizer, min(chunking.max_tokens, max_tokens))
    return [passage_of(title, chunk) for chunk in chunks]


def fit_title(title: str, tokenizer: Tokenizer, limit: int) -> str:
    """Shorten a title to three sixteenths of ``limit`` tokens: a quarter, less the share of headings."""
    return _shortened(title, tokenizer, limit * 3 // 16)


def _shortened(text: str, tokenizer: Tokenizer, tokens: int) -> str:
    if len(text) <= tokens:
        return text
    starts = token_starts(text, tokenizer)
    return text if len(starts) <= tokens else text[: starts[tokens]].rstrip()


def _joined(sections: Sequence[Section]) -> Section:
    """Sections as one: headings that they do not have in common become blocks of the text."""
    if len(sections) == 1 and sections[0].blocks:
        return replace(sections[0], heading=None)
    common = _common_path([section.headings for section in sections])
    blocks: list[Block] = []
    for section in sections:
        if section.heading is not None and (len(section.headings) > len(common) or not section.blocks):
            blocks.append(section.heading)
        blocks.extend(section.blocks)
    return Section(common, sections[0].anchor, None, tuple(blocks))


def _common_path(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*paths, strict=False))
    return tuple(level[0] for level in levels)


class _Cutter:
    def __init__(self, document: Document, tokenizer: Tokenizer, limit: int, overlap: int) -> None:
        self._text = document.text
        self._title = fit_title(document.title, tokenizer, limit)
        self._marks = Marks(document.marks)
        self._tokenizer = tokenizer
        self._count = TokenCount(document.text, tokenizer)
        self._limit = limit
        self._overlap = overlap
        self._max_chars = limit * _CHARS_PER_TOKEN
        self._header_tokens = cache(lambda headings: self._passage_tokens(Chunk(0, 0, 0, "", headings)))

    def chunks(self, sections: Sequence[Section]) -> Iterator[Chunk]:
        """All chunks, every one with index 0."""
        whole = self._whole(_joined(sections))
        if whole is not None:
            yield whole
            return
        for group in self._groups(sections):
            yield from self._cut(_joined(group))

    def _whole(self, document: Section) -> Chunk | None:
        """The document as one chunk, if it fits."""
        start, end = document.blocks[0].start, document.blocks[-1].end
        if end - start > self._max_chars or self._count(start, end) > self._limit:
            return None
        headings = self._fit_headings(document.headings)
        chunk = self._chunk(document.anchor, headings, start, end, "")
        return chunk if self._fits(chunk) else None

    def _groups(self, sections: Sequence[Section]) -> Iterator[list[Section]]:
        """Sections that share chunks: tiny ones with a neighbour under the same heading, up to half the limit."""
        current: list[Section] = []
        size = 0
        for section in sections:
            cost = sum(self._count(block.start, block.end) for block in section.blocks)
            tiny = min(size, cost) * _TINY < self._limit and (size + cost) * _JOINED <= self._limit
            if current and not (tiny and _are_related(current, section)):
                yield current
                current, size = [], 0
            current.append(section)
            size += cost
        yield current

    def _cut(self, section: Section) -> Iterator[Chunk]:
        headings = self._fit_headings(section.headings)
        room = max(1, self._limit - self._header_tokens(headings))
        heads = {block: self._head_tokens(block, room) for block in section.blocks if block.head >= 0}
        grain = max(1, min(self._overlap or room, room // 8))
        pieces: list[BlockPiece] = []
        for block in section.blocks:
            left = max(1, room - 1 - heads.get(block, 0))
            pieces += cut_block(block, self._count, left, max_chars=self._max_chars, grain=grain)
        prefixes = {block: self._text[block.start : block.head] for block, tokens in heads.items() if tokens}
        for draft in pack_pieces(
            pieces, self._count, room, max_chars=self._max_chars, overlap=self._overlap, heads=heads
        ):
            yield from self._checked(section.anchor, headings, draft, prefixes)

    def _checked(
        self, anchor: str, headings: tuple[str, ...], draft: Draft, prefixes: dict[Block, str]
    ) -> Iterator[Chunk]:
        """The chunk of a draft, in halves if its passage is too long after all.

        Tokenizers are not additive: a text may have more tokens than its parts had inside their blocks.
        """
        block = draft.pieces[0].block
        prefix = prefixes.get(block, "") if draft.lead >= block.head else ""
        chunk = self._chunk(anchor, headings, draft.lead, draft.end, prefix)
        if self._fits(chunk):
            if chunk.end > chunk.start:
                yield chunk
            return
        halves = draft.halves(self._count)
        if prefix and not halves:
            chunk = self._chunk(anchor, headings, draft.lead, draft.end, "")
        for half in halves:
            yield from self._checked(anchor, headings, half, prefixes)
        if not halves and chunk.end > chunk.start:
            yield chunk

    def _fits(self, chunk: Chunk) -> bool:
        """Whether the passage of a chunk has no more tokens than the limit; they are counted only if in doubt.

        Only the words beside a cut may be read differently than in the whole text, as a token for each character at
        most.
        """
        text, start, end = self._text, chunk.start, chunk.end
        most = self._header_tokens(chunk.headings) + self._count(start, end) + len(chunk.prefix) + _JOIN
        if start > 0 and (word := _WORD.match(text, start)):
            most += word.end() - start
        if end < len(text) and not text[end].isspace():
            most += end - 1 - max(text.rfind(" ", start, end), text.rfind("\n", start, end), start - 1)
        return most <= self._limit or self._passage_tokens(chunk) <= self._limit

    def _chunk(self, anchor: str, headings: tuple[str, ...], start: int, end: int, prefix: str) -> Chunk:
        text = self._text[start:end]
        begin = start + len(text) - len(text.lstrip("\r\n" if prefix else None))
        text = self._text[begin:end].rstrip()
        place = self._marks.place(begin)
        if "page" in place:  # browsers open a PDF at a page (RFC 8118)
            anchor = f"page={place['page']}"
        return Chunk(0, begin, begin + len(text), prefix + text, headings, anchor, prefix, place)

    def _head_tokens(self, block: Block, room: int) -> int:
        """Tokens of the part that every piece of a block that is cut repeats; 0 if it is too long to be repeated."""
        if block.head < 0 or self._count(block.start, block.end) < room:
            return 0
        tokens = self._count(block.start, block.head)
        return tokens if tokens * _MAX_PREFIX <= room else 0

    def _passage_tokens(self, chunk: Chunk) -> int:
        return len(self._tokenizer.spans(passage_of(self._title, chunk)))

    def _fit_headings(self, headings: tuple[str, ...]) -> tuple[str, ...]:
        """Drop outer headings, then shorten the last, until title and headings take a quarter of the limit."""
        room = self._limit // 4
        while len(headings) > 1 and self._header_tokens(headings) > room:
            headings = headings[1:]
        if not headings or self._header_tokens(headings) <= room:
            return headings
        left = room - self._header_tokens(()) - 2  # the separator, and a line end that some tokenizers count
        last = _shortened(headings[0], self._tokenizer, left) if left > 0 else ""
        return (last,) if last else ()


def _are_related(current: Sequence[Section], section: Section) -> bool:
    """Whether ``section`` is below the heading of ``current``, or beside it under the same parent."""
    path = _common_path([part.headings for part in current])
    siblings = len(path) == len(section.headings) and path[:-1] == section.headings[:-1]
    return siblings or section.headings[: len(path)] == path
