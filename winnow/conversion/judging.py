"""Chooses the blocks of a page that belong to its content, by what an extractor of articles found in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

OPEN, CLOSE = "\ue002", "\ue003"  # around the number of a paragraph's place: private characters
INSIDE: Final = "i"  # before the number of the element that a block is in
PLACE: Final = re.compile(f"{OPEN}([{INSIDE}\\d]*){CLOSE}")
_MARKS: Final = re.compile(r"[\ue000\ue002][^\ue001\ue003]*[\ue001\ue003]")

_WORD: Final = re.compile(r"[^\W_]+")
_KEPT_SHARE: Final = 0.7  # of a block's word sequences
_SENTENCE: Final = re.compile(r"[.!?…。！？؟۔।:][\"'”’»)\]]*$")
_SENTENCE_CHARS: Final = 50
_LONG_CHARS: Final = 150
_ALIKE: Final = 3  # paragraphs of one place that were found, so that the others are believed
_ALIKE_SHARE: Final = 0.3

Choose = Callable[[Sequence[str]], list[str]]


class Judge:
    """Tells the blocks of the content from those around it.

    Args:
        extracted: the text that an extractor found.
        is_article: the page calls itself an article: headings have to be found as well, and nothing is said twice.
        headline: a headline to keep, found or not.
    """

    def __init__(self, extracted: str, *, is_article: bool, headline: str = "") -> None:
        self._known = _shingles(extracted)
        self._text = _words(extracted)
        self._is_article = is_article
        self._headline = headline

    def choose(self, blocks: Sequence[str]) -> list[str]:
        """The blocks to keep, in their order; marks of places stay in them."""
        found = [self._is_known(_MARKS.sub("", block)) for block in blocks]
        trusted = _trusted(blocks, found)
        kept = []
        said: Counter[str] = Counter()
        for block, known in zip(blocks, found, strict=True):
            words = _words(block)
            if not words.strip() or not (known or self._is_heading(block) or _is_trusted(block, trusted)):
                continue
            said[words] += 1
            if not self._is_article or said[words] <= max(1, self._text.count(words)):
                kept.append(block)
        return kept

    def _is_known(self, block: str) -> bool:
        shingles = _shingles(block)
        return bool(shingles) and len(shingles & self._known) >= _KEPT_SHARE * len(shingles)

    def _is_heading(self, block: str) -> bool:
        if block[0] != "#":
            return False
        return not self._is_article or bool(self._headline and self._headline in block)


def _words(text: str) -> str:
    """The words of a text, each between spaces of its own, so that a part is found in the whole."""
    return "".join(f" {word} " for word in _WORD.findall(_MARKS.sub("", text).lower()))


def _trusted(blocks: Sequence[str], found: Sequence[bool]) -> set[str]:
    """The places of paragraphs of which the extractor found enough; it stops at advertisements inside of an article.

    An element is trusted if a block that is in it was found.
    """
    chars: Counter[str] = Counter()
    known: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    trusted: set[str] = set()
    for block, is_known in zip(blocks, found, strict=True):
        for place in PLACE.findall(block):
            if place[:1] == INSIDE:
                trusted |= {place} if is_known else set()
                continue
            if not _is_sentence(block):
                continue
            chars[place] += len(block)
            known[place] += len(block) * is_known
            numbers[place] += is_known
    return trusted | {
        place for place in chars if numbers[place] >= _ALIKE and known[place] >= _ALIKE_SHARE * chars[place]
    }


def _is_trusted(block: str, trusted: set[str]) -> bool:
    places = trusted.intersection(PLACE.findall(block))
    return any(place[:1] == INSIDE for place in places) or (bool(places) and _is_sentence(block))


def _is_sentence(block: str) -> bool:
    text = _MARKS.sub("", block)
    return len(text) >= _LONG_CHARS or (len(text) >= _SENTENCE_CHARS and bool(_SENTENCE.search(text)))


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    short = {tuple(words)} if words else set()
    runs = set(zip(words, words[1:], words[2:], strict=False))
    lines = {tuple(_WORD.findall(line.lower())) for line in text.split("\n")}
    return runs | {line for line in lines if 0 < len(line) < 3} | (short if len(words) < 3 else set())
