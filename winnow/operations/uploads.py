"""Uploaded files as a batch of documents."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from winnow.core.errors import InvalidDocument
from winnow.operations.submit import ParsedBatch, UploadTerms
from winnow.ports import FileItem, FileParser, Rejection, UploadedFile

_READ: Final = ("text", "source_format", "marks", "warnings")  # what the file itself says


class Upload(NamedTuple):
    """A file, and what its uploader says of the document: keys of a document in the HTTP API but those of its text."""

    file: UploadedFile
    values: Mapping[str, Any]


async def read_uploads(parser: FileParser, uploads: Sequence[Upload], terms: UploadTerms) -> ParsedBatch:
    """Parse files one after the other; each document is accepted or rejected on its own, by the index of its file.

    A value of the uploader replaces what the file says; metadata are merged. In a file of rows, whose rows say more,
    it counts for rows without a value of their own; ``id`` is the start of the ids of rows that have none.

    Args:
        parser: reads the files.
        uploads: the files with their values.
        terms: what their documents have to keep to.

    Raises:
        InvalidDocument: there are no files.
    """
    batch = ParsedBatch()
    for index, (file, values) in enumerate(uploads):
        if own := next((key for key in _READ if key in values), ""):
            message = f"{own!r} cannot be given with a file, which is read for it"
            batch.rejected.append(Rejection(index, _text_or_none(values.get("id")), InvalidDocument.code, message))
            continue
        items = await parser.parse(file, fields=terms.fields, max_chars=terms.max_chars)
        await asyncio.to_thread(_add, batch, index, items, Upload(file, values), terms)
    if not uploads:
        raise InvalidDocument("the form holds no file; send one or more parts named file", location=("file",))
    if not batch.documents and not batch.rejected:
        raise InvalidDocument("the files hold no documents: they have no rows", location=("file",))
    return batch


def _add(
    batch: ParsedBatch,
    index: int,
    items: Sequence[FileItem],
    upload: Upload,
    terms: UploadTerms,
) -> None:
    file, values = upload
    for item in items:
        if item.code:
            where = f"{item.row}: " if item.row else ""
            id_ = None if item.row else _text_or_none(values.get("id", file.name))
            batch.rejected.append(Rejection(index, id_, item.code, where + item.message))
        else:
            batch.add(index, _merged(item, values, file.name), terms, where=item.row)


def _merged(item: FileItem, values: Mapping[str, Any], name: str) -> object:
    if not isinstance(item.raw, dict):
        return item.raw
    if not item.row:
        return {"id": name, **item.raw, **values, **_metadata(item.raw, values)}
    shared = {key: value for key, value in values.items() if key != "id"}
    return {**shared, **item.raw, **_metadata(values, item.raw)}


def _metadata(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of both, if they are mappings; anything else is left to the check of the document."""
    parts = [each.get("metadata") or {} for each in (below, above)]
    wrong = next((part for part in parts if not isinstance(part, dict)), None)
    return {"metadata": {**parts[0], **parts[1]} if wrong is None else wrong}


def _text_or_none(value: object) -> str | None:
    return value[:512] if isinstance(value, str) else None
