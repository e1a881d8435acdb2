"""A query in the spelling of the texts that it finds: ``ha noi`` as ``Hà Nội``, ``STRASSE`` as ``Straße``.

The keyword arm folds words, so it finds them however they are written. Encoders do not: for one that knows accents and
capitals ``thu vien`` and ``thư viện`` are two things, for any of them ``1000`` and ``1,000`` are. So a word of the
query that none of the texts has in this spelling, and that they have in another one of the same folded form, is read as
they write it; of several spellings the one whose neighbours are those of the query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from winnow.core.letters import HANGUL, INVISIBLE, MARKS, UNSPACED, folded_forms, without_unseen
from winnow.core.readable import NUMBER, plain_numbers

READ: Final = 10  # texts that are looked at, of those that are found first
MOST_CHARS: Final = 2_000  # of each of them
MOST_WORDS: Final = 64  # of a query: one with more is a text, written as such
_SHORTEST_CAPITALS: Final = 5  # letters of a word in capitals, alone, that is no acronym

_LETTER: Final = rf"[^\W_{UNSPACED}{HANGUL}]"
_WORD: Final = re.compile(rf"{NUMBER}|{_LETTER}(?:[{MARKS}{INVISIBLE}]*{_LETTER})*[{MARKS}]*")
_FOREIGN: Final = re.compile("[ßæœøłđðħıŧäöüÄÖÜẞÆŒØŁĐÐĦİŦ]")
_LETTER_BEYOND: Final = re.compile(r"[^\W\d_\x00-\x7f]")
_LONG_NUMBER: Final = re.compile(r"\d{4}|\d[.,'’\s]\d")


def spelled_like(query: str, texts: Sequence[str], *, cased: bool) -> str:
    """``query`` with its words as ``texts`` spell them, itself where they have them or do not know them.

    Args:
        query: as it was typed.
        texts: what it found, best first.
        cased: whether the encoder tells capitals and accents apart. One that does not is given another spelling only
            for letters that it does not take for plain ones, and for numbers.
    """
    texts = [without_unseen(text[:MOST_CHARS]) for text in texts[:READ]]
    if not cased and not _LONG_NUMBER.search(query) and not any(map(_has_foreign, (query, *texts))):
        return query
    asked = list(_WORD.finditer(query))
    if not 0 < len(asked) <= MOST_WORDS:
        return query
    shouted = query.isupper() and (len(asked) > 1 or len(query) >= _SHORTEST_CAPITALS)
    forms = [_forms(found[0]) for found in asked]
    missing = _otherwise(asked, forms, texts, shouted=shouted)
    if not missing:
        return query
    read = [[found[0] for found in _WORD.finditer(text)] for text in texts]
    parts: list[str] = []
    last = 0
    for at, found in enumerate(asked):
        if at in missing and (spelling := _spelling(at, found[0], forms, read, shouted=shouted)):
            parts += (query[last : found.start()], spelling)
            last = found.end()
    return "".join((*parts, query[last:]))


def _otherwise(
    asked: Sequence[re.Match[str]], forms: Sequence[frozenset[str]], texts: Sequence[str], *, shouted: bool
) -> set[int]:
    """The words that ``texts`` have in another spelling alone, by number; with ``shouted`` all that they have not.

    A superset, found fast: most words of most queries are there as they were typed, or not at all.
    """
    near = "\n".join(texts)
    near = near if shouted else near.lower()
    missing = {at for at, found in enumerate(asked) if not _has_word(near, found[0] if shouted else found[0].lower())}
    if shouted or not missing:
        return missing
    numbers = plain_numbers(near) if any(asked[at][0][0].isdigit() for at in missing) else ""
    foreign = {found[0] for text in texts if _LETTER_BEYOND.search(text) for found in _WORD.finditer(text)}
    folded = frozenset[str]().union(*map(_forms, foreign))
    return {
        at
        for at in missing
        if not folded.isdisjoint(forms[at])
        or any(
            _has_word(numbers, form) or (form != asked[at][0].lower() and _has_word(near, form)) for form in forms[at]
        )
    }


def _has_word(text: str, word: str) -> bool:
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not text[at - 1 : at].isalnum() and not text[end : end + 1].isalnum():
            return True
        at = text.find(word, at + 1)
    return False


def _has_foreign(text: str) -> bool:
    return not text.isascii() and _FOREIGN.search(text) is not None


def _spelling(
    at: int, word: str, forms: Sequence[frozenset[str]], read: Sequence[Sequence[str]], *, shouted: bool
) -> str:
    """The spelling of a word of the query, the ``at``-th; empty where it stays as it is."""
    often: dict[str, int] = {}
    for words in read:
        for place in _places(forms[at], words):
            spelling = words[place]
            if shouted or spelling.lower() != word.lower():
                before = at > 0 and place > 0 and bool(_forms(words[place - 1]) & forms[at - 1])
                behind = (
                    at + 1 < len(forms) and place + 1 < len(words) and bool(_forms(words[place + 1]) & forms[at + 1])
                )
                often[spelling] = often.get(spelling, 0) + 1 + 100 * (before + behind)
    if often:
        return max(often, key=lambda each: often[each])
    return word.lower() if shouted else ""


def _places(wanted: frozenset[str], words: Sequence[str]) -> Iterator[int]:
    return (place for place, word in enumerate(words) if not wanted.isdisjoint(_forms(word)))


@lru_cache(50_000)
def _forms(word: str) -> frozenset[str]:
    return frozenset((plain_numbers(word),) if word[0].isdigit() else folded_forms(word))
