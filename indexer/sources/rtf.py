"""Parses RTF: headings, notes and text, without pictures, deletions and hidden text. Runs inside the sandbox."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Any, Final

from striprtf.striprtf import rtf_to_text

from indexer.sources.base import ReadError, check_size
from indexer.sources.content import record_of
from winnow.conversion.converted import CanonicalWriter, Converted

_TITLE: Final = re.compile(r"\{\\title ((?:[^{}]|\\[{}]){1,2000})\}")
_CODE_PAGE: Final = re.compile(r"\\ansicpg\d+")
_UNREAD: Final = re.compile(r"(?=\\(?:deleted|v)(?![a-z0-9-]))")
_NOTE: Final = re.compile(r"\{\\footnote(?![a-z])(?:\\ftnalt)? ?")
_LEVEL: Final = re.compile(r"\\outlinelevel([0-8])(?!\d) ?")
_LEVELS: Final = 0xE000  # private characters, on their way through the parser: a heading of the first level, and so on
_HEADING: Final = re.compile("[\ue000-\ue008]")


def parse(file: IO[bytes], *, max_chars: int) -> Iterator[dict[str, Any]]:
    """Yield one record.

    Raises:
        ReadError: the file is not RTF, has no text, or more than ``max_chars`` of it.
    """
    data = file.read()
    if not data.lstrip().startswith(b"{\\rtf"):
        raise ReadError("damaged", "not a readable RTF file; save it again")
    source = data.decode("latin-1")
    marked = _LEVEL.sub(lambda found: f"\\u{_LEVELS + int(found[1]) - 0x10000}?", source)
    text = _text(_NOTE.sub(r"{\\line ", _UNREAD.sub(r"\\*", marked)))
    check_size(len(text), max_chars, "document")
    writer = CanonicalWriter()
    headings: list[str] = []
    for line in text.split("\n"):
        level, words = _HEADING.search(line), " ".join(_HEADING.sub("", line).split())
        if words and level:
            headings.append(words)
            writer.heading(ord(level[0]) - _LEVELS + 1, words)
        elif words:
            writer.add(words)
    title = _TITLE.search(source)
    page = _CODE_PAGE.search(source)
    named = _text(rf"{{\rtf1\ansi{page[0] if page else ''} {title[1]}}}").strip() if title else ""
    yield record_of(Converted(writer.text(), named or next(iter(headings), "")), "rtf")


def _text(source: str) -> str:
    return str(rtf_to_text(source, errors="replace"))  # type: ignore[no-untyped-call]
