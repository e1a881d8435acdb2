"""The failure to read an item, and the checks of a source's documents."""

from __future__ import annotations

from dataclasses import dataclass

from winnow.core.errors import InvalidDocument
from winnow.core.tenancy import plain_id
from winnow.core.types import Document
from winnow.operations.submit import UploadTerms, read_document
from winnow.ports.source import Failure


@dataclass(eq=False)
class ReadError(Exception):
    """An item cannot be read, or not to its end.

    Attributes:
        code: stable name of the problem.
        message: what is wrong and what to do about it.
    """

    code: str
    message: str


def check_size(chars: int, max_chars: int, what: str) -> None:
    """Raise ``ReadError`` if ``what`` has more characters than it may."""
    if chars > max_chars:
        raise ReadError("too_large", f"the {what} has more than {max_chars:,} characters; split it")


class DocumentParser:
    """Parses the records of one source; of several with the same id the first becomes a document.

    Args:
        max_chars: longest text of a document.
    """

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._seen: set[str] = set()

    def parse(self, raw: object, where: str) -> Document | Failure:
        """The document in ``raw``, an object as in the HTTP API, or why it is not one; ``where`` locates failures."""
        try:
            document = read_document(raw, UploadTerms({}, self._max_chars))
        except InvalidDocument as error:
            known = raw.get("id") if isinstance(raw, dict) else None
            return Failure(where, error.code, error.message, known if isinstance(known, str) else "")
        if document.id in self._seen:
            message = f"id {plain_id(document.id)!r} belongs to an earlier document of this source, which was kept"
            return Failure(where, "duplicate_id", message, document.id)
        self._seen.add(document.id)
        return document
