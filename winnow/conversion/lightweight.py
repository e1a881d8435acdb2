"""Converts reStructuredText, AsciiDoc, Org, subtitles and notebooks to canonical text, line by line.

Headings, code and titles are told from each other; every other line stays with its words.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from winnow.conversion.converted import CanonicalWriter, Converted, joined_lines, table_of
from winnow.conversion.markdown import convert_markdown
from winnow.conversion.plain_tables import asciidoc_rows, grid_rows, org_rows, simple_rows
from winnow.core.marks import Mark

_RST_RULE: Final = re.compile(r"([=\-~^\"'`#*+.:_<>])\1{2,}\s*$")
_RST_CODE: Final = re.compile(r"\s*\.\. (?:code-block|code|sourcecode|highlight)::\s*([\w+-]*)\s*$")
_RST_ROLE: Final = re.compile(
    r"(?<![\w:+.-]):[\w:+.-]{1,80}:`([^`<]{0,500}?)(?:\s{0,9}<[^`>]{0,999}>)?`|`([^`<]{1,500}?)\s{0,9}<[^`>]{0,999}>`_+"
    r"|``([^`]{1,999})``|\*\*?([^*\s][^*]{0,999})\*\*?"
)
_RST_TARGET: Final = re.compile(r"\s*\.\. _")
_RST_FIELD: Final = re.compile(r"(\s*):([\w -]{1,80}):(?:\s+(.*))?$")
_RST_NOTE: Final = re.compile(r"\s*\.\. (\[[^\]\s]{1,80}\] .*)$")
_RST_SUBSTITUTION: Final = re.compile(r"^\s*\.\. \|([^|\n]{1,80})\| replace:: (.*)$", re.MULTILINE)
_RST_GRID: Final = re.compile(r"\s*\+(?:[-=]{2,}\+)+\s*$")
_RST_SIMPLE: Final = re.compile(r"\s*={2,}(?: +={2,})+\s*$")
_SHOWN_OPTIONS: Final = ("alt", "caption", "header")
_RST_DIRECTIVE: Final = re.compile(r"(\s*)\.\. ([\w:.+-]+)::\s*(.*)$")
_ADOC_HEADING: Final = re.compile(r"(={1,6})\s+(\S.*)$")
_ADOC_CODE: Final = re.compile(r"\[source(?:%\w+)?,\s*([\w+-]+)[^\]]*\]$")
_ADOC_FENCE: Final = re.compile(r"(-{4,}|\.{4,}|`{3,})\s*$")
_ADOC_INLINE: Final = re.compile(
    r"(?:link:|xref:|https?://)[^\s\[]{0,999}\[([^\]\[]{0,999})\]|<<[^,<>]{1,300},([^<>]{1,500})>>|`([^`]{1,999})`"
    r"|\*(\S[^*]{0,999})\*"
)
_ORG_HEADING: Final = re.compile(r"(\*{1,6})\s+(?:(?:TODO|DONE)\s+)?(?:\[#\w\]\s+)?(\S.*?)(?:\s+:[\w@:]+:)?$")
_ORG_LINK: Final = re.compile(r"\[\[(?:[^\]\[]+\]\[)?([^\]\[]+)\]\]")
_ORG_SKIPPED: Final = re.compile(r"\s*(?:#\+|:[\w-]+:)", re.IGNORECASE)
_ORG_PLANNING: Final = re.compile(r"\s*(?:SCHEDULED|DEADLINE|CLOSED|CLOCK):")
_ADOC_ID: Final = re.compile(r"\[(?:\[|#)([\w:.-]+)[^\]]*\]{1,2}$")
_ADOC_DROPPED: Final = re.compile(
    r":[\w!-]+:|//(?!/)|\[[^\]]*\]$|={4,}$|\*{4,}$|_{4,}$|'{3}$|<<<$|(?:ifdef|ifndef|ifeval|endif)::"
)
_ADOC_IMAGE: Final = re.compile(r"image::?[^\s\[]{1,999}\[([^\],]*)[^\]]*\]")
_ADOC_NOTE: Final = re.compile(r"footnote:[\w-]*\[([^\]]*)\]")
_CUE: Final = re.compile(r"\s*(?:\d+:)?\d+:\d+[.,]\d+\s*-->")
_VOICE: Final = re.compile(r"<v(?:\.[^\s>]*)?\s+([^<>]{1,100})>")
_TAG: Final = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")


class _LineWriter:
    """Collects lines into paragraphs and code."""

    def __init__(self) -> None:
        self.writer = CanonicalWriter()
        self.first_heading = ""
        self._lines: list[str] = []
        self._heading_at = 0

    def line(self, text: str) -> None:
        """Add a line of a paragraph; a list item opens a block of its own."""
        if not text.strip() or re.match(r"\s*(?:[-+•]|\*{1,5}|\d+[.)]|#\.|\.{1,5}) ", text):
            self.flush()
        if text.strip():
            self._lines.append(re.sub(r"^(\s*)(?:[+•]|\*{1,5}|\.{1,5}|#\.) ", r"\1- ", text))

    def flush(self) -> None:
        """End the paragraph."""
        if self._lines:
            is_item = self._lines[0].lstrip()[:2] == "- "
            self.writer.add(joined_lines("\n".join(self._lines)), tight=is_item)
        self._lines = []

    def heading(self, level: int, title: str, anchor: str = "") -> None:
        """Write a heading."""
        self.flush()
        self.first_heading = self.first_heading or title
        self.writer.heading(level, title)
        self._heading_at = len(self.writer) - len(title) - min(level, 6) - 1
        self.anchor(anchor)

    def anchor(self, value: str) -> None:
        """Note the id of the last heading."""
        if value and self.first_heading:
            self.writer.marks.append(Mark(self._heading_at, "anchor", value))

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Write a table, whose first row is its header."""
        self.flush()
        if any(any(row) for row in rows):
            self.writer.add(table_of(rows))

    def code(self, lines: Sequence[str], language: str) -> None:
        """Write code, without the indentation that all of its lines share."""
        self.flush()
        indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
        text = "\n".join(line[indent:] for line in lines).strip("\n")
        if text.strip():
            ticks = "````" if "```" in text else "```"
            self.writer.add(f"{ticks}{language}\n{text}\n{ticks}")

    def result(self, title: str = "") -> Converted:
        """The converted document."""
        self.flush()
        return Converted(self.writer.text(), title or self.first_heading, marks=tuple(self.writer.marks))


