"""Bytes of a text as a record of a document: decoded, converted, with warnings of what was lost."""

from __future__ import annotations

from typing import Any, Final

from indexer.sources.base import ReadError
from winnow.conversion.convert import convert_text
from winnow.conversion.converted import Converted
from winnow.conversion.encodings import DecodedText, NotText, decode_text
from winnow.core.marks import DocumentWarning, wire_marks, wire_warnings

PAGES: Final = frozenset({"html"})  # formats that may declare their own encoding


def decode(data: bytes, source_format: str, label: str = "") -> tuple[str, tuple[DocumentWarning, ...]]:
    """Decode the bytes of a text in ``source_format``; ``label`` is the charset that a server sent.

    Raises:
        ReadError: the bytes are empty, or no text.
    """
    if not data.strip():
        raise ReadError("empty", "the file is empty")
    try:
        found = decode_text(data, label, page=source_format in PAGES)
    except NotText as error:
        raise ReadError(error.code, error.message) from None
    if "\x00" in found.text[:4096] and source_format not in PAGES:
        raise ReadError("binary", "the file contains NUL bytes: it is binary, not text")
    return found.text, _warnings(found)


def guessed_encoding(name: str) -> DocumentWarning:
    """The warning of a text whose encoding was not named, or wrongly."""
    message = f"no encoding that fits was named; the text was read as {name}; save it as UTF-8"
    return DocumentWarning("encoding_detected", message)


def _warnings(found: DecodedText) -> tuple[DocumentWarning, ...]:
    warnings: list[DocumentWarning] = []
    if found.detected:
        warnings.append(guessed_encoding(found.encoding))
    if found.replaced:
        message = f"{found.replaced:,} characters could not be read as {found.encoding} and were replaced"
        warnings.append(DocumentWarning("replacement_characters", message, count=found.replaced))
    return tuple(warnings)


def read_text(data: bytes, source_format: str, label: str = "") -> dict[str, Any]:
    """A record of a text, without id and address, as ``parse_document`` takes it.

    Raises:
        ReadError: the bytes are not text, or nothing of them can be read.
    """
    text, warnings = decode(data, source_format, label)
    try:
        found = convert_text(text, source_format)
    except ValueError as error:
        raise ReadError("damaged", f"not a readable {source_format} file ({error!s:.200}); save it again") from None
    return record_of(found, source_format, warnings)


def record_of(found: Converted, source_format: str, warnings: tuple[DocumentWarning, ...] = ()) -> dict[str, Any]:
    """A record of a converted text; raises ``ReadError`` if it is empty."""
    if not found.text.strip():
        raise ReadError("no_text", "the file contains no text")
    return {
        "source_format": source_format,
        "text": found.text,
        "title": found.title,
        "metadata": dict(found.metadata),
        "marks": wire_marks(found.marks),
        "warnings": wire_warnings((*warnings, *found.warnings)),
    }
