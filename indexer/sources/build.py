"""Opens a source by the name that a user gives it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from indexer.sources.files import LocalSource
from indexer.sources.formats import SUFFIXES, is_known
from indexer.sources.python import PythonSource
from indexer.sources.remote import DRIVERS, RemoteSource
from indexer.sources.rows import check_columns
from indexer.sources.site.source import SCHEME, SiteSource
from winnow.core.errors import InvalidSource
from winnow.ports.source import Source, SourceOptions

_ACCEPTED: Final = (
    "sources can be 'python' (the standard library's docstrings), a folder, a file "
    f"({', '.join(sorted(SUFFIXES))}), site:https://…, and {', '.join(f'{scheme}://…' for scheme in DRIVERS)}"
)
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]+):(?!\\)", re.IGNORECASE)


def open_source(spec: str, options: SourceOptions | None = None) -> Source:
    """Open the source named ``spec``, without reading it.

    Args:
        spec: ``python``, a folder, a file, ``site:`` and a web address, or an address of a file store. A folder
            called ``python`` is written ``./python``.
        options: how it is read.

    Raises:
        InvalidSource: no source has that name; the message says where it was looked for.
    """
    options = options or SourceOptions()
    check_columns(options.columns)
    if spec == "python":
        return PythonSource()
    if spec.startswith(SCHEME):
        return SiteSource(spec, options)
    if "://" in spec and spec.partition("://")[0].lower() in DRIVERS:
        return RemoteSource(spec, options)
    path = Path(spec).expanduser()
    if not spec or not path.exists():
        raise InvalidSource(f"{_missing(spec, path)}; {_ACCEPTED}")
    path = path.resolve()
    if not path.is_dir() and (not path.is_file() or not is_known(path)):
        kind = f"a file of the unknown type {path.suffix!r}" if path.is_file() else "neither a folder nor a file"
        raise InvalidSource(f"source {spec!r} is {kind}; {_ACCEPTED}")
    return LocalSource(path, options)


def _missing(spec: str, path: Path) -> str:
    if not spec:
        return "the source is empty"
    scheme = _SCHEME.match(spec)
    if scheme and scheme[1].lower() in {"http", "https"}:
        return f"to index a web site, write 'site:' before its address: site:{spec}"
    if scheme:
        return f"sources with the scheme {scheme[0]!r} are not supported (in {spec!r})"
    return f"source {spec!r} does not exist (looked for {Path(path).absolute()})"
