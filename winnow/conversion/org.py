"""Converts Org to canonical text, line by line."""

from __future__ import annotations

import re
from typing import Final

from winnow.conversion.converted import Converted
from winnow.conversion.line_writer import LineWriter, until
from winnow.conversion.plain_tables import org_rows

_HEADING: Final = re.compile(r"(\*{1,6})\s+(?:(?:TODO|DONE)\s+)?(?:\[#\w\]\s+)?(\S.*?)(?:\s+:[\w@:]+:)?$")
_LINK: Final = re.compile(r"\[\[(?:[^\]\[]+\]\[)?([^\]\[]+)\]\]")
_SKIPPED: Final = re.compile(r"\s*(?:#\+|:[\w-]+:)", re.IGNORECASE)
_PLANNING: Final = re.compile(r"\s*(?:SCHEDULED|DEADLINE|CLOSED|CLOCK):")


def convert_org(text: str) -> Converted:
    """Org: headlines with their ids, blocks of code, tables, ``#+TITLE``; comments, plans and tags are left out."""
    out = LineWriter()
    title = ""
    lines = iter([*text.splitlines(), ""])
    table: list[str] = []
    for line in lines:
        keyword = line.strip().lower()
        if keyword.startswith("|"):
            table.append(line)
            continue
        if table:
            out.table([[_LINK.sub(r"\1", cell) for cell in row] for row in org_rows(table)])
            table = []
        if heading := _HEADING.match(line):
            out.heading(len(heading[1]), _LINK.sub(r"\1", heading[2]))
        elif keyword.startswith("#+title:"):
            title = line.strip()[8:].strip()
        elif keyword.startswith(":custom_id:"):
            out.anchor(line.strip()[11:].strip())
        elif keyword.startswith(("#+begin_src", "#+begin_example")):
            language = [*keyword.split(), ""][1] if "src" in keyword else ""
            out.code(list(until(lines, lambda each: each.lower().startswith("#+end_"))), language)
        elif not (_SKIPPED.match(line) or _PLANNING.match(line) or keyword == "#" or keyword.startswith("# ")):
            out.line(_LINK.sub(r"\1", re.sub(r"^\s*: ", "", line)))
    return out.result(title)
