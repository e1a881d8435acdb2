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

from winnow.core.letters import MARKS, folded_letters
from winnow.core.text import STOP_WORDS
from winnow.core.words import tokens_of, words_of

ENDING: Final = 0.8  # what a word counts that the text has with another ending
PAIRS_POWER: Final = 0.53  # of a share of pairs of characters, by which it means what a share of words does
_LONG_GRAM: Final = 4  # characters of Thai, Lao, Burmese and Khmer, whose pairs are in every text
_HALF: Final = 0.5
_FIRST: Final = 5  # texts, of those that BM25 puts first
_BETWEEN: Final = re.compile(rf"(?:[^\w{MARKS}]|_)+")
_SHORTEST_STEM: Final = 4  # characters
_STEM: Final = 0.7  # share of a word's characters that its other endings have in common
_BY_OTHER_FORM: Final = 0.25  # share of a text that BM25 finds by a form of a word which is not looked for here

Array = npt.NDArray[np.float64]


def query_words(query: str) -> list[str]:
    """The words of a query, each once, folded: words with spaces around them, pairs of characters without.

    English stop words and symbols only where there is nothing else.
    """
    words: list[str] = []
    symbols: list[str] = []
    for token in tokens_of(query):
        for kind, parts, _ in words_of(token):
            for part in map(folded_letters, parts):
                match kind:
                    case "word":
                        words.append(f" {part} ")
                    case "symbol":
                        symbols.append(part)
                    case "southeast":
                        words += _grams(part, _LONG_GRAM)
                    case "cjk" | "hangul":
                        words += _grams(part, 2)
    telling = [word for word in words if word.strip() not in STOP_WORDS]
    return list(dict.fromkeys(telling or words or symbols))


def word_share(query: str, texts: Sequence[str], bm25: Array | None = None) -> Array:
    """The share of the words of ``query`` in each text, in [0, 1], shape (len(texts),).

    With the texts' ``bm25``, shape (len(texts),), they keep its order: the best share of the five texts that it puts
    first is theirs, and the others have as much less of it as of BM25. A text that BM25 finds has some share: its stems
    and its simplified characters meet forms that are not looked for here.
    """
    words = query_words(query)
    if not words or not len(texts):
        return np.zeros(len(texts))
    found = presence(words, texts)
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
    return np.array([[_has(text, word) for word in words] for text in map(_spaced, texts)]).reshape(
        len(texts), len(words)
    )


def _grams(run: str, length: int) -> list[str]:
    """Neighbouring characters of a run, ``length`` at a time."""
    return [run[i : i + length] for i in range(max(1, len(run) - length + 1))]


def _spaced(text: str) -> tuple[str, str]:
    folded = folded_letters(text)
    return folded, f" {_BETWEEN.sub(' ', folded)} "


def _has(text: tuple[str, str], word: str) -> float:
    folded, spaced = text
    if word[0] != " ":
        return float(word in folded)
    if word in spaced:
        return 1.0
    length = len(word) - 2
    stem = word[: 1 + max(_SHORTEST_STEM, math.ceil(_STEM * length))]
    return ENDING * (length > _SHORTEST_STEM and stem in spaced)
