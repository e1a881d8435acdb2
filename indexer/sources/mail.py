"""Parses EML: subject, people, date, the text, and attachments of formats that are read. Runs inside the sandbox."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from importlib import import_module
from pathlib import PurePosixPath
from typing import IO, Any, Final, NamedTuple

from indexer.sources.base import ReadError
from indexer.sources.content import read_text, record_of
from indexer.sources.kinds import PARSED, TEXTS, options_of
from winnow.conversion.converted import CanonicalWriter, Converted
from winnow.core.marks import DocumentWarning

MAX_ATTACHMENTS: Final = 100
HEADERS: Final = ("from", "to", "cc", "date")

_NESTED: Final = frozenset({".eml", ".msg"})


class Attached(NamedTuple):
    """A file that came with a message; ``data`` is ``None`` for another message."""

    name: str
    data: bytes | None


def parse(file: IO[bytes], *, max_chars: int) -> Iterator[dict[str, Any]]:
    """Yield one record.

    Raises:
        ReadError: the message has no text, or more than ``max_chars`` of it.
    """
    message = BytesParser(policy=policy.default).parse(file)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain", "html"))
    text = "" if body is None else text_of(_data(body), body.get_content_type(), body.get_content_charset())
    attached = (Attached(part.get_filename() or "", _data(part)) for part in message.iter_attachments())
    said = {name: str(message[name] or "") for name in ("subject", *HEADERS)}
    yield message_record(said, text, attached, source_format="eml", max_chars=max_chars)


def text_of(data: bytes | None, media_type: str, charset: str | None) -> str:
    """The canonical text of a body; empty if there is none."""
    if data is None or not data.strip():
        return ""
    source_format = "html" if media_type == "text/html" else "text"
    return str(read_text(data, source_format, str(charset or ""))["text"]).strip()


def message_record(
    said: Mapping[str, str], text: str, attached: Iterable[Attached], *, source_format: str, max_chars: int
) -> dict[str, Any]:
    """The record of a message: its text, and below it the attachments that can be read, each under its name.

    Args:
        said: ``subject`` and ``HEADERS``.
        text: canonical text of the body.
        attached: the files that came with it.
        source_format: ``eml`` or ``msg``.
        max_chars: of the record.

    Raises:
        ReadError: it has no text, or more than ``max_chars``.
    """
    writer = CanonicalWriter()
    warnings: list[DocumentWarning] = []
    if text:
        writer.add(text)
    for number, (given, data) in enumerate(attached):
        name = given or f"attachment {number + 1}"
        try:
            if number >= MAX_ATTACHMENTS:
                raise ReadError("too_many", f"only {MAX_ATTACHMENTS} attachments are read")
            text = _attached(data, name, max_chars)
        except ReadError as error:
            message = f"the attachment {name[:200]!r} was left out: {error.message}"
            warnings.append(DocumentWarning("attachment_left_out", message[:1000]))
            continue
        writer.heading(2, " ".join(name.split()))
        writer.add(text)
        if len(writer) > max_chars:
            raise ReadError("too_large", f"the message has more than {max_chars:,} characters; split it")
    metadata = {name: said[name] for name in HEADERS if said[name]}
    subject = " ".join(said["subject"].split())
    return record_of(Converted(writer.text(), subject, metadata, warnings=tuple(warnings[:100])), source_format)


def _data(part: MIMEPart) -> bytes | None:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else None


def _attached(data: bytes | None, name: str, max_chars: int) -> str:
    """The canonical text of an attachment; raises ``ReadError`` if it cannot be read."""
    suffix = PurePosixPath(name).suffix.lower()
    if data is None:
        raise ReadError("unknown_type", "it is a message of its own; save it as a file")
    if suffix in TEXTS:
        return str(read_text(data, TEXTS[suffix])["text"])
    if suffix not in PARSED or suffix in _NESTED:
        raise ReadError("unknown_type", f"files of the type {suffix or 'without a suffix'} are not read")
    module = import_module(f"indexer.sources.{PARSED[suffix]}")
    (found,) = module.parse(io.BytesIO(data), max_chars=max_chars, **options_of(suffix))
    return str(found["text"])
