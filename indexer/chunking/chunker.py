"""Cuts a document into chunks: by structure first, then by tokens where sections are too long. Pure.

The rules are in ``docs/indexing.md``. Offsets: for plain text ``chunk.text == document.text[start:end]``. For Markdown
they are exact to the lines of a block, for HTML to the character, and inside a block that was cut to the word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from itertools import takewhile
from typing import Final

from indexer.chunking.outline import Alignment, Block, Outline, Section
from indexer.chunking.parsers import outline_of
from indexer.chunking.splitting import BlockPiece, CountedBlock, Draft, cut_block, pack_pieces, token_starts
from winnow.core.types import Chunk, Chunking, Document, passage_of
from winnow.ports import Tokenizer

_CHARS_PER_TOKEN: Final = 32  # a chunk of mostly white space is cut at this number of characters a token
_FITTING_CHARS: Final = 12  # no text has more characters a token: longer ones need not be counted
_JOIN: Final = 2  # tokens that what stands between two blocks, or between headings and text, may take
_WORD: Final = re.compile(r"\s*\S*")
_TINY: Final = 8  # sections under an eighth of the limit are joined
_JOINED: Final = 2  # up to half of the limit


def chunk_document(document: Document, tokenizer: Tokenizer, chunking: Chunking, *, max_tokens: int) -> list[Chunk]:
    """Cut ``document`` into chunks whose passages have at most ``min(chunking.max_tokens, max_tokens)`` tokens.

    Args:
        document: the document to cut; its ``format`` determines how its text is parsed.
        tokenizer: the embedder's.
        chunking: size and overlap, in tokens.
        max_tokens: the embedder's limit.

    Returns:
        The chunks in the order of the text; none if there is nothing to read.
    """
    outline = outline_of(document.text, document.format)
    limit = min(chunking.max_tokens, max_tokens)
    title = fit_title(document.title, tokenizer, limit)
    if not outline.sections:
        return [Chunk(0, 0, len(document.text), title)] if title.strip() and document.text.strip() else []
    cutter = _Cutter(outline, title, tokenizer, limit, min(chunking.overlap, limit // 2))
    return [replace(chunk, index=index) for index, chunk in enumerate(cutter.chunks())]


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
    """Sections as one: headings that they do not have in common become lines of the text."""
    if len(sections) == 1 and sections[0].blocks:
        return replace(sections[0], heading=None)
    common = _common_path([section.headings for section in sections])
    blocks: list[Block] = []
    for section in sections:
        own = section.blocks
        if section.heading is not None and (len(section.headings) > len(common) or not own):
            blocks.append(section.heading)
            own = (replace(own[0], tight=True), *own[1:]) if own else ()
        blocks.extend(own)
    return Section(common, sections[0].anchor, None, tuple(blocks))


def _common_path(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*paths, strict=False))
    return tuple(level[0] for level in levels)


class _Cutter:
    def __init__(self, outline: Outline, title: str, tokenizer: Tokenizer, limit: int, overlap: int) -> None:
        self._outline = outline
        self._title = title
        self._tokenizer = tokenizer
        self._limit = limit
        self._overlap = overlap
        self._max_chars = limit * _CHARS_PER_TOKEN
        self._starts = cache(lambda text: token_starts(text, tokenizer))  # each text is tokenized once
        self._header_tokens = cache(lambda headings: self._passage_tokens(Chunk(0, 0, 0, "", headings)))
        self._alignment = lru_cache(1)(lambda counted: Alignment(counted.block, outline.source))

    def chunks(self) -> Iterator[Chunk]:
        """All chunks, every one with index 0."""
        sections = self._outline.sections
        whole = self._whole(_joined(sections))
        if whole is not None:
            yield whole
            return
        for group in self._groups(sections):
            yield from self._cut(_joined(group))

    def _whole(self, document: Section) -> Chunk | None:
        """The document as one chunk, if it fits."""
        blocks = document.blocks
        size = blocks[-1].end - blocks[0].start if self._outline.verbatim else sum(len(block.text) for block in blocks)
        if size > self._limit * _FITTING_CHARS:
            return None
        counted = [self._counted(block) for block in blocks]
        if sum(map(len, counted)) - _JOIN * len(counted) > self._limit:
            return None
        draft = Draft(tuple(BlockPiece(each, 0, len(each)) for each in counted), 0)
        return self._fitting(document.anchor, self._fit_headings(document.headings), draft)

    def _groups(self, sections: Sequence[Section]) -> Iterator[list[Section]]:
        """Sections that share chunks: tiny ones with a neighbour under the same heading, up to half the limit."""
        current: list[Section] = []
        size = 0
        for section in sections:
            cost = sum(len(self._counted(block)) for block in section.blocks)
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
        grain = max(1, min(self._overlap or room, room // 8))
        verbatim, max_chars = self._outline.verbatim, self._max_chars
        pieces: list[BlockPiece] = []
        for block in section.blocks:
            pieces += cut_block(self._counted(block), max(1, room - 1), max_chars=max_chars, grain=grain)
        for draft in pack_pieces(pieces, room, max_chars=max_chars, overlap=self._overlap, gaps=verbatim):
            yield from self._checked(section.anchor, headings, draft)

    def _checked(self, anchor: str, headings: tuple[str, ...], draft: Draft) -> Iterator[Chunk]:
        """The chunk of a draft, in halves if its passage is too long after all.

        Tokenizers are not additive: a text may have more tokens than its parts had inside their blocks.
        """
        chunk = self._fitting(anchor, headings, draft)
        halves = draft.halves() if chunk is None else ()
        if halves:
            for half in halves:
                yield from self._checked(anchor, headings, half)
        else:
            chunk = chunk or self._chunk(anchor, headings, list(draft.slices()))
            if chunk.text:
                yield chunk

    def _fitting(self, anchor: str, headings: tuple[str, ...], draft: Draft) -> Chunk | None:
        """The chunk of a draft, if its passage has no more tokens than the limit; these are counted if in doubt."""
        slices = list(draft.slices())
        chunk = self._chunk(anchor, headings, slices)
        most = self._header_tokens(headings) + sum(map(len, draft.pieces)) + draft.pieces[0].first - draft.lead
        for before, (counted, first, last) in zip([None, *slices], slices, strict=False):
            most += self._margin(counted.block, first, last, before[0].block if before else None)
        return chunk if most <= self._limit or self._passage_tokens(chunk) <= self._limit else None

    def _margin(self, block: Block, first: int, last: int, before: Block | None) -> int:
        """Tokens that a slice of a block may have in a passage beyond those that it had in the block.

        Only the words beside a cut may be read differently, as a token for each character at most.
        """
        text = block.text
        if before is not None and self._outline.verbatim and block.start - before.end > _JOIN:
            return self._limit
        margin = _JOIN
        if first > 0 and (word := _WORD.match(text, first)):
            margin += word.end() - first
        if last < len(text) and not text[last].isspace():
            margin += last - 1 - max(text.rfind(" ", first, last), text.rfind("\n", first, last), first - 1)
        return margin

    def _chunk(self, anchor: str, headings: tuple[str, ...], slices: Sequence[tuple[CountedBlock, int, int]]) -> Chunk:
        start = self._original(*slices[0][:2])
        end = self._original(slices[-1][0], slices[-1][2])
        if self._outline.verbatim:
            text = self._outline.source[start:end]
            start += len(text) - len(text.lstrip())
            text = text.strip()
            return Chunk(0, start, start + len(text), text, headings, anchor)
        parts: list[str] = []
        for counted, first, last in slices:
            if parts:
                parts.append("\n" if counted.block.tight else "\n\n")
            parts.append(counted.block.text[first:last])
        return Chunk(0, start, max(end, start + 1), "".join(parts).strip("\r\n").rstrip(), headings, anchor)

    def _original(self, counted: CountedBlock, position: int) -> int:
        block = counted.block
        if position == 0:
            return block.start
        if self._outline.verbatim:
            return block.start + position
        if position >= len(block.text):
            return block.end
        return self._alignment(counted).original(position)

    def _counted(self, block: Block) -> CountedBlock:
        return CountedBlock(block, self._starts(block.text))

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
