"""Borders of sentences, for texts that are shortened: where one may end without being half. Pure.

A border is missed rather than invented: after an abbreviation, an initial, or before a small letter there is none. Line
ends are borders before a heading, an item of a list and a row of a table, and at blank lines.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

_CLOSING: Final = r"""["'”’»)\]*_`]*"""
_BORDER: Final = re.compile(
    rf"""(?P<stop>[.!?…]{_CLOSING})(?:\s+|\Z)
    |[。！？…]["'”’」』）】]*\s*
    |[।॥؟۔։።፧፨၊။។៕᙮꓿‼-⁉]{_CLOSING}\s*
    |\n[^\S\n]*\n\s*
    |\n(?=[ \t]*(?:[-*+•]\s|\d+[.)]\s|\#|\||>))""",
    re.VERBOSE,
)
_ABBREVIATION: Final = re.compile(
    r"(?:^|[\s(\[\"“‘])(?:[^\W\d_]|[^\W\d_](?:\.[^\W\d_])+|(?:Dr|Mr|Mrs|Ms|Prof|Rev|Gen|Col|Sen|Rep|St|Mt|Jr|Sr|Inc|Ltd|Co|"
    r"Corp|No|Nos|Nr|Fig|Figs|Eq|Sec|Ch|Vol|Art|Abb|Bd|Hr|Fr|vs|cf|al|etc|approx|ca|bzw|usw|vgl|resp|pp|ed|eds|"
    r"Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec))\.$",
    re.IGNORECASE,
)
_LOOK_BACK: Final = 16


def borders_of(text: str) -> list[int]:
    """Offsets at which a sentence begins, ascending, and the end of the text if it ends with a sentence."""
    return sorted({match.end() for match in _BORDER.finditer(text) if _is_border(text, match)})


def completed(text: str, borders: Sequence[int], span: tuple[int, int]) -> tuple[int, int]:
    """A span with the rest of the sentences that it cuts, as far as there are borders; white space is left off."""
    start, end = span
    before, behind = bisect_right(borders, start) - 1, bisect_left(borders, end)
    first = borders[before] if before >= 0 else start
    last = borders[behind] if behind < len(borders) else end
    start = start if text[first:start].isspace() else first
    return start, max(end, len(text[:last].rstrip()))


def _is_border(text: str, match: re.Match[str]) -> bool:
    return not match["stop"] or match.group().count("\n") > 1 or _ends_sentence(text, match)


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    following = text[match.end() : match.end() + 1]
    if following.islower():
        return False
    head = text[max(0, match.start() - _LOOK_BACK) : match.start() + 1]
    return not (match["stop"].startswith(".") and _ABBREVIATION.search(head))
