"""Reading of uploads as ``multipart/form-data``: parts named ``file``, and parts named ``document`` about them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from service.errors import INVALID_FORM, Problem
from service.wire import loads
from winnow.core.errors import InvalidDocument
from winnow.operations.uploads import Upload
from winnow.ports import UploadedFile

FORM_TYPE: Final = "multipart/form-data"
MAX_FILES: Final = 1000

_MAX_FIELD_BYTES: Final = 1024 * 1024
_PARTS: Final = "a form has parts named file, with a file name, and document, in JSON"


@asynccontextmanager
async def uploads_in(request: Request) -> AsyncIterator[Sequence[Upload]]:
    """The files of a form, which are open for the length of the block.

    Args:
        request: its body is a form.

    Raises:
        Problem: 400 for a body that is not a form.
        InvalidDocument: a part has another name, or the number of ``document`` parts differs from that of files.
    """
    try:
        form = await request.form(max_files=MAX_FILES, max_fields=MAX_FILES, max_part_size=_MAX_FIELD_BYTES)
    except HTTPException as error:
        if isinstance(error, Problem):
            raise
        raise Problem(INVALID_FORM, f"the body is not a form: {error.detail}") from error
    try:
        yield await _uploads(form)
    finally:
        await form.close()


async def _uploads(form: FormData) -> list[Upload]:
    files: list[UploadFile] = []
    said: list[dict[str, Any]] = []
    for name, value in form.multi_items():
        if name == "file" and isinstance(value, UploadFile):
            files.append(value)
        elif name == "document":
            said.append(_object(await value.read(_MAX_FIELD_BYTES) if isinstance(value, UploadFile) else value))
        else:
            raise InvalidDocument(f"unknown part {name[:80]!r}; {_PARTS}", location=(name[:80],))
    if said and len(said) != len(files):
        message = f"{len(said)} document parts for {len(files)} files; send one for each, in the same order, or none"
        raise InvalidDocument(message, location=("document",))
    return [_upload(file, values) for file, values in zip(files, said or [{}] * len(files), strict=True)]


def _upload(file: UploadFile, values: dict[str, Any]) -> Upload:
    rest = dict(values)
    named, columns = rest.pop("format", ""), rest.pop("columns", {})
    if not isinstance(named, str):
        raise InvalidDocument("format is a string", location=("format",))
    if not (isinstance(columns, dict) and all(isinstance(name, str) for name in columns.values())):
        raise InvalidDocument("columns maps id, text, title and url to names of columns", location=("columns",))
    name = file.filename or ""
    row_id = str(rest.get("id") or name)
    read = UploadedFile(name, file.file, file.content_type or "", named, row_id, columns)
    return Upload(read, rest)


def _object(part: bytes | str) -> dict[str, Any]:
    value = loads(part if isinstance(part, bytes) else part.encode())
    if not isinstance(value, dict):
        raise InvalidDocument("a document part is a JSON object", location=("document",))
    return value
