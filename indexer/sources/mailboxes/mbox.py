"""An mbox file as a source: ``mbox:FILE``. A message that was parsed before is not parsed again."""

from __future__ import annotations

import hashlib
import mailbox
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from indexer.sources.base import ReadError
from indexer.sources.mailboxes.messages import MAX_MESSAGE_BYTES, Mail, MailSource
from winnow.core.errors import InvalidSource
from winnow.ports.source import SourceOptions

SCHEME: Final = "mbox:"


class MboxSource(MailSource):
    """The messages of one file, in its order. The label holds the absolute path.

    Raises:
        InvalidSource: the file does not exist.
    """

    def __init__(self, spec: str, options: SourceOptions) -> None:
        written = spec.removeprefix(SCHEME)
        path = Path(written).expanduser().resolve()
        if not written or not path.is_file():
            raise InvalidSource(f"{spec!r} names no mailbox file (looked for {path}); write mbox:FILE")
        super().__init__(f"{SCHEME}{path}", options)
        self._path = path

    def messages(self) -> Iterator[Mail]:
        """The messages; their keys are digests of their bytes."""
        try:
            with self._path.open("rb") as file:
                if not file.read(5).startswith(b"From "):
                    raise ReadError("not_a_mailbox", "the file does not begin with 'From ', as mbox files do")
            with closing(mailbox.mbox(self._path, create=False)) as box:
                for number, key in enumerate(box.iterkeys(), 1):
                    yield _mail(box, key, f"{self.label}:{number}")
        except OSError as error:
            raise ReadError("unreadable", f"cannot be read: {error.strerror or error}") from None


def _mail(box: mailbox.mbox, key: str, where: str) -> Mail:
    with closing(box.get_file(key)) as file:
        data = file.read(MAX_MESSAGE_BYTES + 1)

    def load() -> bytes:
        if len(data) > MAX_MESSAGE_BYTES:
            raise ReadError("too_large", f"the message is larger than {MAX_MESSAGE_BYTES / 1024**2:g} MiB")
        return data

    return Mail(where, hashlib.sha256(data.rstrip()).hexdigest(), load)
