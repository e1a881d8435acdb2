"""Parses HTML into blocks with exact offsets, without boilerplate, by one linear scan of the tags.

The scan builds no tree, so depth costs nothing. Offsets of blocks are exact: a block starts at its first and ends after
its last visible character in the original text.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Final

from indexer.chunking.main_content import is_main_content
from indexer.chunking.markup import BLOCK, DROPPED, LinearSearch, attributes_of, match_tag
from indexer.chunking.outline import Block, Outline, OutlineBuilder, Slugger

_OPENING: Final = re.compile(r"<(?=[/!?A-Za-z])")
_SPACES: Final = re.compile(r"\s+")
_HEADING: Final = re.compile(r"h[1-6]")
_REFERENCE: Final = re.compile(r"<(?=(?:a|area|base|link|meta)[\s/])", re.IGNORECASE)
_REFERENCES: Final = frozenset({"a", "area", "base", "link", "meta"})
_PERMALINK: Final = re.compile(r"(?:\s+#|\s*[¶§🔗\u200b\uf0c1])+\s*$")
_VOID: Final = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_UNSEEN: Final = DROPPED | {"head", "select", "textarea", "button", "datalist"}
_BOILERPLATE: Final = frozenset({"nav", "footer", "aside", "header"})
_MAIN: Final = frozenset({"main", "article"})
_CELLS: Final = frozenset({"td", "th"})


@dataclass(frozen=True, slots=True)
class ScannedBlock:
    """A block of a page, with the marks that tell content from boilerplate.

    Attributes:
        level: 1 to 6 for a heading, 0 for anything else.
        boilerplate: inside navigation, header, footer or aside.
        main: inside ``<main>`` or ``<article>``.
    """

    block: Block
    level: int
    anchor: str
    boilerplate: bool
    main: bool


@dataclass(frozen=True, slots=True)
class HtmlScan:
    """The result of one scan of a page.

    Attributes:
        title: of the page, empty if it has none.
        blocks: its blocks, boilerplate included.
        source: the text with markup blanked out.
        depth: how deep the tags nest.
        references: name and raw attributes of every ``a``, ``area``, ``base``, ``link`` and ``meta`` tag.
    """

    title: str
    blocks: tuple[ScannedBlock, ...]
    source: str
    depth: int
    references: tuple[tuple[str, str], ...]


def outline_of_html(text: str) -> Outline:
    """Parse HTML, a whole page or a fragment; anchors are the ids of headings or of the sections that they open."""
    page = scan_html(text)
    outline = OutlineBuilder()
    slugger = Slugger()
    chosen = is_main_content(text, page.depth, [(i.block.text, i.boilerplate, i.main) for i in page.blocks])
    for item, keep in zip(page.blocks, chosen, strict=True):
        if keep and item.level:
            outline.open(item.level, item.block, item.anchor or slugger.slug(item.block.text))
        elif keep:
            outline.add(item.block)
    return Outline(outline.sections(), page.source)


def scan_html(text: str) -> HtmlScan:
    """Scan all of ``text``. Never fails: everything but tags is text."""
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._blocks: list[ScannedBlock] = []
        self._references: list[tuple[str, str]] = []
        self._seen: list[tuple[int, int]] = []  # spans of visible text
        self._open: dict[str, int] = {}  # how many elements of a name are open
        self._depth = self._deepest = 0
        self._search = LinearSearch(text)
        self._title = ""
        self._pieces: list[str] = []
        self._start = self._end = 0
        self._anchor = ""
        self._level = 0
        self._marker = ""
        self._tight = False

    def run(self) -> HtmlScan:
        position = 0
        while opening := _OPENING.search(self._text, position):
            self._read(position, opening.start())
            position = self._markup(opening.start())
        self._read(position, len(self._text))
        self._flush()
        return HtmlScan(self._title, tuple(self._blocks), self._blanked(), self._deepest, tuple(self._references))

    def _markup(self, start: int) -> int:
        """Handle the markup at ``start``; return where it ends."""
        if self._text.startswith("<!--", start):
            return self._skip_past("-->", start + 4)
        if self._text[start + 1] in "!?":
            return self._skip_past(">", start + 2)
        tag = match_tag(self._text, start)
        if tag is None:
            self._read(start, start + 1)
            return start + 1
        name = tag["name"].lower()
        if name == "title" and not tag["close"]:
            return self._read_title(tag.end())
        if name in _UNSEEN and not tag["close"] and name != "head":
            end = self._skip_past(f"</{name}[^>]*>", tag.end())
            inside = (match_tag(self._text, found.start()) for found in _REFERENCE.finditer(self._text, tag.end(), end))
            self._references += [(found["name"].lower(), found["attributes"]) for found in inside if found]
            return end
        if tag["close"]:
            self._leave(name)
        else:
            self._enter(name, tag["attributes"])
        return tag.end()

    def _skip_past(self, pattern: str, start: int) -> int:
        """Position after the next match; ``start`` if there is none, so that only the markup is dropped."""
        found = self._search.find(pattern, start)
        return found.end() if found else start

    def _read_title(self, start: int) -> int:
        end = self._text.find("</", start)
        if end >= 0 and not self._title:
            self._title = _SPACES.sub(" ", html.unescape(self._text[start:end])).strip()
        return max(start, end)

    def _enter(self, name: str, attributes: str) -> None:
        self._note_anchor(name, attributes)
        if name in _REFERENCES:
            self._references.append((name, attributes))
        if name in BLOCK:
            self._break(name)
        if name == "li":
            self._marker = "- "
        if name in _VOID or attributes.endswith("/"):
            return
        self._open[name] = self._open.get(name, 0) + 1
        self._depth += 1
        self._deepest = max(self._deepest, self._depth)
        if _HEADING.fullmatch(name):
            self._level = int(name[1])

    def _leave(self, name: str) -> None:
        if name in BLOCK and name not in _CELLS:
            self._break(name)
        if self._open.get(name, 0):
            self._open[name] -= 1
            self._depth -= 1
        if _HEADING.fullmatch(name):
            self._level = 0
            self._anchor = ""

    def _note_anchor(self, name: str, attributes: str) -> None:
        """Remember the nearest id before or inside a heading: the heading's own, its section's, its link's."""
        if "id" not in attributes and "name" not in attributes:
            return
        values = attributes_of(attributes)
        found = values.get("id") or (values.get("name", "") if name == "a" else "")
        if found and not (self._level and self._anchor):
            self._anchor = found

    def _break(self, name: str) -> None:
        """End the block; inside table cells, and at ``<br>``, only its line."""
        in_cell = any(self._open.get(cell) for cell in _CELLS) and not _HEADING.fullmatch(name) and name != "pre"
        if name in _CELLS and self._pieces:
            self._pieces.append(" | ")
        elif name == "br" or (in_cell and name not in ("tr", "table")):
            if self._pieces:
                self._pieces.append("\n")
        else:
            self._flush()

    def _read(self, start: int, end: int) -> None:
        raw = self._text[start:end]
        if start >= end or self._open.get("head"):
            return
        visible = raw.strip()
        if not visible:
            if self._pieces:
                self._pieces.append(raw)
            return
        first = start + len(raw) - len(raw.lstrip())
        self._seen.append((start, end))
        if not any(not piece.isspace() for piece in self._pieces):
            self._start = first
        self._end = first + len(visible)
        self._pieces.append(html.unescape(raw))

    def _flush(self) -> None:
        pieces, self._pieces = self._pieces, []
        preformatted = bool(self._open.get("pre"))
        text = "".join(pieces).strip("\r\n").rstrip() if preformatted else _collapsed("".join(pieces))
        if self._level:
            text = _PERMALINK.sub("", text.replace("\n", " "))
        if not text.strip():
            return
        in_list = bool(self._open.get("ul") or self._open.get("ol") or self._open.get("dl") or self._open.get("table"))
        block = Block(self._marker + text, self._start, self._end, lines=preformatted, tight=in_list and self._tight)
        main = any(self._open.get(name) for name in _MAIN)
        boilerplate = any(self._open.get(name) for name in _BOILERPLATE if name != "header" or not main)
        self._blocks.append(ScannedBlock(block, self._level, self._anchor if self._level else "", boilerplate, main))
        self._marker, self._tight = "", in_list
        if not self._level:
            self._anchor = ""

    def _blanked(self) -> str:
        parts: list[str] = []
        position = 0
        for start, end in self._seen:
            parts += [" " * (start - position), self._text[start:end]]
            position = end
        parts.append(" " * (len(self._text) - position))
        return "".join(parts)


def _collapsed(text: str) -> str:
    lines = (_SPACES.sub(" ", line).strip(" |") for line in text.split("\n"))
    return "\n".join(line for line in lines if line)
