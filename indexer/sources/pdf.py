"""Parses PDF: paragraphs out of lines, bookmarks as headings, a mark at each page. Runs inside the sandbox."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Final

import pypdfium2

from indexer.sources.base import ReadError, check_size
from indexer.sources.content import record_of
from winnow.conversion.converted import CanonicalWriter, Converted, joined_lines
from winnow.core.marks import DocumentWarning, MarkKind

MAX_PAGES: Final = 20_000

_PASSWORD: Final = 4  # FPDF_ERR_PASSWORD
_SECURITY: Final = 5  # FPDF_ERR_SECURITY
_DEEPEST: Final = 6  # levels of headings
_RUNNING_PAGES: Final = 5  # in shorter documents a line that repeats may be content
_RUNNING_SHARE: Final = 0.4  # of the pages: those on the left and on the right may differ
_RUNNING_LINES: Final = 3  # at the head and at the foot
_NAMED_PAGES: Final = 20  # that a message lists
_SHY: Final = re.compile("\u00ad\\s*")
_CUT: Final = re.compile(  # a word at a line's end; PDFium writes U+FFFE or U+0002 for the hyphen that it takes away
    "(?<![^\\W_])(?P<first>(?:[^\\W_]+-){0,4}[^\\W_]+)(?:[\x02\ufffe]\\s*|-[ ]*\\r?\\n)(?P<second>[^\\W_]+)"
)
_AND: Final = frozenset("and or to und oder bis et ou y e o".split())  # after a hyphen of a shortened compound
_KEPT: Final = frozenset(
    """self well ill ex half all cross vice quasi so twenty thirty forty fifty sixty seventy eighty ninety""".split()
)
_COMPOUND: Final = re.compile(r"[^\W\d_]+-[^\W\d_]+")
_HYPHEN: Final = re.compile("[\x02\ufffe]\\s*")
_ITEM: Final = re.compile(r"[•‣▪◦●○■□➢✓]\s*(?=\S)|(?=(?:\d{1,3}[.)]|[a-z]\))\s+\S)")
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
    pages: list[str] = []
    chars = 0
    for page in document:
        text_page = page.get_textpage()
        text = text_page.get_text_range()
        text_page.close()
        page.close()
        chars += len(text)
        check_size(chars, max_chars, "PDF")
        pages.append(text)
    known = frozenset(_COMPOUND.findall(" ".join(pages).lower()))
    return [_lines_of(text, known) for text in pages]


def _lines_of(text: str, compounds: frozenset[str]) -> list[str]:
    text = _CUT.sub(lambda match: _joined(match, compounds), _SHY.sub("", text))
    lines = (_UNPRINTABLE.sub("", line).strip() for line in _HYPHEN.sub("-", text).splitlines())
    return [line for line in lines if line]


def _joined(cut: re.Match[str], compounds: frozenset[str]) -> str:
    """A word that was cut at the end of a line: without the hyphen, unless it is the word's own.

    It is the word's own beside digits, capitals, single letters and further hyphens, after words that take one, and
    where the document writes the word with it inside of a line.
    """
    first, second = cut["first"], cut["second"]
    if second in _AND:
        return f"{first}- {second}"
    start, end = first.rpartition("-")[2], second
    own = (
        "-" in first
        or len(start) == 1
        or not (start[-1].islower() and end[0].islower())
        or start.lower() in _KEPT
        or f"{start}-{end}".lower() in compounds
    )
    return f"{first}-{second}" if own else f"{first}{second}"


def _without_running_lines(pages: Sequence[list[str]]) -> list[list[str]]:
    """Drop first and last lines that many pages share, and page numbers: a line that only counts up is content.

    Pages on the left and on the right may have lines of their own, and there may be several.
    """
    filled = sum(1 for lines in pages if lines)
    kept = list(pages)
    if filled < _RUNNING_PAGES:
        return kept
    for _ in range(_RUNNING_LINES):
        keys = [_keys(lines) for lines in kept]
        ends = Counter(key for pair in keys for key in set(pair) if key)
        running = {key for key, count in ends.items() if count >= max(3, _RUNNING_SHARE * filled)}
        if not running:
            break
        for at, (lines, (head, foot)) in enumerate(zip(kept, keys, strict=True)):
            first = 1 if head in running else 0
            last = len(lines) - 1 if len(lines) > first and foot in running else len(lines)
            kept[at] = lines[first:last]
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
        if item := _ITEM.match(line):
            flush()
        paragraph.append(f"- {line[item.end() :]}" if item and item[0] else line)
        if len(line) < full and line[-1] in ".!?:。！？":
            flush()
    flush()


def _title(document: pypdfium2.PdfDocument) -> str:
    title = " ".join(_UNPRINTABLE.sub("", str(document.get_metadata_value("Title"))).split())
    return "" if _NO_TITLE.match(title) else title
