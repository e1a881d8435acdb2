"""PDF and DOCX: read in the sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from indexer.sources.sandbox import ParseFailure, Sandbox

PARSED: Final[dict[str, str]] = {".pdf": "pdf", ".docx": "docx"}
MAX_PARSED_BYTES: Final = 256 * 1024 * 1024


def parse_file(path: Path, parser: str, *, sandbox: Sandbox, max_chars: int) -> tuple[str, str]:
    """The text of a file, as HTML, and its title, empty where it has none.

    Args:
        path: the file.
        parser: ``pdf`` or ``docx``.
        sandbox: where it is parsed.
        max_chars: longest text.

    Raises:
        ParseFailure: the file cannot be parsed.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size > MAX_PARSED_BYTES:
        raise ParseFailure("too_large", f"the file is larger than {MAX_PARSED_BYTES / 1024 / 1024:g} MiB; split it")
    if not size:
        raise ParseFailure("empty", "the file is empty")
    (found,) = sandbox.parse(parser, path, {"max_chars": max_chars})
    return found["text"], found["title"]
