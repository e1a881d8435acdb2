"""Titles and metadata of HTML and Markdown texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from indexer.chunking.front_matter import InvalidFrontMatter, find_front_matter, read_front_matter
from indexer.chunking.html import HtmlScan
from indexer.chunking.parsers import outline_of
from indexer.sources.base import ReadError
from winnow.core.types import JsonValue


def title_of(page: HtmlScan) -> str:
    """Title of a page: its only ``<h1>`` if ``<title>`` contains it, else ``<title>``, else the first heading.

    A ``<title>`` usually contains the name of the site as well, which says nothing about the page.
    """
    main = [item.block.text for item in page.blocks if item.level == 1]
    if len(main) == 1 and main[0] in page.title:
        return main[0]
    return page.title or next((item.block.text for item in page.blocks if item.level), "")


def describe_markdown(text: str) -> tuple[str, dict[str, JsonValue]]:
    """Title and metadata of a file: from the front matter, else the first heading; the title may be empty.

    Raises:
        ReadError: the front matter is not a YAML mapping.
    """
    matter = find_front_matter(text)
    try:
        values = read_front_matter(matter[1]) if matter else {}
    except InvalidFrontMatter as error:
        raise ReadError("invalid_front_matter", f"front matter, {error}") from None
    title = values.get("title")
    if isinstance(title, str | int | float) and str(title).strip():
        heading = str(title).strip()
    else:
        heading = next((s.headings[-1] for s in outline_of(text, "markdown").sections if s.headings), "")
    return heading, _metadata(values)


def _metadata(values: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Scalars, and lists of scalars, that JSON can represent, without the title."""
    metadata: dict[str, JsonValue] = {}
    for key, value in values.items():
        items = [_scalar(item) for item in value] if isinstance(value, list) else _scalar(value)
        if key != "title" and items is not None and not (isinstance(items, list) and None in items):
            metadata[key] = items
    return metadata


def _scalar(value: object) -> JsonValue:
    """The value as JSON, dates as ISO 8601 strings; ``None`` if JSON has no such type."""
    if isinstance(value, date):  # datetime is one
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool) else None
