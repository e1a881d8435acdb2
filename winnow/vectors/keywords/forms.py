"""Further forms of a word: without the particles that are written with it, and in its other spellings. Pure.

What ``stored_forms`` and ``ukrainian_stem`` give is kept beside the words of a document and looked for beside those of
a query. What ``asked_spellings`` gives is looked for alone, so that it works on every index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from winnow.core.text import STOP_WORDS

_PARTICLES: Final = re.compile("(?:[ושכ](?=[הבלמ])|[והבלמשכ])(?=[\u05d0-\u05ea]{3})")
"""Of Hebrew: and, the, in, to, from, that, as; two of them where the first may come before another."""
_AND_THE: Final = re.compile("[وف](?=ال[\u0620-\u064a]{3})")
"""Of Arabic, whose stemmer takes off the article but not what comes before it."""
_NASAL: Final = re.compile("(?:[ङञणनम]\u094d(?=[क-ह])|\u0901)")
"""Of Hindi: a nasal before a consonant, which may be written as a point instead, हिन्दी as हिंदी."""
_POINT: Final = "\u0902"

_APOSTROPHES: Final = re.compile("(?<=\\w)['\u2019\u02bb\u02bc](?=\\w)")
_MODIFIER: Final = "\u02bc"
_TWO_LETTERS: Final = re.compile("ae|oe|ue")
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_UKRAINIAN: Final = re.compile(
    "(?<=[^\\W\\d_]{3})(?:ами|ями|ому|ого|ими|ій|ої|ою|ею|єю|ів|їв|ам|ям|ах|ях|ом|ем|єм|их|им|ую|юю|ає|ує|[аяуюоеєиіїьй])\\Z"
)
"""Endings of nouns, adjectives and verbs behind three letters, which Snowball has no stemmer for."""
_SHORTEST: Final = 4  # letters of a spelling without its umlauts' second letters: "toe" is not "to"


def stored_forms(word: str) -> Iterator[str]:
    """Of a case-folded word without marks: Hebrew without particles, Arabic without "and", Hindi with nasal points."""
    first = word[:1]
    if "\u05d0" <= first <= "\u05ea":
        while found := _PARTICLES.match(word):
            word = word[found.end() :]
            yield word
    elif first in "وف":
        if _AND_THE.match(word):
            yield word[1:]
    elif "\u0900" <= first <= "\u097f" and (plain := _NASAL.sub(_POINT, word)) != word:
        yield plain


def ukrainian_stem(word: str) -> str:
    """A case-folded Cyrillic word without its ending."""
    return _UKRAINIAN.sub("", word)


def asked_spellings(token: str) -> Iterator[str]:
    """How else a token of a query may be written: ``müller`` and ``mueller``, ``під'їзд`` with each apostrophe."""
    if token.isascii():
        bare = _TWO_LETTERS.sub(lambda found: found[0][0], token.lower())
        if len(bare) >= _SHORTEST and bare != token.lower() and bare not in STOP_WORDS:
            yield bare
        return
    if (spelled := token.casefold().translate(_UMLAUTS)) != token.casefold():
        yield spelled
    if _APOSTROPHES.search(token):
        yield from ({_APOSTROPHES.sub(mark, token) for mark in ("'", _MODIFIER)} - {token})
