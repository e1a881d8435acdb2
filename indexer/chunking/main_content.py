"""Tells the content of a page from navigation, banners and footers."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Final

_MAX_DEPTH: Final = 200  # the tree parser behind trafilatura gives up, or runs out of stack, far deeper
_MAX_CHARS: Final = 2_000_000
_MIN_SHARE: Final = 0.5
_WORD: Final = re.compile(r"[^\W_]+")
_PAGE: Final = re.compile(r"<(?:html|body)[\s>]", re.IGNORECASE)

Mark = tuple[str, bool, bool]


def is_main_content(text: str, depth: int, marks: Sequence[Mark]) -> list[bool]:
    """Tell for every block whether to keep it.

    A fragment is kept whole. Of a page, blocks in navigation, header, footer and aside are dropped; then trafilatura
    judges the others. Its verdict is ignored if it would drop most of the content that the page marks as ``<main>`` or
    ``<article>``: to trafilatura, documentation made of code and lists does not look like an article.

    Args:
        text: the HTML.
        depth: how deep its tags nest; very deep pages are judged by their tags alone.
        marks: readable text, whether it is in boilerplate elements, whether it is in main elements; per block.
    """
    if not _PAGE.search(text[:100_000]):
        return [True] * len(marks)
    has_main = any(main for _, _, main in marks)
    kept = [(main or not has_main) and not boilerplate for _, boilerplate, main in marks]
    if not any(kept):
        return [True] * len(marks)
    if depth > _MAX_DEPTH or len(text) > _MAX_CHARS:
        return kept
    judged = _judged(text, marks, kept)
    before = _size(marks, kept)
    enough = _size(marks, judged) >= _MIN_SHARE * before if has_main else any(judged)
    return judged if enough else kept


def _size(marks: Sequence[Mark], kept: Sequence[bool]) -> int:
    return sum(len(text) for (text, _, _), keep in zip(marks, kept, strict=True) if keep)


def _judged(text: str, marks: Sequence[Mark], kept: Sequence[bool]) -> list[bool]:
    """Keep the blocks most of whose three-word sequences are in the text that trafilatura extracts."""
    import trafilatura  # noqa: PLC0415 - slow to import, and only HTML pages need it

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it logs every page that it finds too short
    extracted = trafilatura.extract(text, favor_recall=True, include_comments=False, include_tables=True)
    if not extracted:
        return [False] * len(marks)
    known = _shingles(extracted)
    return [keep and _is_known(block, known) for (block, _, _), keep in zip(marks, kept, strict=True)]


def _is_known(block: str, known: set[tuple[str, ...]]) -> bool:
    shingles = _shingles(block)
    return 2 * len(shingles & known) >= len(shingles)


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    short = {tuple(words)} if words else set()
    runs = set(zip(words, words[1:], words[2:], strict=False))
    lines = {tuple(_WORD.findall(line.lower())) for line in text.split("\n")}
    return runs | {line for line in lines if 0 < len(line) < 3} | (short if len(words) < 3 else set())
