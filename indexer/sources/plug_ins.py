"""Sources of other packages: found by their entry points, opened by their scheme, and kept from harming a run.

The port, and what a plug-in is, are described in ``winnow.ports.source``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import fields as fields_of
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, get_args

from indexer.sources.base import DocumentParser
from indexer.sources.formats import MAX_FILE_BYTES
from winnow.core.errors import InvalidSource, WinnowError
from winnow.core.marks import wire_marks, wire_warnings
from winnow.core.text import is_encodable
from winnow.core.types import Document, FieldType
from winnow.ports.source import MAX_LABEL_CHARS, PLUG_INS, Failure, Notice, Source, SourceItem, SourceOptions

_OWN: Final = frozenset({"id", "text", "title", "url", "metadata", "version"})


def found_plug_ins() -> dict[str, Sequence[EntryPoint]]:
    """The entry points of plug-ins by scheme, in lower case; more than one is a conflict. None is loaded."""
    found: dict[str, list[EntryPoint]] = {}
    for each in sorted(entry_points(group=PLUG_INS), key=_described):
        found.setdefault(each.name.lower(), []).append(each)
    return dict(sorted(found.items()))


def open_plug_in(found: Sequence[EntryPoint], spec: str, options: SourceOptions) -> Source:
    """Open ``spec`` with the plug-in of its scheme.

    Raises:
        InvalidSource: two packages claim the scheme, the plug-in cannot be loaded, or it refuses ``spec``.
    """
    names = sorted({_described(each) for each in found})
    if len(names) > 1:
        raise InvalidSource(f"{' and '.join(names)} both read {found[0].name}: sources; uninstall one of them")
    plug_in = names[0]
    try:
        source: Source = found[0].load()(spec, options)
        return _PlugInSource(plug_in, found[0].name.lower(), source)
    except WinnowError:
        raise
    except Exception as error:
        raise InvalidSource(f"{plug_in} cannot open {spec!r}: {_reason(error)}; update or uninstall it") from error


def _described(plug_in: EntryPoint) -> str:
    package = f"of the package {plug_in.dist.name} {plug_in.dist.version}" if plug_in.dist else "of no package"
    return f"the plug-in {plug_in.name!r} ({plug_in.value}) {package}"


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error!s:.300}"


_MEMBERS: Final = ("label", "fields", "is_complete", "count", "read")


def _check_source(plug_in: str, scheme: str, source: object) -> None:
    """Raise ``InvalidSource`` if an object lacks members of ``Source``, or their values cannot be used.

    Its label is ``scheme:…``: a run that deletes missing documents goes by labels, which sources must not share.
    """
    if lacking := [name for name in _MEMBERS if not hasattr(source, name)]:
        raise InvalidSource(f"{plug_in} returned a source without {', '.join(lacking)}; update or uninstall it")
    label, fields = getattr(source, "label", ""), getattr(source, "fields", {})
    if not isinstance(label, str) or not label.startswith(f"{scheme}:") or not is_encodable(label):
        raise InvalidSource(f"{plug_in} labels its source {label!r}; a label starts with {scheme}:")
    if len(label) > MAX_LABEL_CHARS:
        raise InvalidSource(f"{plug_in} labels its source with more than {MAX_LABEL_CHARS} characters")
    known = get_args(FieldType)
    if wrong := next((key for key, kind in fields.items() if kind not in known), None):
        raise InvalidSource(
            f"{plug_in} declares the field {wrong!r} as {fields[wrong]!r}; known are {', '.join(known)}"
        )


class _PlugInSource:
    """A plug-in's source whose items are checked, and whose exceptions are failures of this source alone."""

    def __init__(self, plug_in: str, scheme: str, source: Source) -> None:
        _check_source(plug_in, scheme, source)
        self._plug_in = plug_in
        self._source = source
        self.label = source.label
        self.fields: Mapping[str, FieldType] = dict(source.fields)
        self.is_complete = bool(source.is_complete)

    async def count(self) -> int | None:
        """The plug-in's estimate; ``None`` if it fails, as reading reports the error."""
        try:
            found = await self._source.count()
        except Exception:  # noqa: BLE001 - as above
            return None
        return found if isinstance(found, int) and found >= 0 else None

    async def read(self) -> AsyncGenerator[SourceItem, None]:
        """Read everything. Two documents of one id, and items that are none, are failures."""
        documents = DocumentParser(MAX_FILE_BYTES)
        try:
            async with aclosing(self._source.read()) as items:
                async for item in items:
                    yield await asyncio.to_thread(self._checked, item, documents)
        except Exception as error:  # noqa: BLE001 - as above
            message = f"{self._plug_in} failed: {_reason(error)}; what it had not read yet is missing"
            yield Failure(self.label, "plug_in_failed", message)

    def _checked(self, item: object, documents: DocumentParser) -> SourceItem:
        match item:
            case Document():
                try:
                    return documents.parse(_as_record(item), f"{self.label}: {item.id}")
                except Exception as error:  # noqa: BLE001 - values of types that documents do not have
                    known = item.id if isinstance(item.id, str) else ""
                    message = f"{self._plug_in} returned a document that is none: {_reason(error)}"
                    return Failure(self.label, "plug_in_failed", message, known)
            case Failure() | Notice() if all(
                isinstance(getattr(item, each.name), str | int) for each in fields_of(item)
            ):
                return item
        message = f"{self._plug_in} returned {type(item).__name__} in place of a Document, a Failure or a Notice"
        return Failure(self.label, "plug_in_failed", message)


def _as_record(document: Document) -> dict[str, Any]:
    """A document as ``DocumentParser`` takes it. A text that is not canonical yet is converted there."""
    record: dict[str, Any] = {name: getattr(document, name) for name in _OWN}
    if not document.canonical:
        return record | {"format": document.source_format}
    marks, warnings = wire_marks(document.marks), wire_warnings(document.warnings)
    return record | {"source_format": document.source_format, "marks": marks, "warnings": warnings}
