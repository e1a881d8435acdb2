"""What somebody types into a search box, and the words that names are found by while they type. Pure.

Words are folded: case, accents, compatibility forms and punctuation do not matter. Names written as code give their
parts as well: ``json.JSONEncoder`` is found by ``json``, ``jsonencoder``, ``encoder`` and ``jsonjsonencoder``. In
scripts that put no spaces between words each character is a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from winnow.core.exact import MAX_KEY, folded_name
from winnow.core.letters import UNSPACED, without_marks
from winnow.core.text import FUNCTION_WORDS
from winnow.core.words import tokens_of, words_of

MAX_WORDS: Final = 16
ONE_TYPO: Final = 4  # letters from which a word may differ in one edit
TWO_TYPOS: Final = 8  # letters from which it may differ in two

_RUN: Final = re.compile(rf"[{UNSPACED}]|[^{UNSPACED}]+")
_DIGITS: Final = re.compile(r"\d+")
_LETTER: Final = re.compile(r"[^\W\d_]")
_ENDED: Final = re.compile(r"[\s,;!?)\]}。，；！？]\Z")


class TypedQuery(NamedTuple):
    """A query as it is typed.

    Attributes:
        words: all of these are looked for, in the order in which they were typed.
        others: function words and stop-words, which a name need not have.
        whole: the query as the beginning of a name.
        is_open: whether the last word may go on: nothing that ends a word was typed behind it.
    """

    words: tuple[str, ...]
    others: tuple[str, ...]
    whole: str
    is_open: bool


def folded(text: str) -> str:
    """The form in which names and what is typed are compared; of a longer text its first 512 characters."""
    return without_marks(folded_name(text[:MAX_KEY]))


def typed_query(text: str, stop_words: Iterable[str] = ()) -> TypedQuery | None:
    """Read what was typed; ``None`` where it has no word, or too many to be the name of something.

    Args:
        text: as it was typed.
        stop_words: further words that a name need not have, in any form.
    """
    whole = folded(text)
    found = list(_apart(whole))
    if not found or len(found) > MAX_WORDS or len(text) > MAX_KEY:
        return None
    stopped = {at for each in stop_words for at in _places_of(list(_apart(folded(each))), found)}
    kept = [word for at, word in enumerate(found) if at not in stopped and word not in FUNCTION_WORDS]
    words = tuple(dict.fromkeys(kept or found))
    is_open = not _ENDED.search(text) and found[-1] == words[-1]
    return TypedQuery(words, tuple(word for word in found if word not in words), whole, is_open)


def other_wordings(text: str, wordings: Iterable[str], stop_words: Sequence[str] = ()) -> list[TypedQuery]:
    """Other wordings of what was typed: the last word of each may go on where the one that was typed may."""
    end = " " if _ENDED.search(text) else ""
    read = (typed_query(wording + end, stop_words) for wording in wordings)
    return [each for each in read if each is not None]


def name_words(text: str) -> set[str]:
    """The words by which a name is found."""
    words = set(_apart(folded(text)))
    for token in tokens_of(text[:MAX_KEY]):
        for each in words_of(token):
            if each.kind == "word":
                words.update(folded(part) for part in (*each.parts, each.whole) if part)
    return {word for word in words if word and " " not in word}


def typos_allowed(word: str) -> int:
    """In how many edits a word may differ: none below four letters, one from four on, two from eight on.

    Digits do not count as letters: numbers and codes such as ``E0502`` are meant as they are typed.
    """
    letters = len(_LETTER.findall(word))
    return 0 if letters < ONE_TYPO else 1 if letters < TWO_TYPOS else 2


def numbers_of(word: str) -> list[str]:
    """The numbers in a text: two names that differ in them are two names."""
    return _DIGITS.findall(word)


def _places_of(phrase: Sequence[str], words: Sequence[str]) -> Iterator[int]:
    """The places of words that are those of the phrase, one after the other."""
    size = len(phrase)
    for at in range(len(words) - size + 1 if size else 0):
        if list(words[at : at + size]) == list(phrase):
            yield from range(at, at + size)


def _apart(folded_text: str) -> Iterator[str]:
    for word in folded_text.split():
        if word.isascii():
            yield word
        else:
            yield from _RUN.findall(word)
