"""The texts around results: neighbouring chunks as one span of the document's text, of whole sentences if asked for.

Neighbours are points of the same revision as the result's, read in one round trip for all results; their text is the
document's own between the first and the last of them, read in another. A document that was replaced meanwhile has
neither: its result keeps its text, with those neighbours that are still stored and overlap it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, NamedTuple

from winnow.core.ids import point_id
from winnow.core.packing import Excerpt
from winnow.core.search import Candidate
from winnow.core.types import Chunk, Collection, IndexRef
from winnow.ports import DocumentCatalog, Point, TextSpan, VectorStore
from winnow.search.sentences import borders_of, completed

MARGIN: Final = 1000  # characters on each side in which the rest of a sentence is looked for


class Passages(NamedTuple):
    """The text around a result.

    Attributes:
        start: offset of ``text`` in the document's canonical text.
        text: of the document, without what chunks repeat.
        chunk: start and end in ``text`` of the chunk that matched.
        sentences: as ``chunk``, with the rest of the sentences that it cuts.
        wide: as ``sentences``, of the chunk with its neighbours.
        prefixes: what is repeated from before the chunk, and from before the first neighbour.
    """

    start: int
    text: str
    chunk: tuple[int, int]
    sentences: tuple[int, int]
    wide: tuple[int, int]
    prefixes: tuple[str, str] = ("", "")

    def excerpt(self, span: tuple[int, int]) -> Excerpt:
        """A part of the text; with what is repeated from before where it begins as the chunk or the first neighbour."""
        begin, end = span
        own, first = self.prefixes
        prefix = first if begin == self.wide[0] else own if begin == self.sentences[0] else ""
        return Excerpt(self.start + begin, self.start + end, prefix + self.text[begin:end], prefix)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Reads the texts around results of one index."""

    store: VectorStore
    documents: DocumentCatalog
    collection: Collection
    index: IndexRef

    async def read(self, candidates: Sequence[Candidate], *, expand: int, whole_sentences: bool) -> list[Passages]:
        """The text around each candidate, in two round trips at most.

        Args:
            candidates: chunks of this index.
            expand: how many chunks before and behind each.
            whole_sentences: whether sentences that a chunk cuts are completed.

        Raises:
            WinnowError: store or catalog did not answer.
        """
        ids = [self._neighbours(each, expand) for each in candidates]
        wanted = list(dict.fromkeys(point for each in ids for point in each.values()))
        points = await self.store.read(self.index, wanted) if wanted else {}
        runs = [_run(each.chunk, named, points) for each, named in zip(candidates, ids, strict=True)]
        margin = MARGIN if whole_sentences else 0
        spans = [
            TextSpan(each.document_id, each.revision, max(0, run[0].start - margin), _end(run) + margin)
            for each, run in zip(candidates, runs, strict=True)
        ]
        asked = [number for number, run in enumerate(runs) if margin or len(run) > 1]
        texts = await self.documents.texts_between(self.collection.name, [spans[number] for number in asked])
        found = dict(zip(asked, texts, strict=True))
        return [
            _passages(each.chunk, run, spans[number].start, found.get(number), whole_sentences=whole_sentences)
            for number, (each, run) in enumerate(zip(candidates, runs, strict=True))
        ]

    def _neighbours(self, candidate: Candidate, expand: int) -> dict[int, str]:
        """Ids of the points around a candidate by the numbers of their chunks; none of another collection's."""

        def named(number: int) -> str:
            return point_id(self.collection.uid, candidate.document_id, candidate.revision, number)

        index = candidate.chunk.index
        if not expand or named(index) != candidate.point_id:
            return {}
        return {i: named(i) for i in range(max(0, index - expand), index + expand + 1) if i != index}


def _run(chunk: Chunk, ids: Mapping[int, str], points: Mapping[str, Point]) -> list[Chunk]:
    """The chunk with its neighbours, in their order, as far as they are stored without a gap in their numbers."""

    def stored(numbers: Sequence[int]) -> list[Chunk]:
        found = takewhile(lambda point: point is not None, (points.get(ids.get(i, "")) for i in numbers))
        return [point.chunk for point in found if point is not None]

    before = stored(range(chunk.index - 1, min(ids, default=0) - 1, -1))
    behind = stored(range(chunk.index + 1, max(ids, default=0) + 1))
    return [*reversed(before), chunk, *behind]


def _end(run: Sequence[Chunk]) -> int:
    return max(each.end for each in run)


def _passages(chunk: Chunk, run: list[Chunk], start: int, text: str | None, *, whole_sentences: bool) -> Passages:
    if text is None or not all(_holds(text, start, each) for each in run):
        return _glued(chunk, run)
    at, wide = (chunk.start - start, chunk.end - start), (run[0].start - start, _end(run) - start)
    prefixes = (chunk.prefix, run[0].prefix)
    if not whole_sentences:
        return Passages(start, text, at, at, wide, prefixes)
    borders = borders_of(text)
    if start == 0:
        borders.insert(0, 0)
    if len(text) < wide[1] + MARGIN:  # then it is the end of the document
        borders.append(len(text))
    sentences, wide = (
        (span[0] if prefix else start_, end_)  # behind a repeated header nothing is missing
        for span, prefix in ((at, chunk.prefix), (wide, run[0].prefix))
        for start_, end_ in (completed(text, borders, span),)
    )
    return Passages(start, text, at, sentences, wide, prefixes)


def _holds(text: str, start: int, chunk: Chunk) -> bool:
    return text[max(0, chunk.start - start) : chunk.end - start] == chunk.text[len(chunk.prefix) :]


def _glued(chunk: Chunk, run: Sequence[Chunk]) -> Passages:
    """The chunk with the neighbours that overlap it, or begin where it ends: the text between others is not known."""
    at = run.index(chunk)
    start, text, prefix = chunk.start, chunk.text[len(chunk.prefix) :], chunk.prefix
    for before in reversed(run[:at]):
        if not before.start <= start <= before.end:
            break
        body = before.text[len(before.prefix) :]
        text, start, prefix = body[: start - before.start] + text, before.start, before.prefix
    for behind in run[at + 1 :]:
        if not start <= behind.start <= start + len(text):
            break
        text += behind.text[len(behind.prefix) :][max(0, start + len(text) - behind.start) :]
    span = (chunk.start - start, chunk.end - start)
    return Passages(start, text, span, span, (0, len(text)), (chunk.prefix, prefix))
