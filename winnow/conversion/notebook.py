"""Converts Jupyter notebooks to canonical text."""

from __future__ import annotations

import json
from typing import Any

from winnow.conversion.converted import Converted
from winnow.conversion.line_writer import LineWriter
from winnow.conversion.markdown import convert_markdown


def convert_notebook(text: str) -> Converted:
    """A Jupyter notebook: its Markdown, its code, and the text that the code wrote.

    Raises:
        ValueError: the text is not a notebook.
    """
    try:
        book = json.loads(text)
    except RecursionError:
        raise ValueError("its JSON nests too deep") from None
    cells = book.get("cells") if isinstance(book, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise ValueError("a notebook is a JSON object with cells")
    language = _named_language(book)
    out = LineWriter()
    for cell in cells:
        source = _joined(cell.get("source"))
        if cell.get("cell_type") == "code":
            out.code(source.split("\n"), language)
            for output in _mappings(cell.get("outputs")):
                data = output.get("data")
                plain = data.get("text/plain") if isinstance(data, dict) else None
                out.code(_joined(output.get("text") or plain).split("\n"), "")
        elif source.strip():
            found = convert_markdown(source)
            out.first_heading = out.first_heading or found.title
            if found.text:
                out.writer.add(found.text)
    return out.result()


def _named_language(book: Any) -> str:
    for key in ("metadata", "language_info", "name"):
        book = book.get(key) if isinstance(book, dict) else None
    return str(book or "")


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _joined(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")
