"""Which spans of a text a reader should look at: the query's words, and their simple inflections.

A word of the text is marked if it equals a word of the query or both share a stem: one is a prefix of the other
and at most three characters shorter. In scripts without spaces (Chinese, Japanese, Thai …) runs of the query of two
characters and more are looked for.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from retrieval.types import Span

MAX_SPANS: Final = 32
_MIN_STEM: Final = 4
_MAX_SUFFIX: Final = 3
_UNSPACED: Final = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+(?:['’][^\W_]+)?")
_UNSPACED_RUN: Final = re.compile(rf"[{_UNSPACED}]")
_STOP: Final = frozenset(
    "a an and are as at be but by can did do does for from had has have how i if in into is it its me my no not of on "
    "or our so than that the their them then there these they this to was we were what when where which who why will "
    "with you your".split()
)


def highlight(query: str, text: str) -> tuple[Span, ...]:
    """Spans of ``text`` that match ``query``, in order, neighbours joined, at most 32."""
    words, runs = _terms(query)
    if not words and not runs:
        return ()
    spans: list[Span] = []
    for match in _WORD.finditer(text):
        if _UNSPACED_RUN.match(match.group()):
            spans.extend(_find_runs(runs, match.group(), match.start()))
        elif _matches(words, _fold(match.group())):
            spans.append(Span(match.start(), match.end()))
    return tuple(_join(spans, text)[:MAX_SPANS])


def _terms(query: str) -> tuple[frozenset[str], tuple[str, ...]]:
    found = [match.group() for match in _WORD.finditer(query)]
    runs = [term for term in found if _UNSPACED_RUN.match(term)]
    folded = {_fold(term) for term in found if not _UNSPACED_RUN.match(term)}
    return frozenset(folded - _STOP or folded), tuple(runs)


def _matches(words: frozenset[str], word: str) -> bool:
    if word in words:
        return True
    return len(word) >= _MIN_STEM and any(_same_stem(word, other) for other in words)


def _same_stem(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= _MIN_STEM and len(long) - len(short) <= _MAX_SUFFIX and long.startswith(short)


def _find_runs(runs: tuple[str, ...], text: str, offset: int) -> list[Span]:
    """Longest common substrings of two characters and more, greedily from the left."""
    pairs = {run[i : i + 2] for run in runs for i in range(len(run) - 1)}
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
    return unicodedata.normalize("NFKC", word).casefold()
