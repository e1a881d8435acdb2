"""Parses EML: subject, people, date, the text, and attachments of formats that are read. Runs inside the sandbox.

Attachments are named by their suffix, else by their media type. Messages inside of a message are read as well.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from email import policy
from email.message import EmailMessage, Message, MIMEPart
from email.parser import BytesParser
from importlib import import_module
from pathlib import PurePosixPath
from typing import IO, Any, Final, NamedTuple

from indexer.sources import csv
from indexer.sources.base import ReadError, check_size
from indexer.sources.content import read_text, record_of
from indexer.sources.kinds import MEDIA_TYPES, PARSED, TEXTS, options_of
from winnow.conversion.converted import CanonicalWriter, Converted, table_of
from winnow.core.marks import DocumentWarning

MAX_ATTACHMENTS: Final = 100
HEADERS: Final = ("from", "to", "cc", "date")

_NESTED: Final = frozenset({".eml", ".msg"})
_TABLES: Final = {".csv": "", ".tsv": "\t"}
_MAX_DEPTH: Final = 3  # of messages inside of messages
_FLOWED: Final = re.compile(r"(?<=[^\s>])(?<!\n--) \r?\n(?![> ]|-- )")  # RFC 3676: a line that ends in a space goes on


class Attached(NamedTuple):
    """A file that came with a message; ``data`` is ``None`` if it cannot be read."""

    name: str
    data: bytes | None
    media_type: str = ""


def parse(file: IO[bytes], *, max_chars: int, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield one record. ``depth``: how many messages this one is inside of.

    Raises:
        ReadError: the message has no text, or more than ``max_chars`` of it.
    """
    message = BytesParser(policy=policy.default).parse(file)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain", "html"))
    text = "" if body is None else text_of(_data(body), body.get_content_type(), body.get_content_charset())
    if body is not None and body.get_param("format") == "flowed":
        text = _FLOWED.sub(" ", text)
    parts = message.iter_attachments() if message.is_multipart() else ()
    attached = (Attached(part.get_filename() or "", _data(part), part.get_content_type()) for part in parts)
    said = {name: str(message[name] or "") for name in ("subject", *HEADERS)}
    yield message_record(said, text, attached, source_format="eml", max_chars=max_chars, depth=depth)


def text_of(data: bytes | None, media_type: str, charset: str | None) -> str:
    """The canonical text of a body; empty if there is none."""
    if data is None or not data.strip():
        return ""
    source_format = "html" if media_type == "text/html" else "text"
    return str(read_text(data, source_format, str(charset or ""))["text"]).strip()


def message_record(
    said: Mapping[str, str], text: str, attached: Iterable[Attached], *, source_format: str, max_chars: int, depth: int
) -> dict[str, Any]:
    """The record of a message: its text, and below it the attachments that can be read, each under its name.

    Args:
        said: ``subject`` and ``HEADERS``.
        text: canonical text of the body.
        attached: the files that came with it.
        source_format: ``eml`` or ``msg``.
        max_chars: of the record.
        depth: how many messages this one is inside of.

    Raises:
        ReadError: it has no text, or more than ``max_chars``.
    """
    writer = CanonicalWriter()
    warnings: list[DocumentWarning] = []
    if text:
        writer.add(text)
    for number, part in enumerate(attached):
        name = part.name or f"attachment {number + 1}"
        try:
            if number >= MAX_ATTACHMENTS:
                raise ReadError("too_many", f"only {MAX_ATTACHMENTS} attachments are read")
            found = _attached(part, max_chars, depth)
        except ReadError as error:
            message = f"the attachment {name[:200]!r} was left out: {error.message}"
            warnings.append(DocumentWarning("attachment_left_out", message[:1000]))
            continue
        said_of = f"the attachment {name[:200]!r}: "
        warnings += [DocumentWarning(each["code"], (said_of + each["message"])[:1000]) for each in found["warnings"]]
        if heading := " ".join((part.name or found["title"]).split()):
            writer.heading(2, heading)
        writer.add(found["text"].strip())
        check_size(len(writer), max_chars, "message")
    metadata = {name: said[name] for name in HEADERS if said[name]}
    subject = " ".join(said["subject"].split())
    return record_of(Converted(writer.text(), subject, metadata, warnings=tuple(warnings[:100])), source_format)


def _data(part: MIMEPart) -> bytes | None:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        try:
            return inner[0].as_bytes() if isinstance(inner, list) and isinstance(inner[0], Message) else None
        except (ValueError, LookupError, KeyError):  # of headers that cannot be written again
            return None
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else None


def _attached(part: Attached, max_chars: int, depth: int) -> dict[str, Any]:
    """The record of an attachment; raises ``ReadError`` if it cannot be read."""
    suffix = PurePosixPath(part.name).suffix.lower()
    if suffix not in (*TEXTS, *PARSED, *_TABLES):
        suffix = MEDIA_TYPES.get(part.media_type, suffix)
    if part.data is None:
        raise ReadError("damaged", "it cannot be decoded; save it as a file")
    if suffix in TEXTS:
        return read_text(part.data, TEXTS[suffix])
    file = io.BytesIO(part.data)
    if suffix in _TABLES:
        names, *rows = csv.parse(file, delimiter=_TABLES[suffix])
        cells = [[str(row.get("values", {}).get(name, "")) for name in names["columns"]] for row in rows]
        return record_of(Converted(table_of([names["columns"], *cells])), "csv")
    if suffix not in PARSED:
        raise ReadError("unknown_type", f"files of the type {suffix or 'without a suffix'} are not read")
    options = options_of(suffix)
    if suffix in _NESTED:
        if depth >= _MAX_DEPTH:
            raise ReadError("too_complex", f"messages are read up to {_MAX_DEPTH} deep; save it as a file")
        options["depth"] = depth + 1
    (found,) = import_module(f"indexer.sources.{PARSED[suffix]}").parse(file, max_chars=max_chars, **options)
    return dict(found)
