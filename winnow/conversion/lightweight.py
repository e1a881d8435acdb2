"""Converts reStructuredText, AsciiDoc, Org, subtitles and notebooks to canonical text, line by line.

Headings, code and titles are told from each other; every other line stays with its words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from winnow.conversion.converted import CanonicalWriter, Converted, joined_lines
from winnow.conversion.markdown import convert_markdown

_RST_RULE: Final = re.compile(r"([=\-~^\"'`#*+.:_<>])\1{2,}\s*$")
_RST_CODE: Final = re.compile(r"\s*\.\. (?:code-block|code|sourcecode|highlight)::\s*([\w+-]*)\s*$")
_RST_ROLE: Final = re.compile(
    r"(?<![\w:+.-]):[\w:+.-]{1,80}:`([^`<]{0,500}?)(?:\s{0,9}<[^`>]{0,999}>)?`|`([^`<]{1,500}?)\s{0,9}<[^`>]{0,999}>`_+"
    r"|``([^`]{1,999})``|\*\*?([^*\s][^*]{0,999})\*\*?"
)
_RST_MARKUP: Final = re.compile(r"\s*\.\. _[^:]*:|\s*:[\w -]+:(?:\s|$)")
_RST_DIRECTIVE: Final = re.compile(r"(\s*)\.\. [\w:.+-]+::\s*(.*)$")
_ADOC_HEADING: Final = re.compile(r"(={1,6})\s+(\S.*)$")
_ADOC_CODE: Final = re.compile(r"\[source(?:%\w+)?,\s*([\w+-]+)[^\]]*\]$")
_ADOC_FENCE: Final = re.compile(r"(-{4,}|\.{4,}|`{3,})\s*$")
_ADOC_INLINE: Final = re.compile(
    r"(?:link:|xref:|https?://)[^\s\[]{0,999}\[([^\]\[]{0,999})\]|<<[^,<>]{1,300},([^<>]{1,500})>>|`([^`]{1,999})`"
    r"|\*(\S[^*]{0,999})\*"
)
_ORG_HEADING: Final = re.compile(r"(\*{1,6})\s+(?:(?:TODO|DONE)\s+)?(\S.*?)(?:\s+:[\w@:]+:)?$")
_ORG_LINK: Final = re.compile(r"\[\[(?:[^\]\[]+\]\[)?([^\]\[]+)\]\]")
_ORG_SKIPPED: Final = re.compile(r"\s*(?:#\+|:[\w-]+:)", re.IGNORECASE)
_CUE: Final = re.compile(r"\s*(?:\d+:)?\d+:\d+[.,]\d+\s*-->")
_TAG: Final = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")


class _LineWriter:
    """Collects lines into paragraphs and code."""

    def __init__(self) -> None:
        self.writer = CanonicalWriter()
        self.first_heading = ""
        self._lines: list[str] = []

    def line(self, text: str) -> None:
        """Add a line of a paragraph; a list item opens a block of its own."""
        if not text.strip() or re.match(r"\s*(?:[-*+•]|\d+[.)]|#\.|\.{1,5}) ", text):
            self.flush()
        if text.strip():
            self._lines.append(re.sub(r"^(\s*)(?:[*+•]|\.{1,5}|#\.) ", r"\1- ", text))

    def flush(self) -> None:
        """End the paragraph."""
        if self._lines:
            is_item = self._lines[0].lstrip()[:2] == "- "
            self.writer.add(joined_lines("\n".join(self._lines)), tight=is_item)
        self._lines = []

    def heading(self, level: int, title: str) -> None:
        """Write a heading."""
        self.flush()
        self.first_heading = self.first_heading or title
        self.writer.heading(level, title)

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
        return Converted(self.writer.text(), title or self.first_heading)


def convert_rst(text: str) -> Converted:
    """reStructuredText: underlined headings, literal blocks, directives without their marks, roles as their text."""
    out = _LineWriter()
    lines = text.expandtabs().splitlines()
    levels: list[str] = []
    row = 0
    while row < len(lines):
        line = lines[row]
        is_directive = line.lstrip().startswith(".. ")
        if rule := _rst_heading(lines, row):
            if rule not in levels:
                levels.append(rule)
            out.heading(levels.index(rule) + 1, _inline(_RST_ROLE, line.strip()))
            row += 2
        elif code := _RST_CODE.match(line):
            block, row = _indented(lines, row + 1, len(line) - len(line.lstrip()))
            out.code([each for each in block if not _RST_MARKUP.match(each)], code[1])
        elif line.rstrip().endswith("::") and not is_directive:
            out.line(_inline(_RST_ROLE, line.rstrip()[:-1]))
            block, row = _indented(lines, row + 1, len(line) - len(line.lstrip()))
            out.code(block, "")
        else:
            row += 1
            directive = _RST_DIRECTIVE.match(line)
            words = directive[2] if directive else line
            if not _RST_RULE.match(words) and not _RST_MARKUP.match(words):
                out.line(_inline(_RST_ROLE, words))
    return out.result()


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
    """AsciiDoc: headings, delimited code, attribute lines left out."""
    out = _LineWriter()
    lines = iter(text.splitlines())
    language = ""
    for line in lines:
        if heading := _ADOC_HEADING.match(line):
            out.heading(len(heading[1]), _inline(_ADOC_INLINE, heading[2]))
        elif fence := _ADOC_FENCE.match(line):
            out.code(list(_until(lines, fence[1].__eq__)), language)
            language = ""
        elif source := _ADOC_CODE.match(line):
            language = source[1]
        elif not re.match(r":[\w!-]+:|//|\[[^\]]*\]$|={4,}$|\*{4,}$|_{4,}$|\|={3,}$", line):
            out.line(_inline(_ADOC_INLINE, line.removeprefix("|")))
    return out.result()


def convert_org(text: str) -> Converted:
    """Org: headlines without their keywords and tags, blocks of code, ``#+TITLE``."""
    out = _LineWriter()
    title = ""
    lines = iter(text.splitlines())
    for line in lines:
        keyword = line.strip().lower()
        if heading := _ORG_HEADING.match(line):
            out.heading(len(heading[1]), _ORG_LINK.sub(r"\1", heading[2]))
        elif keyword.startswith("#+title:"):
            title = line.strip()[8:].strip()
        elif keyword.startswith(("#+begin_src", "#+begin_example")):
            language = [*keyword.split(), ""][1] if "src" in keyword else ""
            out.code(list(_until(lines, lambda each: each.lower().startswith("#+end_"))), language)
        elif not _ORG_SKIPPED.match(line):
            out.line(_ORG_LINK.sub(r"\1", line))
    return out.result(title)