def convert_rst(text: str) -> Converted:
    """reStructuredText: headings, literal blocks, tables, directives without their marks, roles as their text."""
    out = _LineWriter()
    known = {name: value.strip() for name, value in _RST_SUBSTITUTION.findall(text)}
    lines = _RST_SUBSTITUTION.sub("", text).expandtabs().splitlines()
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
            out.heading(levels.index(rule) + 1, _inline(_RST_ROLE, line.strip()))
            row += 2
        elif code := _RST_CODE.match(line):
            block, row = _indented(lines, row + 1, depth)
            out.code([each for each in block if not _RST_FIELD.match(each)], code[1])
        elif _RST_GRID.match(line) or _RST_SIMPLE.match(line):
            rows, row = (grid_rows if "+" in line else simple_rows)(lines, row)
            out.table([[_inline(_RST_ROLE, cell) for cell in cells] for cells in rows])
        elif line.rstrip().endswith("::") and not line.lstrip().startswith(".. "):
            out.line(_inline(_RST_ROLE, line.rstrip()[:-1]))
            block, row = _indented(lines, row + 1, depth)
            out.code(block, "")
        else:
            row = _rst_line(out, lines, row)
    return out.result()


def _rst_line(out: _LineWriter, lines: Sequence[str], row: int) -> int:
    """Write a line of any other kind; returns the row after it and what belongs to it."""
    line = lines[row]
    depth = len(line) - len(line.lstrip())
    if directive := _RST_DIRECTIVE.match(line):
        is_image = directive[2] in ("image", "figure")
        out.line("" if is_image else _inline(_RST_ROLE, f"{directive[1]}{directive[3]}"))
        row += 1
        while row < len(lines) and (option := _RST_FIELD.match(lines[row])) and len(option[1]) > depth:
            if option[2] in _SHOWN_OPTIONS and option[3]:
                out.line(f"{directive[1]}{option[3]}")
            row += 1
        return row
    if note := _RST_NOTE.match(line):
        out.flush()
        out.line(_inline(_RST_ROLE, note[1]))
    elif _RST_TARGET.match(line):
        pass
    elif line.strip() == ".." or line.lstrip().startswith(".. "):
        return _indented(lines, row + 1, depth)[1]  # a comment
    elif field := _RST_FIELD.match(line):
        out.flush()
        out.line(_inline(_RST_ROLE, f"{field[1]}{field[2]}: {field[3]}") if field[3] else "")
    elif not _RST_RULE.match(line):
        out.line(_inline(_RST_ROLE, line))
    return row + 1


