"""The port of the parser of uploaded files, and the types that cross it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, NamedTuple, Protocol

from winnow.core.types import FieldType


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file as it was uploaded.

    Attributes:
        name: its name, whose suffix tells the format.
        content: its bytes, from the start.
        content_type: media type and charset that came with it; the type counts where the suffix is unknown.
        format: the format that the uploader named, a suffix without its dot; empty for the one of the name.
        row_id: start of the ids of rows of a table that have none.
        columns: for tables, the columns of ``id``, ``text``, ``title`` and ``url``.
    """

    name: str
    content: IO[bytes]
    content_type: str = ""
    format: str = ""
    row_id: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


class FileItem(NamedTuple):
    """One document of a file.

    Attributes:
        raw: the document, as the HTTP API takes it; without an id where the file names none.
        row: where it is in a file of rows, ``prices.csv:3``; empty for a file that is one document.
        code, message: why it could not be read, in place of ``raw``.
    """

    raw: object = None
    row: str = ""
    code: str = ""
    message: str = ""


class FileParser(Protocol):
    """Parses files of every format that the indexer reads."""

    async def parse(self, file: UploadedFile, *, fields: Mapping[str, FieldType], max_chars: int) -> Sequence[FileItem]:
        """The documents of a file: one, or one a row. Every problem of the file is an item with a ``code``.

        Args:
            file: the file.
            fields: declared fields, to whose types cells of a table are converted.
            max_chars: longest text of a document, in characters.
        """

    async def close(self) -> None:
        """End the processes that parse."""
