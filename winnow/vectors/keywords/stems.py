"""Words folded to what they share with their inflections: case, accents, and endings by Snowball's stemmers.

The letters of a word tell its stemmer; only for Latin letters must the language be known.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import Stemmer

from winnow.core.languages import LatinLanguage
from winnow.core.letters import without_marks

_STEMMED: Final = re.compile(
    "(?P<russian>[\u0400-\u052f])|(?P<greek>[\u0370-\u03ff\u1f00-\u1fff])|(?P<arabic>[\u0600-\u06ff])"
    "|(?P<hindi>[\u0900-\u097f])|(?P<armenian>[\u0530-\u058f])|(?P<tamil>[\u0b80-\u0bff])|(?P<latin>[a-z\u00c0-\u024f])"
)
_DOTTED_I: Final = "i\u0307"  # the lower case of the Turkish İ


@cache
def _stemmer(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(language, 0)  # words are cached by the caller


def stem(word: str, language: LatinLanguage) -> str:
    """The stem of a word, folded; ``language`` is that of a word in Latin letters."""
    folded = word.casefold()
    if folded.isascii():
        return _stemmed(folded, language)
    match = _STEMMED.match(folded)
    script = None if match is None else match.lastgroup
    if script is None or (script == "latin" and language == "english"):
        bare = without_marks(folded)
        return bare if script is None else _stemmed(bare, language)
    # the stemmers of other languages know the marks
    if script == "latin":
        return without_marks(_stemmed(folded.replace(_DOTTED_I, "i"), language))
    return without_marks(_stemmed(folded.replace("ё", "е"), script))


def _stemmed(word: str, language: str) -> str:
    found: str = _stemmer(language).stemWord(word)
    return found
