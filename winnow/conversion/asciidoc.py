"""Converts AsciiDoc to canonical text, line by line."""

from __future__ import annotations

import re
from typing import Final

from winnow.conversion.converted import Converted
from winnow.conversion.line_writer import LineWriter, inline_text, until
from winnow.conversion.plain_tables import asciidoc_rows

_HEADING: Final = re.compile(r"(={1,6})\s+(\S.*)$")
_CODE: Final = re.compile(r"\[source(?:%\w+)?,\s*([\w+-]+)[^\]]*\]$")
_FENCE: Final = re.compile(r"(-{4,}|\.{4,}|`{3,})\s*$")
_INLINE: Final = re.compile(
    r"(?:link:|xref:|https?://)[^\s\[]{0,999}\[([^\]\[]{0,999})\]|<<[^,<>]{1,300},([^<>]{1,500})>>|`([^`]{1,999})`"
    r"|\*(\S[^*]{0,999})\*"
)
_ID: Final = re.compile(r"\[(?:\[|#)([\w:.-]+)[^\]]*\]{1,2}$")
_DROPPED: Final = re.compile(
    r":[\w!-]+:|//(?!/)|\[[^\]]*\]$|={4,}$|\*{4,}$|_{4,}$|'{3}$|<<<$|(?:ifdef|ifndef|ifeval|endif)::"
)
_IMAGE: Final = re.compile(r"image::?[^\s\[]{1,999}\[([^\],]*)[^\]]*\]")
_NOTE: Final = re.compile(r"footnote:[\w-]*\[([^\]]*)\]")


def convert_asciidoc(text: str) -> Converted:
    """AsciiDoc: headings with their ids, delimited code, tables; comments and attribute lines left out."""
    out = LineWriter()
    lines = iter(text.splitlines())
    language = anchor = attributes = ""
    for line in lines:
        if heading := _HEADING.match(line):
            out.heading(len(heading[1]), inline_text(_INLINE, heading[2]), anchor)
            anchor = ""
        elif fence := _FENCE.match(line):
            out.code(list(until(lines, fence[1].__eq__)), language)
            language = ""
        elif source := _CODE.match(line):
            language = source[1]
        elif found := _ID.match(line):
            anchor = found[1]
        elif line.rstrip() == "////":
            list(until(lines, "////".__eq__))
        elif line.rstrip() == "|===":
            rows = asciidoc_rows(list(until(lines, "|===".__eq__)), attributes)
            out.table([[inline_text(_INLINE, cell) for cell in cells] for cells in rows])
        elif _DROPPED.match(line):
            attributes = line
        else:
            words = _NOTE.sub(r" (\1)", _IMAGE.sub(r"\1", line))
            out.line(inline_text(_INLINE, re.sub(r"^\.(?=[^\s.])", "", words)))
    return out.result()
