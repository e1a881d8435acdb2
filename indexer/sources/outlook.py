"""Parses MSG, the messages of Outlook, as ``mail`` parses EML. Runs inside the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, Final

from oxmsg import Message
from oxmsg.domain import constants

from indexer.sources.base import ReadError
from indexer.sources.mail import HEADERS, Attached, message_record, text_of

_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PROPERTIES: Final = "__properties_version1.0"
_PEOPLE: Final = {"to": constants.PID_DISPLAY_TO, "cc": constants.PID_DISPLAY_CC}


def parse(file: IO[bytes], *, max_chars: int, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield one record. ``depth``: how many messages this one is inside of.

    Raises:
        ReadError: the file is not a message, has no text, or more than ``max_chars`` of it.
    """
    data = file.read()
    if not data.startswith(_OLE) or _PROPERTIES.encode("utf-16-le") not in data:
        raise ReadError("damaged", "not a readable Outlook message; save it again, or as .eml")
    message = Message.load(data)
    attached = (Attached(each.file_name or "", each.file_bytes) for each in message.attachments)
    said, body = _said(message), _body(message)
    yield message_record(said, body, attached, source_format="msg", max_chars=max_chars, depth=depth)


def _said(message: Message) -> dict[str, str]:
    """Subject, people and date: from the headers that came with the message, else as Outlook shows them."""
    headers = {name.lower(): value for name, value in message.message_headers.items()}
    said = {name: str(headers.get(name) or "") for name in HEADERS}
    said["subject"] = message.subject
    said["from"] = said["from"] or message.sender or message.properties.str_prop_value(constants.PID_SENDER_NAME) or ""
    for name, property_id in _PEOPLE.items():
        said[name] = said[name] or message.properties.str_prop_value(property_id) or ""
    if not said["date"] and message.sent_date is not None:
        said["date"] = message.sent_date.isoformat()
    return {name: value.strip("\0 ") for name, value in said.items()}


def _body(message: Message) -> str:
    if body := (message.body or "").strip("\0 \r\n"):
        return text_of(body.encode(), "text/plain", "utf-8")
    html = message.properties.binary_prop_value(constants.PID_HTML)
    if html:
        return text_of(html, "text/html", message.properties.body_encoding)
    return text_of((message.html_body or "").encode(), "text/html", "utf-8")
