"""Parses RTF: its text without pictures. Runs inside the sandbox."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Any, Final

from striprtf.striprtf import rtf_to_text

from indexer.sources.base import ReadError
from indexer.sources.content import record_of
from winnow.conversion.converted import CanonicalWriter, Converted

_TITLE: Final = re.compile(rb"\{\\title ([^{}\\]{1,500})\}")


def parse(file: IO[bytes], *, max_chars: int) -> Iterator[dict[str, Any]]:
    """Yield one record.

    Raises:
        ReadError: the file is not RTF, has no text, or more than ``max_chars`` of it.
    """
    data = file.read()
    if not data.lstrip().startswith(b"{\\rtf"):
        raise ReadError("damaged", "not a readable RTF file; save it again")
    text = str(rtf_to_text(data.decode("latin-1"), errors="replace"))  # type: ignore[no-untyped-call]
    if len(text) > max_chars:
        raise ReadError("too_large", f"the document has more than {max_chars:,} characters; split it")
    writer = CanonicalWriter()
    for line in text.split("\n"):
        if line.strip():
            writer.add(" ".join(line.split()))
    title = _TITLE.search(data)
    yield record_of(Converted(writer.text(), title[1].decode("latin-1").strip() if title else ""), "rtf")