def convert_subtitles(text: str) -> Converted:
    """SRT and WebVTT: the words, without numbers, times and markup; a line that repeats the one before is left out."""
    said: list[str] = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        lines = block.strip().split("\n")
        at = next((i for i, line in enumerate(lines) if _CUE.match(line)), None)
        for line in lines[at + 1 :] if at is not None else ():
            spoken = " ".join(_TAG.sub("", line).split())
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
    if not isinstance(book, dict) or not isinstance(cells := book.get("cells"), list):
        raise ValueError("a notebook is a JSON object with cells")  # noqa: TRY004 - the file is wrong, not the call
    language = str(((book.get("metadata") or {}).get("language_info") or {}).get("name") or "")
    out = _LineWriter()
    for cell in cells:
        source = _joined(cell.get("source"))
        if cell.get("cell_type") == "code":
            out.code(source.split("\n"), language)
            for output in cell.get("outputs") or ():
                out.code(_joined(output.get("text") or (output.get("data") or {}).get("text/plain")).split("\n"), "")
        elif source.strip():
            found = convert_markdown(source)
            out.first_heading = out.first_heading or found.title
            if found.text:
                out.writer.add(found.text)
    return out.result()


def _joined(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _until(lines: Iterator[str], ends: Callable[[str], bool]) -> Iterator[str]:
    for line in lines:
        if ends(line.strip()):
            return
        yield line


def _inline(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: next((part for part in match.groups() if part), ""), text)
