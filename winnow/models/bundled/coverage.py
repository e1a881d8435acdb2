"""The share of a text that a model of English knows.

Coverage is the share of letters in the Latin script times the share of words that are in the vocabulary. The vocabulary
alone does not tell: an English wordpiece vocabulary holds single characters of many other scripts, so that a Chinese
sentence is mostly "known" words that the model has never learnt to put together.
"""

from __future__ import annotations

import re
from typing import Final

# Latin-1, extended A to E, IPA, additional and the forms with marks composed; × and ÷ do not count as letters
_LATIN: Final = "A-Za-zªº\u00c0-\u02af\u1e00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff\uab30-\uab6f"
_FOREIGN_LETTER: Final = re.compile(rf"[^\W\d_{_LATIN}]")


def latin_share(text: str) -> float:
    """Share of the letters of ``text`` that are Latin, in [0, 1]; 1 where it has no letters (digits, code, marks)."""
    if text.isascii():
        return 1.0
    foreign = len(_FOREIGN_LETTER.findall(text))
    return 1.0 - foreign / sum(map(str.isalpha, text)) if foreign else 1.0


def known_share(words: int, unknown: int) -> float:
    """Share of ``words`` that are not ``unknown``, in [0, 1]; 0 for a text without words."""
    return 1.0 - unknown / words if words else 0.0
