"""What mailboxes share: each message is a document under its ``Message-ID``, parsed in the sandbox and cached."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from email.parser import BytesHeaderParser
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from indexer.sources.base import DocumentParser, ReadError
from indexer.sources.cache import FileCache
from indexer.sources.formats import MAX_FILE_BYTES, parse_file
from indexer.sources.sandbox import Sandbox
from indexer.sources.threads import Items, read_on_thread
from winnow.core.documents import MAX_ID_CHARS, MAX_TITLE_CHARS
from winnow.core.types import FieldType
from winnow.ports.source import Failure, Notice, SourceItem, SourceOptions

MAX_MESSAGE_BYTES: Final = MAX_FILE_BYTES

_VERSION: Final = 1  # of cached messages: raise it when they are read in another way
_HEADER_BYTES: Final = 256 * 1024


class Mail(NamedTuple):
    """A message of a mailbox.

    Attributes:
        where: how failures name it.
        key: changes when its content does.
        load: returns its bytes, at most ``MAX_MESSAGE_BYTES``; called for a message that is new. Raises ``ReadError``.
    """

    where: str
    key: str
    load: Callable[[], bytes]


class MailSource(ABC):
    """The messages of one mailbox; of several with one ``Message-ID`` the first is read."""

    fields: Mapping[str, FieldType] = MappingProxyType({})
    is_complete = True

    def __init__(self, label: str, options: SourceOptions) -> None:
        self.label = label
        self._options = options

    async def count(self) -> int | None:
        """Unknown before the mailbox is read."""
        return None

    @abstractmethod
    def messages(self) -> Iterator[Mail]:
        """The messages in a stable order. Blocking. Raises ``ReadError`` if the mailbox cannot be read to its end."""

    def read(self) -> AsyncGenerator[SourceItem, None]:
        """Read message after message."""
        return read_on_thread(self._read())

    def _read(self) -> Items:
        state_dir = self._options.state_dir
        documents = DocumentParser(MAX_FILE_BYTES)
        seen: set[str] = set()
        copies = 0
        with Sandbox() as sandbox, tempfile.TemporaryDirectory(prefix="winnow-") as folder:
            cache = FileCache((state_dir or Path(folder)) / "mail", self.label)
            try:
                for mail in self.messages():
                    item = self._item(mail, cache, sandbox, Path(folder))
                    if isinstance(item, Failure):
                        yield item
                    elif item["id"] in seen:
                        copies += 1
                    else:
                        seen.add(item["id"])
                        yield documents.parse(item, mail.where)
            except ReadError as error:
                yield Failure(self.label, error.code, error.message)
            else:
                cache.prune()
        if copies:
            yield Notice(self.label, "duplicates", "messages that were there already under their Message-ID", copies)

    def _item(self, mail: Mail, cache: FileCache, sandbox: Sandbox, folder: Path) -> dict[str, Any] | Failure:
        known = cache.get(mail.key)
        if known is not None and known["version"] == _VERSION:
            return dict(known["record"])
        document_id = ""
        try:
            data = mail.load()
            document_id = _id_of(data) or mail.key
            path = folder / "message.eml"
            path.write_bytes(data)
            content = parse_file(path, sandbox=sandbox, max_chars=MAX_FILE_BYTES)
        except ReadError as error:
            return Failure(mail.where, error.code, error.message, document_id)
        title = (content["title"] or "(no subject)")[:MAX_TITLE_CHARS]
        record = {**content, "id": document_id, "title": title}
        cache.put(mail.key, {"version": _VERSION, "record": record})
        return record


def _id_of(data: bytes) -> str:
    """The ``Message-ID`` without its brackets; empty if there is none that can be an id."""
    found = str(BytesHeaderParser().parsebytes(data[:_HEADER_BYTES])["message-id"] or "")
    name = "".join(found.split()).removeprefix("<").removesuffix(">")
    return name if name.isprintable() and name.isascii() and len(name) <= MAX_ID_CHARS else ""
