"""Opens a source by the name that a user gives it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from indexer.sources.feed.source import FeedSource
from indexer.sources.files import LocalSource
from indexer.sources.formats import SUFFIXES, is_known
from indexer.sources.git.source import GitSource
from indexer.sources.mailboxes.imap import ImapSource
from indexer.sources.mailboxes.mbox import MboxSource
from indexer.sources.plug_ins import found_plug_ins, open_plug_in
from indexer.sources.python import PythonSource
from indexer.sources.remote import DRIVERS, RemoteSource
from indexer.sources.rows import check_columns
from indexer.sources.site.source import SiteSource
from winnow.core.errors import InvalidSource
from winnow.ports.source import Source, SourceFactory, SourceOptions

OWN_SCHEMES: Final[Mapping[str, SourceFactory]] = MappingProxyType(
    {
        "site": SiteSource,
        "feed": FeedSource,
        "git": GitSource,
        "mbox": MboxSource,
        **dict.fromkeys(("imap", "imaps"), ImapSource),
        **dict.fromkeys(DRIVERS, RemoteSource),
    }
)
"""Schemes that Winnow reads itself; a plug-in cannot take their place."""

_WRITTEN: Final = (
    "site:https://…",
    "feed:https://…",
    "git:REPOSITORY#REF",
    "mbox:FILE",
    "imaps://USER@HOST/FOLDER",
    *(f"{scheme}://…" for scheme in DRIVERS),
)
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+._-]+):(?!\\)", re.IGNORECASE)


def open_source(spec: str, options: SourceOptions | None = None) -> Source:
    """Open the source named ``spec``, without reading it.

    Args:
        spec: ``python``, a folder, a file, or an address that begins with a scheme of ``OWN_SCHEMES`` or of a plug-in.
            A folder called ``python`` is written ``./python``.
        options: how it is read.

    Raises:
        InvalidSource: no source has that name; the message says where it was looked for.
    """
    options = options or SourceOptions()
    check_columns(options.columns)
    if spec == "python":
        return PythonSource()
    scheme = found[1].lower() if (found := _SCHEME.match(spec)) else ""
    if scheme in OWN_SCHEMES:
        return OWN_SCHEMES[scheme](spec, options)
    if scheme and (plug_in := found_plug_ins().get(scheme)):
        return open_plug_in(plug_in, spec, options)
    path = Path(spec).expanduser()
    if not spec or not path.exists():
        raise InvalidSource(f"{_missing(spec, scheme)}; {_accepted()}")
    path = path.resolve()
    if not path.is_dir() and (not path.is_file() or not is_known(path)):
        kind = f"a file of the unknown type {path.suffix!r}" if path.is_file() else "neither a folder nor a file"
        raise InvalidSource(f"source {spec!r} is {kind}; {_accepted()}")
    return LocalSource(path, options)


def _missing(spec: str, scheme: str) -> str:
    if not spec:
        return "the source is empty"
    if scheme in {"http", "https"}:
        return f"to index a web site, write 'site:' before its address: site:{spec}"
    if scheme:
        return f"sources with the scheme '{scheme}:' are not supported (in {spec!r})"
    return f"source {spec!r} does not exist (looked for {Path(spec).absolute()})"


def _accepted() -> str:
    """What a user can write, the schemes of installed plug-ins included."""
    plug_ins = "".join(f", {scheme}:… (a plug-in)" for scheme in found_plug_ins())
    return (
        "sources can be 'python' (the standard library's docstrings), a folder, a file "
        f"({', '.join(sorted(SUFFIXES))}), {', '.join(_WRITTEN)}{plug_ins}"
    )
