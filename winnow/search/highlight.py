"""Highlights: the spans of a text that hold the query's words or simple inflections of them.

A word of the text is marked if it equals a word of the query or both share a stem: one is a prefix of the other
and at most three characters shorter, or, beyond ASCII, they differ from a vowel near their ends on. Accents do not
matter, combining marks belong to their letter, and numbers may be written with or without separators. A German noun is
marked for a part that it has. In scripts without spaces (Chinese, Japanese, Thai …), and in Hangul, whose words carry
endings, runs of the query of two characters and more are looked for, or of one where the query has no more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from itertools import starmap, takewhile
from typing import Final, TypeAlias

from winnow.core.compounds import compound_parts, may_have_compounds
from winnow.core.letters import HANGUL, MARKS, UNSPACED, composed, folded_forms, without_marks
from winnow.core.marks import Span
from winnow.core.readable import plain_numbers, readable
from winnow.core.text import FUNCTION_WORDS
from winnow.core.words import SYMBOL

MAX_SPANS: Final = 32
_MIN_STEM: Final = 4
_MAX_SUFFIX: Final = 3
_SHORTEST_STEM: Final = 3  # of words beyond ASCII that differ in their last vowel
_ALIKE: Final = 0.7  # share of the longer word
_VOWELS: Final = "аеиоуыэюяьйіїєαεηιουω"  # and the end of a word, which is in every string
_UNSPACED: Final = f"{UNSPACED}{HANGUL}"
_LETTERS: Final = rf"[^\W_{_UNSPACED}]+(?:[{MARKS}]+[^\W_{_UNSPACED}]*)*"
_WORD: Final = re.compile(rf"[{_UNSPACED}]+|{_LETTERS}(?:['’]{_LETTERS})?|[{SYMBOL}]")
_ACCENTED: Final = re.compile("[\u00e0-\u024f\u1e00-\u1eff]")
_PLAIN: Final = {
    point: plain
    for point in (*range(0xE0, 0x250), *range(0x1E00, 0x1F00))
    if len(plain := without_marks(chr(point))) == 1 and plain.isascii()
}
_MARK: Final = re.compile(f"[{MARKS}]")
_REST_OF_WORD: Final = re.compile(rf"[^\W_{_UNSPACED}]*(?:['’][^\W_]+)?")
_INSIDE_WORD: Final = re.compile(rf"[^\W_{_UNSPACED}]\Z|[^\W_{_UNSPACED}]['’]\Z")  # before the rest of a word
_UNSPACED_RUN: Final = re.compile(rf"[{_UNSPACED}]")
_DIGIT: Final = re.compile(r"\d")
_STOP: Final = FUNCTION_WORDS | {"but", "no", "not", "than"}

_Range: TypeAlias = tuple[int, int]


class Highlighter:
    """Marks one query's words in many texts."""

    def __init__(self, query: str) -> None:
        self._numbers = _DIGIT.search(query) is not None
        query = plain_numbers(composed(query)) if self._numbers else composed(query)
        found = [match.group() for match in _WORD.finditer(query)]
        folded = {form for term in found if not _UNSPACED_RUN.match(term) for form in folded_forms(term)}
        self._words = frozenset(folded - _STOP or folded)
        # what a word of the text may be if a longer word of the query begins with it
        self._stems = frozenset(word[:size] for word in self._words for size in _stem_sizes(word))
        self._seen: dict[str, bool] = {}  # texts about one subject repeat their words
        runs = [term for term in found if _UNSPACED_RUN.match(term)]
        self._pairs = frozenset(run[i : i + 2] for run in runs for i in range(len(run) - 1))
        self._single = frozenset(runs if not self._words and not self._pairs else ())
        self._beginnings = None if runs else _beginnings_of(self._words)

    def spans(self, text: str) -> tuple[Span, ...]:
        """Spans of ``text`` that match, in order, neighbours joined, at most 32."""
        if not self._words and not self._pairs and not self._single:
            return ()
        read = readable(text, numbers=self._numbers)
        compounds = may_have_compounds(text)
        if self._beginnings and not compounds and (lowered := _lowered(read.text)) is not None:
            found = self._found_by_beginning(self._beginnings, lowered)
        else:
            found = self._all_found(read.text, compounds=compounds)
        joined = _join(found, read.text)[:MAX_SPANS]
        if read.places is not None:
            joined = [read.original(*each) for each in joined]
        return tuple(starmap(Span, joined))

    def _found_by_beginning(self, beginnings: Collection[str], lowered: str) -> list[_Range]:
        """Look only at words that begin like a word of the query, as every match does: a small part of the text."""
        found: list[_Range] = []
        for start in _places(beginnings, lowered):
            before = lowered[start - 1 : start]  # empty at the beginning
            is_inside = before.isalnum() if before.isascii() and before != "'" else _is_inside_word(lowered, start)
            word = None if is_inside else _REST_OF_WORD.match(lowered, start)
            if word is None:
                continue
            text = word.group()
            known = self._seen.get(text)
            if self._matches(text) if known is None else known:
                found.append(word.span())
        return found

    def _all_found(self, text: str, *, compounds: bool) -> list[_Range]:
        found: list[_Range] = []
        for match in _WORD.finditer(text):
            word = match.group()
            if not word.isascii() and _UNSPACED_RUN.match(word):
                found.extend(_find_runs(self._pairs, word, match.start()))
                if self._single:
                    found.extend((at, at + 1) for at in range(*match.span()) if text[at] in self._single)
            elif self._matches(word) or (compounds and self._has_part(word)):
                found.append(match.span())
        return found

    def _matches(self, word: str) -> bool:
        known = self._seen.get(word)
        if known is None:
            known = self._seen[word] = any(map(self._is_match, folded_forms(word)))
        return known

    def _has_part(self, word: str) -> bool:
        return any(len(part) >= _MIN_STEM and self._matches(part) for part in compound_parts(word))

    def _is_match(self, word: str) -> bool:
        if word in self._words or word in self._stems:
            return True
        if any(word[:size] in self._words for size in _stem_sizes(word)):
            return True
        return not word.isascii() and any(_has_other_ending(word, each) for each in self._words)


