"""Highlights: the spans of a text that hold the query's words or simple inflections of them.

A word of the text is marked if it equals a word of the query or both share a stem: one is a prefix of the other
and at most three characters shorter. In scripts without spaces (Chinese, Japanese, Thai …) runs of the query of two
characters and more are looked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import Final

from winnow.core.text import FUNCTION_WORDS
from winnow.core.types import Span

MAX_SPANS: Final = 32
_MIN_STEM: Final = 4
_MAX_SUFFIX: Final = 3
_UNSPACED: Final = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+(?:['’][^\W_]+)?")
_REST_OF_WORD: Final = re.compile(rf"[^\W_{_UNSPACED}]*(?:['’][^\W_]+)?")
_INSIDE_WORD: Final = re.compile(rf"[^\W_{_UNSPACED}]\Z|[^\W_{_UNSPACED}]['’]\Z")  # before the rest of a word
_UNSPACED_RUN: Final = re.compile(rf"[{_UNSPACED}]")
_STOP: Final = FUNCTION_WORDS | {"but", "no", "not", "than"}


class Highlighter:
    """Marks one query's words in many texts."""

    def __init__(self, query: str) -> None:
        found = [match.group() for match in _WORD.finditer(query)]
        folded = {_fold(term) for term in found if not _UNSPACED_RUN.match(term)}
        self._words = frozenset(folded - _STOP or folded)
        # what a word of the text may be if a longer word of the query begins with it
        self._stems = frozenset(word[:size] for word in self._words for size in _stem_sizes(word))
        self._seen: dict[str, bool] = {}  # texts about one subject repeat their words
        runs = [term for term in found if _UNSPACED_RUN.match(term)]
        self._pairs = frozenset(run[i : i + 2] for run in runs for i in range(len(run) - 1))
        self._beginnings = None if runs else _beginning_like(self._words)

    def spans(self, text: str) -> tuple[Span, ...]:
        """Spans of ``text`` that match, in order, neighbours joined, at most 32."""
        if not self._words and not self._pairs:
            return ()
        if self._beginnings and (lowered := _lowered(text)) is not None:
            spans = self._spans_by_beginning(self._beginnings, lowered)
        else:
            spans = self._all_spans(text)
        return tuple(_join(spans, text)[:MAX_SPANS])

    def _spans_by_beginning(self, beginnings: re.Pattern[str], lowered: str) -> list[Span]:
        """Look only at words that begin like a word of the query, as every match does: a small part of the text."""
        spans: list[Span] = []
        for beginning in beginnings.finditer(lowered):
            start = beginning.start()
            word = _REST_OF_WORD.match(lowered, start)
            if word and self._matches(word.group()) and not _INSIDE_WORD.search(lowered, max(0, start - 2), start):
                spans.append(Span(start, word.end()))
        return spans

    def _all_spans(self, text: str) -> list[Span]:
        spans: list[Span] = []
        for match in _WORD.finditer(text):
            word = match.group()
            if not word.isascii() and _UNSPACED_RUN.match(word):
                spans.extend(_find_runs(self._pairs, word, match.start()))
            elif self._matches(word):
                spans.append(Span(match.start(), match.end()))
        return spans

    def _matches(self, word: str) -> bool:
        known = self._seen.get(word)
        if known is None:
            known = self._seen[word] = self._is_match(_fold(word))
        return known

    def _is_match(self, word: str) -> bool:
        if word in self._words or word in self._stems:
            return True
        return any(word[:size] in self._words for size in _stem_sizes(word))


def _beginning_like(words: Collection[str]) -> re.Pattern[str] | None:
    """A pattern of the first letters of ``words``; ``None`` unless all words are ASCII.

    It also finds places inside words: it is compiled for each query, and a class of letters would cost a millisecond.
    """
    if not words or not all(word.isascii() for word in words):
        return None
    return re.compile("|".join(sorted({word[: _MIN_STEM - 1] for word in words})))


def _lowered(text: str) -> str | None:
    """``text`` in lower case, character by character, if that is how its words fold; else ``None``."""
    if text.isascii():
        return text.lower()
    if "ß" in text or "ẞ" in text or not unicodedata.is_normalized("NFKC", text):
        return None
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else None


def _stem_sizes(word: str) -> range:
    """Lengths of the beginnings of ``word`` that count as its stem."""
    return range(max(_MIN_STEM, len(word) - _MAX_SUFFIX), len(word))


def _find_runs(pairs: frozenset[str], text: str, offset: int) -> list[Span]:
    """Longest common substrings of two characters and more, greedily from the left."""
    spans, i = [], 0
    while i < len(text) - 1:
        end = i
        while text[end : end + 2] in pairs and len(text[end : end + 2]) == 2:
            end += 1
        if end > i:
            spans.append(Span(offset + i, offset + end + 1))
        i = max(end, i + 1)
    return spans


def _join(spans: list[Span], text: str) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        if joined and (span.start <= joined[-1].end or text[joined[-1].end : span.start] == " "):
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
    return joined


def _fold(word: str) -> str:
    return word.lower() if word.isascii() else unicodedata.normalize("NFKC", word).casefold()
