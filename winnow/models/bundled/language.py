"""Which of the bundled models suits texts: how much of them is English.

Told by wordpieces, whose vocabulary is English: of other languages in the Latin script it has no whole words. English
takes 0.1 to 0.35 continuing pieces a word (scientific abstracts and docstrings most), 62 other languages 0.73 to 2.7;
English function words are 0.23 to 0.37 of the words, elsewhere 0.18 at most (translations that Django ships, SciFact,
XQuAD, docstrings; ``benchmarks/languages.py``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from winnow.models.bundled.wordpieces import WordPieces, latin_share

MOST_CONTINUING: Final = 0.5  # pieces that continue a word, for each word, of English
LEAST_FUNCTION_WORDS: Final = 0.2  # of the words, of English of whatever subject
LEAST_LATIN: Final = 0.8  # of the letters
LEAST_ENGLISH: Final = 0.7  # of the letters of all texts: docstrings, half of them identifiers, have 0.75 and more
MOST_FOREIGN: Final = 0.1  # of the letters of all texts, in other scripts
_PART: Final = re.compile(r"(?s).{1,500}(?!\S)|.{1,500}")  # a text may be of several languages


class LanguageChoice:
    """Chooses ``english`` where most of the text is English and hardly any in another script, else ``multilingual``."""

    def __init__(self) -> None:
        self._wordpieces: WordPieces | None = None

    def __call__(self, texts: Sequence[str]) -> Literal["english", "multilingual"]:
        """The name of the model that suits the texts. Uses the CPU."""
        foreign = 1 - latin_share("\n".join(texts))
        return "english" if foreign <= MOST_FOREIGN and self.english_share(texts) >= LEAST_ENGLISH else "multilingual"

    def english_share(self, texts: Sequence[str]) -> float:
        """The share of the letters of ``texts`` that is in English parts, in [0, 1]; 1 where there are no letters."""
        if self._wordpieces is None:
            self._wordpieces = WordPieces()
        parts = [part for text in texts for part in _PART.findall(text)]
        letters = [sum(map(str.isalpha, part)) for part in parts]
        total = sum(letters)
        counts = self._wordpieces.count_words(parts)
        english = sum(
            number
            for part, number, (words, continuing, function) in zip(parts, letters, counts, strict=True)
            if latin_share(part) >= LEAST_LATIN
            and (continuing <= MOST_CONTINUING * words or function >= LEAST_FUNCTION_WORDS * words)
        )
        return english / total if total else 1.0
