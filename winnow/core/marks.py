"""What a reader says of a document besides its text, its marks and its warnings, and their form in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from winnow.core.errors import InvalidDocument
from winnow.core.text import is_encodable

MarkKind: TypeAlias = Literal["anchor", "page", "slide", "sheet", "row"]

MAX_MARKS: Final = 200_000
MAX_WARNINGS: Final = 100
MAX_MESSAGE_CHARS: Final = 2_000

WARNING_CODES: Final = frozenset(
    """attachment_left_out chapters_left_out encoding_detected hidden_sheets invalid_front_matter page_unread
    pages_without_text replacement_characters structure_lost""".split()
)
"""The codes of warnings that readers of ours give; other programs may send others."""

_KINDS: Final = frozenset(get_args(MarkKind))


class Mark(NamedTuple):
    """A place in a canonical text: from ``start``, an offset in it, to the next mark of the same kind.

    ``value`` is the fragment of a heading for ``anchor``, a name for ``sheet``, else a number from 1.
    """

    start: int
    kind: MarkKind
    value: str | int


@dataclass(frozen=True, slots=True)
class DocumentWarning:
    """Something that was lost or guessed when a document was read.

    Attributes:
        code: stable name, one of ``WARNING_CODES`` or another program's own.
        message: what was lost, and the remedy.
        pages: the pages concerned, from 1.
        count: how many characters, rows or parts are concerned.
    """

    code: str
    message: str
    pages: tuple[int, ...] = ()
    count: int | None = None


def parse_marks(value: object, length: int) -> tuple[Mark, ...]:
    """Marks from ``[[start, kind, value], …]``, sorted by their offset in a text of ``length``.

    Raises:
        InvalidDocument: names the mark that is not one.
    """
    if not isinstance(value, list) or len(value) > MAX_MARKS:
        raise InvalidDocument(f"marks is a list of at most {MAX_MARKS:,}", location=("marks",))
    marks: list[Mark] = []
    last = 0
    for index, item in enumerate(value):
        if not (isinstance(item, list) and len(item) == 3 and _is_mark(*item) and last <= item[0] <= length):
            message = f"mark {repr(item)[:80]} is not [offset, kind, value], in the order of the text"
            raise InvalidDocument(message, location=("marks", index))
        last = item[0]
        marks.append(Mark(*item))
    return tuple(marks)


def _is_mark(start: object, kind: object, value: object) -> bool:
    valued = is_encodable(value) if isinstance(value, str) else isinstance(value, int) and 0 <= value < 2**31
    return isinstance(start, int) and kind in _KINDS and valued and not isinstance(start, bool)


def parse_warnings(value: object) -> tuple[DocumentWarning, ...]:
    """Warnings from ``[{"code", "message", "pages"?, "count"?}, …]``.

    Raises:
        InvalidDocument: names the one that is not a warning.
    """
    if not isinstance(value, list) or len(value) > MAX_WARNINGS:
        raise InvalidDocument(f"warnings is a list of at most {MAX_WARNINGS}", location=("warnings",))
    return tuple(_warning(item, index) for index, item in enumerate(value))


def _warning(item: Any, index: int) -> DocumentWarning:
    try:
        known = DocumentWarning(**item)
        pages = tuple(known.pages)
        texts = isinstance(known.code, str) and isinstance(known.message, str) and is_encodable(known.message)
        numbers = all(isinstance(page, int) for page in (*pages, *([] if known.count is None else [known.count])))
        if not (texts and numbers and known.code.isascii() and len(known.message) <= MAX_MESSAGE_CHARS):
            raise TypeError
    except TypeError:
        message = f"warning {repr(item)[:80]} is not {{code, message, pages?, count?}}"
        raise InvalidDocument(message, location=("warnings", index)) from None
    return DocumentWarning(known.code, known.message, pages, known.count)


def wire_marks(marks: Sequence[Mark]) -> list[list[str | int]]:
    """The inverse of ``parse_marks``."""
    return [list(mark) for mark in marks]


def wire_warnings(warnings: Sequence[DocumentWarning]) -> list[Mapping[str, Any]]:
    """The inverse of ``parse_warnings``; members without a value are left out."""
    rows: list[Mapping[str, Any]] = []
    for warning in warnings:
        row: dict[str, Any] = {"code": warning.code, "message": warning.message}
        if warning.pages:
            row["pages"] = list(warning.pages)
        if warning.count is not None:
            row["count"] = warning.count
        rows.append(row)
    return rows


class Span(NamedTuple):
    """Half-open range of characters inside a result's text. A tuple, because a search makes hundreds."""

    start: int
    end: int
