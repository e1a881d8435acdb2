"""The share of a query's words that texts contain: keyword evidence that means the same in every language.

BM25 grows with the size of the collection and with the number of the query's words, so it cannot be compared with a
threshold. The share is absolute: 1 where every word is there, 0.5 where a text is as likely an answer as not. Runs of
scripts without spaces between words, and of Hangul, are compared by pairs of characters (those of South-East Asia by
four), of which fewer are found again: their share is raised to a power. A word counts in part where a text has another
ending of it, and the less the more of the texts have it. Accents do not matter, as they do not to the keyword arm.
Constants: ``docs/decisions/0024-scores.md``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from winnow.core.compounds import may_have_compounds
from winnow.core.letters import MARKS, folded_forms, folded_letters
from winnow.core.readable import plain_numbers
from winnow.core.text import STOP_WORDS
from winnow.core.words import tokens_of, words_of

ENDING: Final = 0.8  # what a word counts that the text has with another ending
PAIRS_POWER: Final = 0.53  # of a share of pairs of characters, by which it means what a share of words does
_LONG_GRAM: Final = 4  # characters of Thai, Lao, Burmese and Khmer, whose pairs are in every text
_HALF: Final = 0.5
_FIRST: Final = 5  # texts, of those that BM25 puts first
_BETWEEN: Final = re.compile(rf"(?:[^\w{MARKS}]|_)+")
_SHORTEST_STEM: Final = 4  # characters
_SHORTEST: Final = 3  # characters of a word, or of one without its last vowel, that is found with another ending
_MORE: Final = 2  # letters of an ending behind a short word
_VOWELS: Final = "аеиоуыэюяьіїєαεηιουωaeiou"
_LONG: Final = re.compile(r"[a-z]{8,}")
_SHORTEST_PART: Final = 5  # letters of a word that is looked for inside longer ones
_TWO_LETTERS: Final = re.compile("ae|oe|ue")
_STEM: Final = 0.7  # share of a word's characters that its other endings have in common
_BY_OTHER_FORM: Final = 0.25  # share of a text that BM25 finds by a form of a word which is not looked for here

Array = npt.NDArray[np.float64]


def query_words(query: str) -> dict[str, str]:
    """The words of a query, each once, folded: words with spaces around them, pairs of characters without.

    Each has beside it how it is spelled without umlauts: ``mueller`` of ``muller``, else the word itself. English stop
    words and symbols only where there is nothing else.
    """
    words: dict[str, str] = {}
    symbols: dict[str, str] = {}
    for token in tokens_of(plain_numbers(query)):
        for kind, parts, _ in words_of(token):
            for part in parts:
                folded, *spelled = folded_forms(part)
                match kind:
                    case "word":
                        words[f" {folded} "] = f" {spelled[0] if spelled else folded} "
                    case "symbol":
                        symbols[folded] = folded
                    case "southeast":
                        words |= {gram: gram for gram in _grams(folded, _LONG_GRAM)}
                    case "cjk" | "hangul":
                        words |= {gram: gram for gram in _grams(folded, 2)}
    telling = {word: spelled for word, spelled in words.items() if word.strip() not in STOP_WORDS}
    return telling or words or symbols


def word_share(query: str, texts: Sequence[str], bm25: Array | None = None) -> Array:
    """The share of the words of ``query`` in each text, in [0, 1], shape (len(texts),).

    With the texts' ``bm25``, shape (len(texts),), they keep its order: the best share of the five texts that it puts
    first is theirs, and the others have as much less of it as of BM25. A text that BM25 finds has some share: its stems
    and its simplified characters meet forms that are not looked for here.
    """
    words = query_words(query)
    if not words or not len(texts):
        return np.zeros(len(texts))
    found = presence([*words], texts)
    if any(word != spelled for word, spelled in words.items()):
        found = np.maximum(found, presence([*words.values()], texts))
    having = (found > _HALF).sum(axis=0)
    weights = _HALF + np.log1p((len(texts) - having + _HALF) / (having + _HALF))  # as BM25 weighs words
    pairs = sum(word[0] != " " for word in words) / len(words)
    share: Array = (found @ weights / weights.sum()) ** (1 - pairs * (1 - PAIRS_POWER))
    if bm25 is None or not bm25.any():
        return share
    level = share[np.argsort(-bm25)[:_FIRST]].max() or _BY_OTHER_FORM
    kept: Array = level * bm25 / bm25.max()
    return kept


def presence(words: Sequence[str], texts: Sequence[str]) -> Array:
    """How far each text has each word, in [0, 1], shape (len(texts), len(words))."""
    numbers = any(word[1].isdigit() for word in words if word[0] == " ")
    umlauts = any(_TWO_LETTERS.search(word) for word in words)
    spaced = (_spaced(plain_numbers(text) if numbers else text, umlauts=umlauts) for text in texts)
    return np.array([[_has(text, word) for word in words] for text in spaced]).reshape(len(texts), len(words))


def _grams(run: str, length: int) -> list[str]:
    """Neighbouring characters of a run, ``length`` at a time."""
    return [run[i : i + length] for i in range(max(1, len(run) - length + 1))]


def _spaced(text: str, *, umlauts: bool) -> tuple[str, str, str]:
    """A text's folded letters, its words with spaces between them, with umlauts as two letters as well, and its long
    words where it has umlauts, as German has, whose compounds have words inside.
    """
    folded = " ".join(folded_forms(text)) if umlauts else folded_letters(text)
    long = " ".join(_LONG.findall(folded)) if may_have_compounds(text) else ""
    return folded, f" {_BETWEEN.sub(' ', folded)} ", long


def _has(text: tuple[str, str, str], word: str) -> float:
    folded, spaced, compounds = text
    if word[0] != " ":
        return float(word in folded)
    if word in spaced:
        return 1.0
    length = len(word) - 2
    if compounds and length >= _SHORTEST_PART and word.strip() in compounds:
        return ENDING
    if length > _SHORTEST_STEM:
        stem = word[: 1 + max(_SHORTEST_STEM, math.ceil(_STEM * length))]
        return ENDING * (stem in spaced)
    return ENDING * (length >= _SHORTEST and _has_ending(spaced, word.rstrip()))


def _has_ending(spaced: str, word: str) -> bool:
    """Whether a short word, a space before it, is there with up to two more letters, or others for its last vowel."""
    stem = word[:-1] if word[-1] in _VOWELS and len(word) - 2 >= _SHORTEST else word
    at = spaced.find(stem)
    while at >= 0:
        if spaced.index(" ", at + 1) - at <= len(word) + _MORE:
            return True
        at = spaced.find(stem, at + 1)
    return False