def _rst_heading(lines: Sequence[str], row: int) -> str:
    """The character that underlines the line as a heading; empty if it is none."""
    line, following = lines[row].rstrip(), lines[row + 1].rstrip() if row + 1 < len(lines) else ""
    rule = _RST_RULE.match(following)
    if rule is None or not line or _RST_RULE.match(line) or len(following) < len(line) // 2:
        return ""
    overlined = row > 0 and lines[row - 1].rstrip() == following
    return rule[1] if overlined or not line.startswith(" ") else ""


def _indented(lines: Sequence[str], row: int, indent: int) -> tuple[list[str], int]:
    """The lines from ``row`` on that are blank or indented deeper than ``indent``, and where they end."""
    start = row
    while row < len(lines) and (not lines[row].strip() or len(lines[row]) - len(lines[row].lstrip()) > indent):
        row += 1
    return list(lines[start:row]), row


def convert_asciidoc(text: str) -> Converted:
    """AsciiDoc: headings with their ids, delimited code, tables; comments and attribute lines left out."""
    out = _LineWriter()
    lines = iter(text.splitlines())
    language = anchor = attributes = ""
    for line in lines:
        if heading := _ADOC_HEADING.match(line):
            out.heading(len(heading[1]), _inline(_ADOC_INLINE, heading[2]), anchor)
            anchor = ""
        elif fence := _ADOC_FENCE.match(line):
            out.code(list(_until(lines, fence[1].__eq__)), language)
            language = ""
        elif source := _ADOC_CODE.match(line):
            language = source[1]
        elif found := _ADOC_ID.match(line):
            anchor = found[1]
        elif line.rstrip() == "////":
            list(_until(lines, "////".__eq__))
        elif line.rstrip() == "|===":
            rows = asciidoc_rows(list(_until(lines, "|===".__eq__)), attributes)
            out.table([[_inline(_ADOC_INLINE, cell) for cell in cells] for cells in rows])
        elif _ADOC_DROPPED.match(line):
            attributes = line
        else:
            words = _ADOC_NOTE.sub(r" (\1)", _ADOC_IMAGE.sub(r"\1", line))
            out.line(_inline(_ADOC_INLINE, re.sub(r"^\.(?=[^\s.])", "", words)))
    return out.result()


def convert_org(text: str) -> Converted:
    """Org: headlines with their ids, blocks of code, tables, ``#+TITLE``; comments, plans and tags are left out."""
    out = _LineWriter()
    title = ""
    lines = iter([*text.splitlines(), ""])
    table: list[str] = []
    for line in lines:
        keyword = line.strip().lower()
        if keyword.startswith("|"):
            table.append(line)
            continue
        if table:
            out.table([[_ORG_LINK.sub(r"\1", cell) for cell in row] for row in org_rows(table)])
            table = []
        if heading := _ORG_HEADING.match(line):
            out.heading(len(heading[1]), _ORG_LINK.sub(r"\1", heading[2]))
        elif keyword.startswith("#+title:"):
            title = line.strip()[8:].strip()
        elif keyword.startswith(":custom_id:"):
            out.anchor(line.strip()[11:].strip())
        elif keyword.startswith(("#+begin_src", "#+begin_example")):
            language = [*keyword.split(), ""][1] if "src" in keyword else ""
            out.code(list(_until(lines, lambda each: each.lower().startswith("#+end_"))), language)
        elif not (_ORG_SKIPPED.match(line) or _ORG_PLANNING.match(line) or keyword == "#" or keyword.startswith("# ")):
            out.line(_ORG_LINK.sub(r"\1", re.sub(r"^\s*: ", "", line)))
    return out.result(title)


def convert_subtitles(text: str) -> Converted:
    """SRT and WebVTT: the words and who says them, without numbers, times and markup.

    A line that repeats the one before is left out.
    """
    said: list[str] = []
    is_cue = False
    lines = text.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if _CUE.match(line) or not line.strip():
            is_cue = bool(line.strip())
        elif is_cue and not (line.strip().isdigit() and _CUE.match(following)):
            spoken = " ".join(html.unescape(_TAG.sub("", _VOICE.sub(r"\1: ", line))).split())
            if spoken and (not said or said[-1] != spoken):
                said.append(spoken)
    return Converted(joined_lines("\n".join(said)))


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
    out = _LineWriter()
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


def _until(lines: Iterator[str], ends: Callable[[str], bool]) -> Iterator[str]:
    for line in lines:
        if ends(line.strip()):
            return
        yield line


def _inline(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: next((part for part in match.groups() if part), ""), text)
