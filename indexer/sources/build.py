"""From the name of a source, as a user writes it, to its reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from indexer.sources.base import Source
from indexer.sources.files import FORMATS, JSONL, FileSource, FolderSource, is_known
from indexer.sources.python import PythonSource
from retrieval.errors import InvalidSource

_SUFFIXES: Final = ", ".join(sorted({*FORMATS, *JSONL}))
_ACCEPTED: Final = f"accepted are 'python' (the standard library's docstrings), a folder, or a file ({_SUFFIXES})"
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]+:(?!\\)", re.IGNORECASE)


def open_source(spec: str, *, base_url: str = "") -> Source:
    """Find the reader for ``spec``. Nothing is read yet.

    Args:
        spec: ``python``, a folder, or a file. A folder called ``python`` is written ``./python``.
        base_url: where the files are published; addresses of documents start with it.

    Raises:
        InvalidSource: nothing of that name can be read; the message says what was looked for.
    """
    if spec == "python":
        return PythonSource()
    path = Path(spec).expanduser()
    if not spec or not path.exists():
        raise InvalidSource(f"{_missing(spec, path)}; {_ACCEPTED}")
    path = path.resolve()
    if path.is_dir():
        return FolderSource(path, base_url)
    if not path.is_file() or not is_known(path):
        kind = f"a file of the unknown type {path.suffix!r}" if path.is_file() else "neither a folder nor a file"
        raise InvalidSource(f"source {spec!r} is {kind}; {_ACCEPTED}")
    return FileSource(path, base_url)


def _missing(spec: str, path: Path) -> str:
    if not spec:
        return "the source is empty"
    scheme = _SCHEME.match(spec)
    if scheme:
        return f"sources of the kind {scheme[0]!r} are not supported (in {spec!r})"
    return f"source {spec!r} does not exist (looked for {Path(path).absolute()})"
