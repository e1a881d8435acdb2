"""Packs the texts of results into a number of tokens: greedily by score, in whole sentences. Pure.

First the cited text of every result is placed, best first; one that does not fit is shortened to the sentences around
those that match the query best. Then the results grow into their neighbours, best first, sentence by sentence, while
there is room.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from winnow.core.packing import Excerpt
from winnow.ports import Tokenizer
from winnow.search.expansion import Passages
from winnow.search.highlight import Highlighter
from winnow.search.sentences import borders_of

_Span: TypeAlias = tuple[int, int]
_SLACK: Final = 2  # tokens by which the estimate of a part may be too high


class Packer:
    """Fits texts into ``max_tokens`` tokens of ``tokenizer``, where there is a limit; marks decide what is kept."""

    def __init__(self, tokenizer: Tokenizer | None, max_tokens: int | None, marker: Highlighter) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._marker = marker

    def pack(self, passages: Sequence[Passages]) -> dict[int, Excerpt]:
        """The texts of the results whose surroundings are given, best first: those that fit, by position.

        Without a limit every result has its neighbours.
        """
        if self._max_tokens is None:
            return {i: self._counted(each.excerpt(each.wide)) for i, each in enumerate(passages)}
        placed, left = self._placed(passages, self._max_tokens)
        for i, (excerpt, complete) in placed.items():
            room = left + (excerpt.tokens or 0)
            if complete and left > 0 and (grown := self._grown(passages[i], passages[i].wide, room=room)) is not None:
                left = room - (grown.tokens or 0)
                placed[i] = grown, True
        return {i: excerpt for i, (excerpt, _) in placed.items()}

    def count(self, text: str) -> int:
        """The tokens of a text; 0 where they are not counted."""
        return 0 if self._tokenizer is None else len(self._tokenizer.spans(text))

    def _counted(self, excerpt: Excerpt) -> Excerpt:
        return excerpt if self._tokenizer is None else excerpt._replace(tokens=self.count(excerpt.text))

    def _placed(self, passages: Sequence[Passages], left: int) -> tuple[dict[int, tuple[Excerpt, bool]], int]:
        """What is cited of each result, as far as it fits, whether that is all of it, and the tokens that are left.

        One result is shortened: after it only those that fit as they are follow.
        """
        placed: dict[int, tuple[Excerpt, bool]] = {}
        shortened = False
        for i, each in enumerate(passages):
            if left <= 0:
                break
            excerpt: Excerpt | None = self._counted(each.excerpt(each.sentences))
            complete = excerpt is not None and (excerpt.tokens or 0) <= left
            if not complete:
                excerpt = None if shortened else self._shortened(each, left)
                shortened = True
            if excerpt is not None:
                placed[i] = excerpt, complete
                left -= excerpt.tokens or 0
        return placed, left

    def _shortened(self, passages: Passages, room: int) -> Excerpt | None:
        """The sentences of the cited text around the one with the most marks; ``None`` where that alone is too long."""
        cuts = _cuts(passages.text, passages.sentences)
        marks = [sum(end - start for start, end in self._marker.spans(passages.text[a:b])) for a, b in cuts]
        best = cuts[max(range(len(cuts)), key=lambda i: (marks[i], -i))]
        return self._grown(passages, passages.sentences, best, room=room)

    def _grown(self, passages: Passages, limits: _Span, core: _Span | None = None, *, room: int) -> Excerpt | None:
        """The largest text of whole sentences within ``limits`` and around ``core``, by default all that is cited."""
        core = core or passages.sentences
        if (whole := self._counted(passages.excerpt(limits))).tokens is None or whole.tokens <= room:
            return whole
        steps = list(_steps(core, _cuts(passages.text, limits), self._estimate(passages.text, limits), room))
        for span in reversed([core, *steps]):
            excerpt = self._counted(passages.excerpt(span))
            if (excerpt.tokens or 0) <= room:
                return excerpt
        return None

    def _estimate(self, text: str, limits: _Span) -> Callable[[_Span], int]:
        """Counts the tokens of parts of a text without reading them once more; off by one or two at the cuts."""
        start, end = limits
        starts = [] if self._tokenizer is None else [at + start for at, _ in self._tokenizer.spans(text[start:end])]
        return lambda span: bisect_left(starts, span[1]) - bisect_left(starts, span[0])


def _cuts(text: str, span: _Span) -> list[_Span]:
    """The sentences of a span, in order; white space between them left out."""
    start, end = span
    at = [start, *(border + start for border in borders_of(text[start:end]) if 0 < border < end - start), end]
    pairs = ((a, a + len(text[a:b].rstrip())) for a, b in pairwise(at))
    return [(a, b) for a, b in pairs if b > a] or [span]


def _steps(core: _Span, sentences: Sequence[_Span], tokens: Callable[[_Span], int], room: int) -> Iterator[_Span]:
    """Ever larger spans around ``core``, a sentence behind it and one before it in turn, while they may fit."""
    behind = [end for _, end in sentences if end > core[1]]
    before = [start for start, _ in reversed(sentences) if start < core[0]]
    start, end = core
    while behind or before:
        grew = False
        for ends in (True, False):
            ahead = behind if ends else before
            if not ahead:
                continue
            wider = (start, ahead[0]) if ends else (ahead[0], end)
            if tokens(wider) > room + _SLACK:
                ahead.clear()
                continue
            ahead.pop(0)
            start, end = wider
            grew = True
            yield wider
        if not grew:
            return


def merge_touching(
    excerpts: Sequence[Excerpt], documents: Sequence[object], numbers: Sequence[int], count: Callable[[str], int]
) -> list[tuple[int, Excerpt]]:
    """Texts of one document that overlap or touch become one, at the place of the best: position and text of each.

    Args:
        excerpts: best first.
        documents: whose each is.
        numbers: of the chunk that each was found for.
        count: tokens of a text.
    """
    kept = list(enumerate(excerpts))
    places = [0] if kept else []
    while places:  # what two became may touch a third
        at, excerpt = kept[place := places.pop()]
        for later in range(place + 1, len(kept)):
            of, other = kept[later]
            union = _union(excerpt, other) if documents[at] == documents[of] else None
            if union is None:
                continue
            tokens = None if excerpt.tokens is None else count(union.text)
            if tokens is not None and tokens > (excerpt.tokens or 0) + (other.tokens or 0):
                continue  # some tokenizers read a seam as more
            merged = (*excerpt.merged, numbers[of], *other.merged)
            kept[place] = at, union._replace(tokens=tokens, merged=merged)
            del kept[later]
            places = [place]
            break
        else:
            places = [place + 1] if place + 1 < len(kept) else []
    return kept


def _union(one: Excerpt, other: Excerpt) -> Excerpt | None:
    first, second = sorted((one, other), key=lambda each: (each.start, -each.end))
    if second.start > first.end:
        return None
    if second.end <= first.end:
        return first
    return first._replace(
        end=second.end, text=first.text + second.text[len(second.prefix) + first.end - second.start :]
    )
