"""Letters of all scripts: which combine, which are written without spaces, and how their forms are folded."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

_LAST_MARK: Final = 0x11FFF  # behind it lie marks of musical notes and of variants


def _ranges(points: Iterable[int]) -> str:
    """Code points, ascending, as ranges of a character class."""
    found = list(points)
    gaps = [at for at, (one, following) in enumerate(pairwise(found), 1) if following != one + 1]
    bounds = [0, *gaps, len(found)]
    return "".join(f"\\U{found[begin]:08x}-\\U{found[end - 1]:08x}" for begin, end in pairwise(bounds))


MARKS: Final = _ranges(point for point in range(0x300, _LAST_MARK) if unicodedata.category(chr(point))[0] == "M")
"""Combining marks, as part of a character class: accents, vowel signs of Arabic, Hebrew, Thai and Indic scripts."""

HAN: Final = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KANA: Final = "\u3040-\u30ff\u31f0-\u31ff"
HANGUL: Final = "\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff"
SOUTHEAST_ASIAN: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Thai, Lao, Burmese and Khmer."""
UNSPACED: Final = f"{SOUTHEAST_ASIAN}{KANA}{HAN}"
"""Letters of scripts that put no spaces between words."""

# letters that Unicode does not take apart into a letter and a mark
_LATIN: Final = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ŧ": "t", "æ": "ae", "œ": "oe"}
)
# marks that make another letter (й, ў), or are a vowel that must be written (Indic scripts, Thai), stay
_LOOSE_MARKS: Final = re.compile(
    "(?<![иу])\u0306|[\u0300-\u0305\u0307-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u1ab0-\u1aff]"
)
# letters of Arabic that are typed for each other, and those of Persian and Urdu that look like them
_ARABIC: Final = str.maketrans("ىةکیہھ", "يهكيهه")
_UMLAUT: Final = re.compile("[äöü]")
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})

INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u0640\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff"
    "\U0001f3fb-\U0001f3ff\U000e0100-\U000e01ef"
)
"""Characters that words are compared without, as part of a character class: soft hyphens, joiners, tatweel."""
_INVISIBLE: Final = re.compile(f"[{INVISIBLE}]")
_UNSEEN: Final = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff]")


def composed(text: str) -> str:
    """``text`` in Unicode's NFKC, without the characters of ``INVISIBLE``."""
    return text if text.isascii() else _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def without_unseen(text: str) -> str:
    """``text`` without characters that no reader sees and no script needs: soft hyphens, zero-width spaces, marks of
    direction. Joiners stay, which Persian and emoji have.
    """
    return text if text.isascii() else _UNSEEN.sub("", text)


def without_marks(word: str) -> str:
    """A case-folded word without accents and vowel points: ``lodz`` of ``łódź``. й and ў stay, signs of vowels too."""
    if word.isascii():
        return word
    apart = unicodedata.normalize("NFD", word)
    return unicodedata.normalize("NFC", _LOOSE_MARKS.sub("", apart)).translate(_LATIN)


def folded_letters(text: str) -> str:
    """``text`` in small letters, ``composed`` and ``without_marks``, with one form of the Arabic letters alike."""
    return text.lower() if text.isascii() else without_marks(composed(text).casefold()).translate(_ARABIC)


def folded_forms(word: str) -> tuple[str, ...]:
    """The folded forms of a word: ``folded_letters``, and ``mueller`` beside ``muller`` of one with umlauts."""
    if word.isascii():
        return (word.lower(),)
    folded = composed(word).casefold()
    if _UMLAUT.search(folded) is None:
        return (folded_letters(word),)
    return folded_letters(word), without_marks(folded.translate(_UMLAUTS))
