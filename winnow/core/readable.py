"""Texts in the form in which words are compared, and the way from its characters back to those of the text. Pure.

In the form syllables of Hangul and voiced kana are one character each, nothing invisible is left, and the digits of a
number are together: ``1,000`` is ``1000``. Each of its characters comes from one or several of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from winnow.core.letters import INVISIBLE, composed

_REST: Final = f"\u1160-\u11ff\ud7b0-\ud7ff\u3099\u309a\uff9e\uff9f\uffc2-\uffdc{INVISIBLE}"
"""What becomes part of the character before it: vowels and finals of Hangul, voicing marks of kana, the unseen."""
_COMPOSED: Final = re.compile(f"[^{_REST}]?[{_REST}]+|[\uff65-\uffc1]")  # narrow kana have another form alone
_SPACES: Final = " \u00a0\u2009\u202f"
_WHOLE: Final = rf"(?<![\d.,])\d{{1,3}}(?P<by>[.,'’{_SPACES}])\d{{3}}(?:(?P=by)\d{{3}})*(?!\d|[.,]\d{{3}})"
_PARTED: Final = r"(?<![\d.,])\d+%s\d+(?!\d|[.,]\d)"
_GROUPED: Final = re.compile(_WHOLE)
_DECIMAL: Final = re.compile(_PARTED % ",")
NUMBER: Final = f"{_WHOLE}|{_PARTED % '[.,]'}"
"""A number with separators of either kind, as a pattern."""
_SEPARATOR: Final = re.compile(rf"[.,'’{_SPACES}]")


class Readable(NamedTuple):
    """A text as it is compared.

    Attributes:
        text: its form.
        places: where each character of the form begins in the text, and the end of the text; ``None``: at its own.
    """

    text: str
    places: Sequence[int] | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The range of the text that a range of the form comes from: whole letters with all their marks."""
        if self.places is None:
            return start, end
        while end < len(self.text) and self.places[end] == self.places[end - 1]:
            end += 1
        return self.places[start], self.places[end]


def plain_numbers(text: str) -> str:
    """``text`` with numbers as programs write them: ``1000`` of ``1,000`` and ``1 000``, ``3.14`` of ``3,14``."""
    return _DECIMAL.sub(_with_point, _GROUPED.sub(_together, text))


def grouped_numbers(text: str) -> list[str]:
    """The numbers of ``text`` that are written with separators, as ``plain_numbers`` writes them."""
    return [plain_numbers(found[0]) for pattern in (_GROUPED, _DECIMAL) for found in pattern.finditer(text)]


def readable(text: str, *, numbers: bool) -> Readable:
    """``text`` as it is compared; with ``numbers``, those that have separators are written without."""
    read = Readable(text)
    if not text.isascii():
        read = _replaced(read, _COMPOSED, lambda found: composed(found[0]))
    if numbers:
        read = _replaced(read, _GROUPED, _together)
        read = _replaced(read, _DECIMAL, _with_point)
    return read


def _together(found: re.Match[str]) -> str:
    return _SEPARATOR.sub("", found[0])


def _with_point(found: re.Match[str]) -> str:
    return found[0].replace(",", ".")


def _replaced(read: Readable, pattern: re.Pattern[str], change: Callable[[re.Match[str]], str]) -> Readable:
    """``read`` with what the pattern finds replaced; where the length changes, all of it comes from where it began."""
    text, before = read
    parts: list[str] = []
    places: list[int] = []
    last = 0
    for found in pattern.finditer(text):
        start, end = found.span()
        part = change(found)
        parts += (text[last:start], part)
        places += range(last, start)
        places += range(start, end) if len(part) == end - start else [start] * len(part)
        last = end
    if not parts:
        return read
    parts.append(text[last:])
    places += range(last, len(text) + 1)
    return Readable("".join(parts), places if before is None else [before[place] for place in places])
