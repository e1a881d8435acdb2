"""Converts Jupyter notebooks to canonical text."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from winnow.conversion.converted import Converted
from winnow.conversion.line_writer import LineWriter
from winnow.conversion.markdown import convert_markdown

_COLOUR: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # escape sequences of terminals


def convert_notebook(text: str) -> Converted:
    """A Jupyter notebook: its Markdown, its code, and the text that the code wrote.

    Raises:
        ValueError: the text is not a notebook.
    """
    try:
        book = json.loads(text)
    except RecursionError:
        raise ValueError("its JSON nests too deep") from None
    cells = _cells(book)
    language = _named(book, ("language_info", "name"), ("kernelspec", "language"))
    out = LineWriter()
    for cell in cells:
        source = _joined(cell.get("source", cell.get("input")))
        if cell.get("cell_type") == "code":
            out.code(source.split("\n"), language)
            for output in _mappings(cell.get("outputs")):
                _write_output(out, output)
        elif cell.get("cell_type") == "heading" and source.strip():
            out.heading(int(cell.get("level", 1)), " ".join(source.split()))
        elif source.strip():
            found = convert_markdown(source)
            out.first_heading = out.first_heading or found.title
            if found.text:
                out.writer.add(found.text)
    return out.result(_named(book, ("title",)))


def _cells(book: Any) -> list[dict[str, Any]]:
    """The cells of a notebook; before version 4 of the format they are in worksheets."""
    parts = [book] if isinstance(book, dict) else []
    parts += _mappings(book.get("worksheets")) if parts else []
    cells = [part["cells"] for part in parts if isinstance(part.get("cells"), list)]
    if not cells or not all(isinstance(cell, dict) for part in cells for cell in part):
        raise ValueError("a notebook is a JSON object with cells")
    return [cell for part in cells for cell in part]


def _write_output(out: LineWriter, output: dict[str, Any]) -> None:
    """Write the text that code wrote, and the error that it ended with."""
    data = output.get("data")
    shown = data if isinstance(data, dict) else output
    error = ": ".join(str(output[key]) for key in ("ename", "evalue") if output.get(key))
    text = _joined(output.get("text") or shown.get("text/plain") or shown.get("text/markdown") or error)
    out.code(_COLOUR.sub("", text).split("\n"), "")


def _named(book: Any, *paths: tuple[str, ...]) -> str:
    """The first text that the metadata have at one of the paths; empty if there is none."""
    for path in paths:
        value: Any = book
        for key in ("metadata", *path):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            return value
    return ""


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _joined(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")
