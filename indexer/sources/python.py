"""The interpreter's own standard library: one document for each docstring of a module, class, function or method.

Modules written in Python are parsed, never imported, as importing some of them has effects. Names are the public
ones: a package owns the definitions that it imports from its parts (``json.JSONDecoder``), ``posixpath`` is
``os.path``. Code written in C has no Python source; its docstrings come from modules that are safe to import.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sysconfig
from collections.abc import AsyncGenerator, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Final

from indexer.sources.stdlib_pages import PAGES, doc_url
from indexer.sources.stdlib_source import Docstring, Library
from indexer.sources.threads import Items, read_on_thread
from winnow.core.types import Document, FieldType
from winnow.ports.source import SourceItem

_SAFE: Final = """
array atexit binascii bisect builtins bz2 cmath collections contextvars csv curses curses.panel datetime decimal errno
faulthandler fcntl functools gc grp hashlib heapq io itertools json lzma marshal math mmap operator os pickle pwd
queue random re readline resource select signal socket sqlite3 ssl struct sys syslog termios threading time
tracemalloc unicodedata weakref xml.etree.ElementTree xml.parsers.expat zlib
""".split()


class PythonSource:
    """Docstrings of the standard library, sorted by name."""

    label = "python"
    is_complete = True
    fields: Mapping[str, FieldType] = MappingProxyType({"module": "keyword", "kind": "keyword"})

    async def count(self) -> int | None:
        """Exact: the docstrings are collected once."""
        return await asyncio.to_thread(lambda: len(self._docstrings))

    def read(self) -> AsyncGenerator[SourceItem, None]:
        """Yield every docstring once, under its first public name."""
        return read_on_thread(self._documents())

    def _documents(self) -> Items:
        yield from map(_document, self._docstrings)

    @cached_property
    def _docstrings(self) -> list[Docstring]:
        found: dict[str, Docstring] = {}
        for item in Library(Path(sysconfig.get_path("stdlib"))).docstrings(tuple(PAGES)):
            found.setdefault(item.name, item)
        for item in _native_docstrings():
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


def _native_docstrings() -> Iterator[Docstring]:
    """Docstrings of functions, classes and their methods; modules missing from this build of Python are skipped."""
    for name in _SAFE:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue  # optional on this platform: readline, termios …
        if module.__doc__:
            yield Docstring(name, name, "module", "", inspect.cleandoc(module.__doc__), name)
        yield from _native_members(name, module)


def _native_members(module: str, value: ModuleType) -> Iterator[Docstring]:
    prefix = "" if module == "builtins" else f"{module}."
    for name, member in sorted(vars(value).items()):
        if name.startswith("_") or _belongs_elsewhere(module, member):
            continue
        if inspect.isclass(member) and name != member.__name__ and vars(value).get(member.__name__) is member:
            continue  # a second name, such as array.ArrayType
        if inspect.isclass(member):
            yield from _class(f"{prefix}{name}", module, member)
        elif inspect.isroutine(member) and (text := _doc(member)):
            yield Docstring(f"{prefix}{name}", module, "function", _signature(f"{prefix}{name}", member), text, module)


def _class(name: str, module: str, value: type) -> Iterator[Docstring]:
    if text := _doc(value):
        yield Docstring(name, module, "class", f"class {_signature(name, value)}", text, module)
    parts = [base for base in reversed(value.__mro__) if base is value or base.__module__.startswith("_")]
    members = {key: member for part in parts for key, member in vars(part).items()}
    for key, member in sorted(members.items()):
        if not key.startswith("_") and inspect.isroutine(member) and (text := _doc(member)):
            full = f"{name}.{key}"
            bound = inspect.ismethoddescriptor(member)
            yield Docstring(full, module, "method", _signature(full, member, bound=bound), text, module)


def _belongs_elsewhere(module: str, member: object) -> bool:
    """Whether another public module documents ``member``, as ``builtins`` does ``os.error``."""
    home = getattr(member, "__module__", None)
    return home != module and home in PAGES and not (module == "builtins" and inspect.isroutine(member))


def _doc(member: object) -> str:
    text = getattr(member, "__doc__", None)
    return inspect.cleandoc(text) if isinstance(text, str) else ""


def _signature(name: str, member: object, *, bound: bool = False) -> str:
    """The call if Python knows it; many C functions give it in the first line of the docstring instead."""
    try:
        signature = inspect.signature(member)  # type: ignore[arg-type]  # any routine or class
    except (ValueError, TypeError, AttributeError):  # some defaults are names that only exist at run time
        return name
    parameters = list(signature.parameters.values())
    if bound and parameters and parameters[0].name in ("self", "type", "cls"):
        parameters = parameters[1:]
    return f"{name}{signature.replace(parameters=parameters)}"
