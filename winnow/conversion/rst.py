"""Converts reStructuredText to canonical text, line by line: what Sphinx adds to it is read as well."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from winnow.conversion.converted import Converted
from winnow.conversion.line_writer import LineWriter, inline_text
from winnow.conversion.plain_tables import grid_rows, simple_rows

_RULE: Final = re.compile(r"([=\-~^\"'`#*+.:_<>])\1{2,}\s*$")
_CODE: Final = re.compile(r"\s*\.\. (?:code-block|code|sourcecode|highlight)::\s*([\w+-]*)\s*$")
_ROLE: Final = re.compile(
    r"(?<![\w:+.-]):[\w:+.-]{1,80}:`([^`<]{0,500}?)(?:\s{0,9}<[^`>]{0,999}>)?`|`([^`<]{1,500}?)\s{0,9}<[^`>]{0,999}>`_+"
    r"|``([^`]{1,999})``|\*\*?([^*\s][^*]{0,999})\*\*?"
)
_TARGET: Final = re.compile(r"\s*\.\. _")
_FIELD: Final = re.compile(r"(\s*):([\w -]{1,80}):(?:\s+(.*))?$")
_NOTE: Final = re.compile(r"\s*\.\. (\[[^\]\s]{1,80}\] .*)$")
_SUBSTITUTION: Final = re.compile(r"^\s*\.\. \|([^|\n]{1,80})\| replace:: (.*)$", re.MULTILINE)
_GRID: Final = re.compile(r"\s*\+(?:[-=]{2,}\+)+\s*$")
_SIMPLE: Final = re.compile(r"\s*={2,}(?: +={2,})+\s*$")
_DIRECTIVE: Final = re.compile(r"(\s*)\.\. ([\w:.+-]+)::\s*(.*)$")
SHOWN_OPTIONS: Final = ("alt", "caption", "header")
"""Options of directives, here and in MyST, whose values a reader sees."""


def convert_rst(text: str) -> Converted:
    """reStructuredText: headings, literal blocks, tables, directives without their marks, roles as their text."""
    out = LineWriter()
    known = {name: value.strip() for name, value in _SUBSTITUTION.findall(text)}
    lines = _SUBSTITUTION.sub("", text).expandtabs().splitlines()
    if known:
        names = re.compile("|".join(re.escape(f"|{name}|") for name in known))
        lines = [names.sub(lambda match: known[match[0][1:-1]], line) for line in lines]
    levels: list[str] = []
    row = 0
    while row < len(lines):
        line = lines[row]
        depth = len(line) - len(line.lstrip())
        if rule := _rst_heading(lines, row):
            if rule not in levels:
                levels.append(rule)
            out.heading(levels.index(rule) + 1, inline_text(_ROLE, line.strip()))
            row += 2
        elif code := _CODE.match(line):
            block, row = _indented(lines, row + 1, depth)
            out.code([each for each in block if not _FIELD.match(each)], code[1])
        elif _GRID.match(line) or _SIMPLE.match(line):
            rows, row = (grid_rows if "+" in line else simple_rows)(lines, row)
            out.table([[inline_text(_ROLE, cell) for cell in cells] for cells in rows])
        elif line.rstrip().endswith("::") and not line.lstrip().startswith(".. "):
            out.line(inline_text(_ROLE, line.rstrip()[:-1]))
            block, row = _indented(lines, row + 1, depth)
            out.code(block, "")
        else:
            row = _rst_line(out, lines, row)
    return out.result()


def _rst_line(out: LineWriter, lines: Sequence[str], row: int) -> int:
    """Write a line of any other kind; returns the row after it and what belongs to it."""
    line = lines[row]
    depth = len(line) - len(line.lstrip())
    if directive := _DIRECTIVE.match(line):
        is_image = directive[2] in ("image", "figure")
        out.line("" if is_image else inline_text(_ROLE, f"{directive[1]}{directive[3]}"))
        row += 1
        while row < len(lines) and (option := _FIELD.match(lines[row])) and len(option[1]) > depth:
            if option[2] in SHOWN_OPTIONS and option[3]:
                out.line(f"{directive[1]}{option[3]}")
            row += 1
        return row
    if note := _NOTE.match(line):
        out.flush()
        out.line(inline_text(_ROLE, note[1]))
    elif _TARGET.match(line):
        pass
    elif line.strip() == ".." or line.lstrip().startswith(".. "):
        return _indented(lines, row + 1, depth)[1]  # a comment
    elif field := _FIELD.match(line):
        out.flush()
        out.line(inline_text(_ROLE, f"{field[1]}{field[2]}: {field[3]}") if field[3] else "")
    elif not _RULE.match(line):
        out.line(inline_text(_ROLE, line))
    return row + 1


def _rst_heading(lines: Sequence[str], row: int) -> str:
    """The character that underlines the line as a heading; empty if it is none."""
    line, following = lines[row].rstrip(), lines[row + 1].rstrip() if row + 1 < len(lines) else ""
    rule = _RULE.match(following)
    if rule is None or not line or _RULE.match(line) or len(following) < len(line) // 2:
        return ""
    overlined = row > 0 and lines[row - 1].rstrip() == following
    return rule[1] if overlined or not line.startswith(" ") else ""


def _indented(lines: Sequence[str], row: int, indent: int) -> tuple[list[str], int]:
    """The lines from ``row`` on that are blank or indented deeper than ``indent``, and where they end."""
    start = row
    while row < len(lines) and (not lines[row].strip() or len(lines[row]) - len(lines[row].lstrip()) > indent):
        row += 1
    return list(lines[start:row]), row