def _beginnings_of(words: Collection[str]) -> frozenset[str] | None:
    """The first letters of ``words``; ``None`` unless all words are ASCII."""
    if not words or not all(word.isascii() for word in words):
        return None
    return frozenset(word[: _MIN_STEM - 1] for word in words)


def _places(beginnings: Collection[str], lowered: str) -> list[int]:
    """Where any of ``beginnings`` is found, in order. A pattern for all of them costs more to compile than this."""
    places: set[int] = set()
    for beginning in beginnings:
        at = lowered.find(beginning)
        while at >= 0:
            places.add(at)
            at = lowered.find(beginning, at + 1)
    return sorted(places)


def _is_inside_word(lowered: str, start: int) -> bool:
    """Whether a word reaches from an apostrophe or a letter beyond ASCII before ``start`` over it."""
    return _INSIDE_WORD.search(lowered, max(0, start - 2), start) is not None


def _lowered(text: str) -> str | None:
    """``text`` in lower case and without accents, if its words fold character by character; else ``None``."""
    if text.isascii():
        return text.lower()
    if "ß" in text or "ẞ" in text or not unicodedata.is_normalized("NFKC", text):
        return None
    lowered = text.lower()
    if len(lowered) != len(text):
        return None
    return lowered.translate(_PLAIN) if _ACCENTED.search(lowered) else lowered


def _stem_sizes(word: str) -> range:
    """Lengths of the beginnings of ``word`` that count as its stem."""
    return range(max(_MIN_STEM, len(word) - _MAX_SUFFIX), len(word))


def _has_other_ending(word: str, asked: str) -> bool:
    """Whether both begin alike and go on with other vowels, as words of Slavic languages and of Greek do."""
    if word[:_SHORTEST_STEM] != asked[:_SHORTEST_STEM]:
        return False
    size = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(word, asked, strict=False)))
    alike = size >= max(_SHORTEST_STEM, _ALIKE * max(len(word), len(asked)))
    return alike and all(rest[size : size + 1] in _VOWELS for rest in (word, asked))


def _find_runs(pairs: frozenset[str], text: str, offset: int) -> list[_Range]:
    """Longest common substrings of two characters and more, greedily from the left."""
    found, i = [], 0
    while i < len(text) - 1:
        end = i
        while text[end : end + 2] in pairs and len(text[end : end + 2]) == 2:
            end += 1
        if end > i:
            start, stop = _with_marks(text, i, end + 1)
            found.append((offset + start, offset + stop))
        i = max(end, i + 1)
    return found


def _with_marks(text: str, start: int, end: int) -> _Range:
    """The range with the letters of its first marks and the marks of its last letter."""
    while start > 0 and _MARK.match(text, start):
        start -= 1
    while end < len(text) and _MARK.match(text, end):
        end += 1
    return start, end


def _join(found: Sequence[_Range], text: str) -> list[_Range]:
    joined: list[_Range] = []
    last = -1
    for start, end in found:
        if joined and (start <= last or text[last:start] == " "):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
        last = end
    return joined
