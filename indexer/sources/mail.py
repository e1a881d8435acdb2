"""Parses EML: subject, people, date, the text, and attachments of formats that are read. Runs inside the sandbox."""

from __future__ import annotations

import io
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from importlib import import_module
from pathlib import PurePosixPath
from typing import IO, Any, Final

from indexer.sources.base import ReadError
from indexer.sources.content import read_text, record_of
from indexer.sources.kinds import PARSED, TEXTS, options_of
from winnow.conversion.converted import CanonicalWriter, Converted
from winnow.core.marks import DocumentWarning

MAX_ATTACHMENTS: Final = 100

_HEADERS: Final = ("from", "to", "cc", "date")
_NESTED: Final = frozenset({".eml"})


def parse(file: IO[bytes], *, max_chars: int) -> Iterator[dict[str, Any]]:
    """Yield one record.

    Raises:
        ReadError: the message has no text, or more than ``max_chars`` of it.
    """
    message = BytesParser(policy=policy.default).parse(file)
    assert isinstance(message, EmailMessage)
    writer = CanonicalWriter()
    warnings: list[DocumentWarning] = []
    body = message.get_body(("plain", "html"))
    if body is not None and (text := _text_of(body)):
        writer.add(text)
    for number, part in enumerate(message.iter_attachments()):
        name = part.get_filename() or f"attachment {number + 1}"
        try:
            if number >= MAX_ATTACHMENTS:
                raise ReadError("too_many", f"only {MAX_ATTACHMENTS} attachments are read")
            text = _attached(part, name, max_chars)
        except ReadError as error:
            message_text = f"the attachment {name[:200]!r} was left out: {error.message}"
            warnings.append(DocumentWarning("attachment_left_out", message_text[:1000]))
            continue
        writer.heading(2, " ".join(name.split()))
        writer.add(text)
        if len(writer) > max_chars:
            raise ReadError("too_large", f"the message has more than {max_chars:,} characters; split it")
    metadata = {name: str(message[name]) for name in _HEADERS if message[name]}
    subject = " ".join(str(message["subject"] or "").split())
    yield record_of(Converted(writer.text(), subject, metadata, warnings=tuple(warnings[:100])), "eml")


def _text_of(part: MIMEPart) -> str:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes) or not data.strip():
        return ""
    source_format = "html" if part.get_content_type() == "text/html" else "text"
    return str(read_text(data, source_format, str(part.get_content_charset() or ""))["text"]).strip()


def _attached(part: MIMEPart, name: str, max_chars: int) -> str:
    """The canonical text of an attachment; raises ``ReadError`` if it cannot be read."""
    suffix = PurePosixPath(name).suffix.lower()
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        raise ReadError("unknown_type", "it is a message of its own; save it as a file")
    if suffix in TEXTS:
        return str(read_text(data, TEXTS[suffix])["text"])
    if suffix not in PARSED or suffix in _NESTED:
        raise ReadError("unknown_type", f"files of the type {suffix or 'without a suffix'} are not read")
    module = import_module(f"indexer.sources.{PARSED[suffix]}")
    (found,) = module.parse(io.BytesIO(data), max_chars=max_chars, **options_of(suffix))
    return str(found["text"])
