"""The names that lead to the chunks of a document: its title, the headings in them, identifiers and keywords. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from winnow.core.exact import Level, names_of
from winnow.core.types import JsonValue, Metadata
from winnow.core.words import tokens_of
from winnow.ports import NameEntry, Point

KEYWORDS: Final = ("keywords", "tags")
"""The keys of a document's metadata whose texts lead to it."""

_FENCED: Final = re.compile(r"^(```+|~~~+)[^\n]*\n.*?(?:^\1[^\n]*$|\Z)", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"(?:\A|(?<=\n\n))#{1,6} ([^\n]+)(?=\n\n|\n?\Z)")


def headings_in(text: str) -> list[str]:
    """The headings in a canonical text, those in code left out: a chunk of short sections has them among its text."""
    if "#" not in text:
        return []
    return [found.strip().rstrip("#").rstrip() for found in _HEADING.findall(_FENCED.sub("", text))]


def entries_of(points: Iterable[Point]) -> Iterator[NameEntry]:
    """The entries of one document's chunks; a chunk that no name of its own leads to has none."""
    above: tuple[str, ...] = ()
    for at, point in enumerate(sorted(points, key=lambda each: each.chunk.index)):
        chunk = point.chunk
        same = next((i for i, pair in enumerate(zip(above, chunk.headings, strict=False)) if pair[0] != pair[1]), None)
        begun = chunk.headings[min(len(above), len(chunk.headings)) if same is None else same :]
        above = chunk.headings
        begun = tuple(dict.fromkeys((*begun, *headings_in(chunk.text))))
        keywords = [*_identifiers(point), *(_keywords(point.metadata) if at == 0 else ())]
        if at == 0 or begun or keywords:
            yield NameEntry(
                point.id,
                point.document_id,
                point.revision,
                point.title,
                at == 0,
                begun,
                tuple(keywords),
                point.metadata,
                point.access,
            )


def _identifiers(point: Point) -> list[str]:
    names = names_of(point.document_id, "", (), point.chunk.text, tokens_of(point.chunk.text))
    return [name for name, level in names.items() if level == Level.IDENTIFIER]


def _keywords(metadata: Metadata) -> Iterator[str]:
    for key in KEYWORDS:
        value: JsonValue = metadata.get(key)
        yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))
