"""The interpreter's own standard library: one document for each docstring of a module, class, function or method.

Modules written in Python are parsed, never imported, as importing some of them has effects. Names are the public
ones: a package owns the definitions that it imports from its parts (``json.JSONDecoder``), ``posixpath`` is
``os.path``. Code written in C has no Python source; its docstrings come from modules that are safe to import.
"""

from __future__ import annotations

import asyncio
import sysconfig
from collections.abc import AsyncGenerator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from indexer.sources.base import Failure
from indexer.sources.stdlib_native import native_docstrings
from indexer.sources.stdlib_pages import PAGES, doc_url
from indexer.sources.stdlib_source import Docstring, Library
from indexer.sources.threads import Items, read_on_thread
from winnow.core.types import Document, FieldType


class PythonSource:
    """Docstrings of the standard library, sorted by name."""

    label = "python"
    fields: Mapping[str, FieldType] = MappingProxyType({"module": "keyword", "kind": "keyword"})

    async def count(self) -> int | None:
        """Exact: the docstrings are collected once."""
        return await asyncio.to_thread(lambda: len(self._docstrings))

    def read(self) -> AsyncGenerator[Document | Failure, None]:
        """Yield every docstring once, under its first public name."""
        return read_on_thread(self._documents())

    def _documents(self) -> Items:
        yield from map(_document, self._docstrings)

    @cached_property
    def _docstrings(self) -> list[Docstring]:
        found: dict[str, Docstring] = {}
        for item in Library(Path(sysconfig.get_path("stdlib"))).docstrings(tuple(PAGES)):
            found.setdefault(item.name, item)
        for item in native_docstrings():
            found.setdefault(item.name, item)
        return [found[name] for name in sorted(found)]


def _document(item: Docstring) -> Document:
    return Document(
        id=item.name,
        text=f"{item.signature}\n\n{item.text}" if item.signature else item.text,
        title=item.name,
        url=doc_url(item.module, item.name, item.defined_in),
        metadata={"module": item.module, "kind": item.kind},
    )
