"""Parses PDF: paragraphs out of lines, bookmarks as headings, a mark at each page. Runs inside the sandbox."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Final

import pypdfium2

from indexer.sources.base import ReadError
from indexer.sources.content import record_of
from winnow.conversion.converted import CanonicalWriter, Converted, joined_lines
from winnow.core.marks import DocumentWarning, MarkKind

MAX_PAGES: Final = 20_000

_PASSWORD: Final = 4  # FPDF_ERR_PASSWORD
_SECURITY: Final = 5  # FPDF_ERR_SECURITY
_DEEPEST: Final = 6  # levels of headings
_RUNNING_PAGES: Final = 5  # in shorter documents a line that repeats may be content
_NAMED_PAGES: Final = 20  # that a message lists
_DIVIDED: Final = re.compile(  # a word at a line's end; PDFium writes U+FFFE or U+0002 for the hyphen it takes away
    "\u00ad\\s*|(?<=[^\\W\\d_])(?:[\x02\ufffe]\\s*|-\\r?\n)(?=[a-zß-öø-ÿ])(?!(?:and|or|to|und|oder|bis|et|ou|y|e|o)\\b)"
)
_HYPHEN: Final = re.compile("[\x02\ufffe]\\s*")
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\uffff\ud800-\udfff]")
_NO_TITLE: Final = re.compile(r"(?i)untitled|microsoft \w+ -|.*\.(?:docx?|pptx?|xlsx?|tex|dvi|indd|pdf|html?)$")
_PAGE_NUMBER: Final = re.compile(
    r"(?i)[\W_]*(?:(?:pages?|pg|p|seite|s|blatt|página|pagina|pág|pag|folio|sid[ae]|strona|str|стр|第)\b\.?\s*)?"
    r"(?:\d{1,5}|[ivxl]{1,7})(?:\s*(?:/|of|von|de|di|sur|av|из|[页頁])\s*\d{0,5})?[\W_]*"
)
_NUMBER: Final = re.compile(r"\d+")


def parse(file: IO[bytes], *, max_chars: int) -> Iterator[dict[str, Any]]:
    """Yield one record.

    Raises:
        ReadError: the document is locked, has no text, or more than ``max_chars`` of it.
    """
    with _open(file) as document:
        if len(document) > MAX_PAGES:
            raise ReadError("too_large", f"the PDF has {len(document):,} pages; the limit is {MAX_PAGES:,}: split it")
        pages = _lines(document, max_chars)
        if not any(pages):
            message = "the PDF contains no text, it is a scan; --ocr recognises it where ocrmypdf is installed"
            raise ReadError("no_text", message)
        writer = CanonicalWriter()
        bookmarks = _bookmarks(document)
        for index, lines in enumerate(_without_running_lines(pages)):
            _write_page(writer, index + 1, lines, bookmarks.get(index, {}))
        found = Converted(writer.text(), _title(document), marks=tuple(writer.marks), warnings=_warnings(pages))
        yield record_of(found, "pdf")


def _warnings(pages: Sequence[Sequence[str]]) -> tuple[DocumentWarning, ...]:
    empty = tuple(number for number, lines in enumerate(pages, 1) if not lines)
    if not empty:
        return ()
    names = ", ".join(map(str, empty[:_NAMED_PAGES])) + (" …" if len(empty) > _NAMED_PAGES else "")
    message = (
        f"{len(empty)} of {len(pages)} pages have no text (pages {names}); if they are scans, --ocr recognises them"
    )
    return (DocumentWarning("pages_without_text", message, pages=empty, count=len(empty)),)


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
        text = text_page.get_text_range()
        text_page.close()
        page.close()
        chars += len(text)
        if chars > max_chars:
            raise ReadError("too_large", f"the PDF has more than {max_chars:,} characters of text; split it")
        text = _HYPHEN.sub("-", _DIVIDED.sub("", text))
        lines = (_UNPRINTABLE.sub("", line).strip() for line in text.splitlines())
        pages.append([line for line in lines if line])
    return pages


def _without_running_lines(pages: Sequence[list[str]]) -> list[list[str]]:
    """Drop first and last lines that most pages share, and page numbers: a line that only counts up is content."""
    keys = [_keys(lines) for lines in pages]
    ends = Counter(key for pair in keys for key in set(pair) if key)
    filled = sum(1 for lines in pages if lines)
    if filled < _RUNNING_PAGES:
        return list(pages)
    running = {key for key, count in ends.items() if 2 * count > filled}
    kept = []
    for lines, (head, foot) in zip(pages, keys, strict=True):
        first = 1 if head in running else 0
        last = len(lines) - 1 if len(lines) > first and foot in running else len(lines)
        kept.append(lines[first:last])
    return kept


def _keys(lines: Sequence[str]) -> tuple[str, str]:
    """Of the first and the last line of a page, what they share with those of other pages."""
    if not lines:
        return "", ""
    head, foot = (_NUMBER.sub("#", line) if _PAGE_NUMBER.fullmatch(line) else line for line in (lines[0], lines[-1]))
    return head, foot


def _bookmarks(document: pypdfium2.PdfDocument) -> dict[int, dict[str, int]]:
    """By page index, the titles that bookmarks point to there, in lower case, and their levels from 1."""
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for bookmark in document.get_toc(max_depth=_DEEPEST):
        target = bookmark.get_dest()
        index = target.get_index() if target else None
        if index is not None:
            found[index].setdefault(_folded(bookmark.get_title()), bookmark.level + 1)
    return found


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _write_page(writer: CanonicalWriter, number: int, lines: Sequence[str], titles: Mapping[str, int]) -> None:
    """Write the paragraphs of a page; lines that its bookmarks name are headings."""
    full = 0.75 * max(map(len, lines), default=0)
    marks: list[tuple[MarkKind, str | int]] = [("page", number)]
    paragraph: list[str] = []

    def flush() -> None:
        if paragraph:
            writer.add(joined_lines("\n".join(paragraph)), marks=marks)
            marks.clear()
            paragraph.clear()

    for line in lines:
        level = titles.get(_folded(line))
        if level is not None:
            flush()
            writer.heading(level, line, marks=marks)
            marks.clear()
            continue
        paragraph.append(line)
        if len(line) < full and line[-1] in ".!?:。！？":
            flush()
    flush()


def _title(document: pypdfium2.PdfDocument) -> str:
    title = " ".join(_UNPRINTABLE.sub("", str(document.get_metadata_value("Title"))).split())
    return "" if _NO_TITLE.match(title) else title
