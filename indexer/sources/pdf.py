"""Parses PDF: each page's text under a heading ``Page n``, bookmarks as headings above it. Runs inside the sandbox.

The text is written as HTML whose headings carry ``page=n`` as their id: the anchor of a chunk is then the fragment with
which browsers open a PDF at a page (RFC 8118).
"""

from __future__ import annotations

import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Final

import pypdfium2

from indexer.sources.base import ReadError

MAX_PAGES: Final = 20_000

_PASSWORD: Final = 4  # FPDF_ERR_PASSWORD
_SECURITY: Final = 5  # FPDF_ERR_SECURITY
_PAGE_LEVEL: Final = 6  # <h6>: under every bookmark
_RUNNING_PAGES: Final = 5  # in shorter documents a line that repeats may be content
_HYPHEN: Final = re.compile("(?<=\\w)(?:[\x02\ufffe\u00ad]\\s*|-\\s+(?=[a-zäöüß]))")
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_NO_TITLE: Final = re.compile(r"(?i)untitled|microsoft \w+ -|.*\.(?:docx?|pptx?|xlsx?|tex|dvi|indd|pdf|html?)$")
_DIGITS: Final = re.compile(r"\d+")


def parse(file: IO[bytes], *, max_chars: int) -> Iterator[dict[str, Any]]:
    """Yield one item: ``text`` (HTML), ``title`` (empty if the document has no meaningful one).

    Raises:
        ReadError: the document is locked, has no text, or more than ``max_chars`` of it.
    """
    with _open(file) as document:
        if len(document) > MAX_PAGES:
            raise ReadError("too_large", f"the PDF has {len(document):,} pages; the limit is {MAX_PAGES:,}: split it")
        pages = _lines(document, max_chars)
        if not any(pages):
            message = "the PDF contains no text, it is a scan; run text recognition on it, for example ocrmypdf"
            raise ReadError("no_text", message)
        text = _as_html(_without_running_lines(pages), _bookmarks(document))
        yield {"text": text, "title": _title(document)}


def _open(file: IO[bytes]) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {_PASSWORD, _SECURITY}:
            raise ReadError("encrypted", "the PDF is encrypted; save it without a password") from None
        raise ReadError("damaged", f"not a readable PDF file ({error}); save it again") from None


def _lines(document: pypdfium2.PdfDocument, max_chars: int) -> list[list[str]]:
    """The lines of every page that are not blank."""
    pages: list[list[str]] = []
    chars = 0
    for page in document:
        text_page = page.get_textpage()
        text = text_page.get_text_bounded()
        text_page.close()
        page.close()
        chars += len(text)
        if chars > max_chars:
            raise ReadError("too_large", f"the PDF has more than {max_chars:,} characters of text; split it")
        lines = (_UNPRINTABLE.sub("", line).strip() for line in _HYPHEN.sub("", text).splitlines())
        pages.append([line for line in lines if line])
    return pages


def _without_running_lines(pages: Sequence[list[str]]) -> list[list[str]]:
    """Drop first and last lines that most pages share except for numbers: running heads and page numbers."""
    ends = Counter(key for lines in pages for key in {_key(line) for line in (*lines[:1], *lines[-1:])})
    filled = sum(1 for lines in pages if lines)
    if filled < _RUNNING_PAGES:
        return list(pages)
    running = {key for key, count in ends.items() if 2 * count > filled}
    kept = []
    for lines in pages:
        first = 1 if lines and _key(lines[0]) in running else 0
        last = len(lines) - 1 if len(lines) > first and _key(lines[-1]) in running else len(lines)
        kept.append(lines[first:last])
    return kept


def _key(line: str) -> str:
    return _DIGITS.sub("#", line)


def _bookmarks(document: pypdfium2.PdfDocument) -> dict[int, dict[str, int]]:
    """By page index, the titles that bookmarks point to there, in lower case, and their levels from 1."""
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for bookmark in document.get_toc(max_depth=_PAGE_LEVEL - 1):
        target = bookmark.get_dest()
        index = target.get_index() if target else None
        if index is not None:
            found[index].setdefault(_folded(bookmark.get_title()), bookmark.level + 1)
    return found


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _as_html(pages: Sequence[Sequence[str]], bookmarks: Mapping[int, Mapping[str, int]]) -> str:
    parts: list[str] = []
    for index, lines in enumerate(pages):
        anchor = f'id="page={index + 1}"'
        titles = bookmarks.get(index, {})
        if not lines:
            continue
        if _folded(lines[0]) not in titles:
            parts.append(f"<h{_PAGE_LEVEL} {anchor}>Page {index + 1}</h{_PAGE_LEVEL}>")
        full = 0.75 * max(len(line) for line in lines)
        paragraph: list[str] = []
        for line in lines:
            level = titles.get(_folded(line))
            if level is not None:
                parts += [*_paragraph(paragraph), f"<h{level} {anchor}>{html.escape(line)}</h{level}>"]
                paragraph = []
                continue
            paragraph.append(line)
            if len(line) < full and line[-1] in ".!?:。！？":
                parts += _paragraph(paragraph)
                paragraph = []
        parts += _paragraph(paragraph)
    return "\n".join(parts)


def _paragraph(lines: Sequence[str]) -> list[str]:
    return ["<p>" + "\n".join(html.escape(line, quote=False) for line in lines) + "</p>"] if lines else []


def _title(document: pypdfium2.PdfDocument) -> str:
    title = " ".join(_UNPRINTABLE.sub("", str(document.get_metadata_value("Title"))).split())
    return "" if _NO_TITLE.match(title) else title
