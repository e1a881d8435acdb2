"""DOCX: headings, lists and tables as HTML, without images. Runs inside the sandbox."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import IO, Any, Final

import mammoth

from indexer.chunking.html import scan_html
from indexer.sources.base import ReadError
from indexer.sources.titles import title_of

MAX_UNPACKED_BYTES: Final = 256 * 1024 * 1024

_OLE: Final = b"\xd0\xcf\x11\xe0"  # the container of encrypted documents, and of the old .doc


def parse(file: IO[bytes], *, max_chars: int) -> Iterator[dict[str, Any]]:
    """Yield one item: ``text``, HTML without ``<html>``, and ``title``, its first heading.

    Raises:
        ReadError: the file is locked, not DOCX, too large when unpacked, or has no text.
    """
    if file.read(4) == _OLE:
        raise ReadError("encrypted", "the file is encrypted, or an old .doc; save it as DOCX without a password")
    _check(file)
    file.seek(0)
    result = mammoth.convert_to_html(file, include_embedded_style_map=False, convert_image=lambda _: [])
    if len(result.value) > max_chars:
        raise ReadError("too_large", f"the document has more than {max_chars:,} characters; split it")
    if not result.value.strip():
        raise ReadError("no_text", "the document contains no text")
    yield {"text": result.value.replace("</p><", "</p>\n<"), "title": title_of(scan_html(result.value))}


def _check(file: IO[bytes]) -> None:
    """Refuse archives that are too large when unpacked: ``zipfile`` unpacks no more than the declared sizes."""
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except zipfile.BadZipFile as error:
        raise ReadError("damaged", f"not a readable DOCX file ({error}); save it again") from None
    if unpacked > MAX_UNPACKED_BYTES:
        size, limit = f"{unpacked / 1024 / 1024:,.0f}", MAX_UNPACKED_BYTES // 1024 // 1024
        raise ReadError("too_large", f"the file unpacks to {size} MiB, the limit is {limit}: split it")
