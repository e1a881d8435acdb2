"""Borders between words of scripts that write no spaces: Thai, Lao, Burmese, Khmer. ICU's dictionaries know them."""

from __future__ import annotations

from typing import Any, Final

import regex

_RUN: Final = regex.compile(r"[\p{Script=Thai}\p{Script=Lao}\p{Script=Myanmar}\p{Script=Khmer}]+")
_LOOK: Final = 120  # characters to each side of a cut: many times the longest word


def word_border(text: str, start: int, stop: int) -> int:
    """The last border between such words in ``text[start:stop]``.

    ``start`` if there is none: the text around ``stop`` is of another script or a single word, or the extra ``icu`` is
    not installed. Offsets are code points; these scripts have no characters outside of the Basic Multilingual Plane, so
    that ICU's UTF-16 offsets are the same.
    """
    begin = max(start, stop - _LOOK)
    run = next((each for each in _RUN.finditer(text, begin, stop + _LOOK) if each.start() < stop < each.end()), None)
    words = _words() if run is not None else None
    if run is None or words is None:
        return start
    words.setText(run[0])
    border = int(words.preceding(stop - run.start() + 1))
    return run.start() + border if border > 0 else start


def _words() -> Any | None:
    """An iterator of ICU over words, which threads must not share (made in 20 µs); ``None`` without ICU."""
    try:
        import icu  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return icu.BreakIterator.createWordInstance(icu.Locale.getRoot())
