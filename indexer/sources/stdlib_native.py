"""Docstrings of the standard library's C code, from modules that are safe to import."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Final

from indexer.sources.stdlib_pages import PAGES
from indexer.sources.stdlib_source import Docstring

_SAFE: Final = """
array atexit binascii bisect builtins bz2 cmath collections contextvars csv datetime decimal errno faulthandler fcntl
functools gc grp hashlib heapq io itertools json lzma marshal math mmap operator os pickle pwd queue random re
readline resource select signal socket sqlite3 ssl struct sys syslog termios threading time tracemalloc unicodedata
weakref xml.etree.ElementTree xml.parsers.expat zlib
""".split()


def native_docstrings() -> Iterator[Docstring]:
    """Docstrings of functions, classes and their methods; modules missing from this build of Python are skipped."""
    for name in _SAFE:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue  # optional on this platform: readline, termios …
        if module.__doc__:
            yield Docstring(name, name, "module", "", inspect.cleandoc(module.__doc__), name)
        yield from _members(name, module)


def _members(module: str, value: ModuleType) -> Iterator[Docstring]:
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
    except (ValueError, TypeError):
        return name
    parameters = list(signature.parameters.values())
    if bound and parameters and parameters[0].name in ("self", "type", "cls"):
        parameters = parameters[1:]
    return f"{name}{signature.replace(parameters=parameters)}"
