"""Parses Markdown and MDX with markdown-it (CommonMark with tables), after other markup is blanked out.

Offsets of blocks are exact to the line: a block starts at the first and ends after the last visible character of the
lines that it was made of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

from indexer.chunking.front_matter import InvalidFrontMatter, find_front_matter, read_front_matter
from indexer.chunking.mdx import FILL, mask
from indexer.chunking.outline import Block, Outline, OutlineBuilder, Section, Slugger, trim_span

_MAX_INLINE_CHARS: Final = 20_000  # beyond these, inline markup stays: the parser's time is not linear in brackets
_MAX_BRACKETS: Final = 1000
_LINE_END: Final = re.compile(r"\r\n?|\n")
_SPACES: Final = re.compile(r"[ \t]{2,}")
_CUSTOM_ID: Final = re.compile(r"\s*\{\s*#([^\s{}]+)\s*\}\s*$")
_STRONG: Final = re.compile(r"\*\*(?=\S)([^*\n]{1,500})\*\*")
_MAX_NESTING: Final = 100


def outline_of_markdown(text: str) -> Outline:
    """Parse Markdown or MDX. Front matter is left out except its description, which opens the first section."""
    matter = find_front_matter(text)
    masked, has_markup = mask(text, matter.end() if matter else 0)
    reader = _Reader(masked, _parser(indented_code=not has_markup))
    if matter:
        reader.add_description(matter)
    return Outline(reader.read(), masked)


def _parser(*, indented_code: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _MAX_NESTING}).enable("table").disable("inline")
    if not indented_code:  # components indent their content freely
        parser.disable("code").block.ruler.at("paragraph", _paragraph)
    return parser


def _paragraph(state: StateBlock, first: int, last: int, silent: bool) -> bool:  # noqa: ARG001 - a rule's shape
    """CommonMark's paragraph, but a line indented by four or more may open another block, as in MDX."""
    last = state.lineMax
    outer, state.parentType = state.parentType, "paragraph"
    rules = state.md.block.ruler.getRules("paragraph")
    line = first + 1
    while line < last and not state.isEmpty(line):
        if state.sCount[line] >= 0 and any(rule(state, line, last, True) for rule in rules):
            break
        line += 1
    content = state.getLines(first, line, state.blkIndent, False).strip()
    state.line = line
    state.push("paragraph_open", "p", 1)
    token = state.push("inline", "", 0)
    token.content, token.map, token.children = content, [first, line], []
    state.push("paragraph_close", "p", -1)
    state.parentType = outer
    return True


class _Reader:
    """Walks markdown-it's flat list of tokens."""

    def __init__(self, masked: str, parser: MarkdownIt) -> None:
        self._masked = masked
        self._parser = parser
        self._env: MutableMapping[str, Any] = {}
        self._lines = [0, *(match.end() for match in _LINE_END.finditer(masked)), len(masked)]
        self._outline = OutlineBuilder()
        self._slugger = Slugger()
        self._lists: list[int | None] = []  # the next number of each open list, None for bullets
        self._marker = ""
        self._in_list = False  # whether the last block was in a list

    def read(self) -> tuple[Section, ...]:
        """Parse and collect the sections."""
        tokens = iter(self._parser.parse(self._masked, self._env))
        for token in tokens:
            if token.type == "heading_open":
                self._heading(token, next(tokens))
            elif token.type == "table_open":
                self._table(token, tokens)
            elif token.type == "inline":
                self._add(self._render(token.content), token)
            elif token.type in ("fence", "code_block"):
                self._add(token.content.replace(FILL, "").strip("\n"), token, lines=True)
            else:
                self._enter_or_leave(token)
        return self._outline.sections()

    def add_description(self, matter: re.Match[str]) -> None:
        """Add the front matter's description if the text contains it literally."""
        try:
            description = read_front_matter(matter[1]).get("description")
        except InvalidFrontMatter:
            return  # the source reports it; the body can be parsed all the same
        if isinstance(description, str) and description.strip():
            start = matter.string.find(description, 0, matter.end())
            if start >= 0:
                self._outline.add(Block(description, start, start + len(description)))

    def _enter_or_leave(self, token: Token) -> None:
        if token.type == "bullet_list_open":
            self._lists.append(None)
        elif token.type == "ordered_list_open":
            self._lists.append(int(token.attrs.get("start", 1)))
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            self._lists.pop()
        elif token.type == "list_item_open":
            number = self._lists[-1]
            self._marker = "- " if number is None else f"{number}. "
            if number is not None:
                self._lists[-1] = number + 1

    def _heading(self, opening: Token, inline: Token) -> None:
        content, anchor = _split_custom_id(inline.content)
        title = " ".join(self._render(content).split())
        if title:
            self._marker = ""
            self._in_list = False
            slug = self._slugger.slug(title)
            self._outline.open(int(opening.tag[1]), Block(title, *self._span(opening)), anchor or slug)

    def _table(self, opening: Token, tokens: Iterator[Token]) -> None:
        rows: list[list[str]] = []
        for token in tokens:
            if token.type == "table_close":
                break
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append(" ".join(self._render(token.content).split()))
        lines = (" | ".join(row).strip() for row in rows if any(row))
        self._add("\n".join(lines), opening, lines=True)

    def _add(self, text: str, token: Token, *, lines: bool = False) -> None:
        if not text.strip():
            return
        in_list = bool(self._lists)
        self._outline.add(Block(self._marker + text, *self._span(token), lines=lines, tight=in_list and self._in_list))
        self._marker = ""
        self._in_list = in_list

    def _span(self, token: Token) -> tuple[int, int]:
        first, last = token.map or (0, 0)
        start, end = trim_span(self._masked, self._lines[first], self._lines[min(last, len(self._lines) - 1)])
        return start, max(end, min(start + 1, len(self._masked)))

    def _render(self, content: str) -> str:
        """Readable text of inline Markdown: links become their text, images their alternative text."""
        if len(content) > _MAX_INLINE_CHARS or content.count("[") > _MAX_BRACKETS:
            text = content
        else:
            tokens: list[Token] = []
            self._parser.inline.parse(content, self._parser, self._env, tokens)
            text = "".join(_texts(tokens))
        lines = (_SPACES.sub(" ", line).strip() for line in text.replace(FILL, "").split("\n"))
        return "\n".join(line for line in lines if line)


def _texts(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            yield "\n"
        elif token.type == "image":
            yield from _texts(token.children or ())
        elif token.type == "text":
            yield _STRONG.sub(_strong, token.content)
        else:
            yield token.content


def _strong(match: re.Match[str]) -> str:
    """Drop ``**`` that CommonMark keeps: beside CJK punctuation it does not count as emphasis."""
    return match[0] if match[1].isascii() else match[1]


def _split_custom_id(heading: str) -> tuple[str, str]:
    """Split ``Title {#custom-id}`` into the title and the id; the id is empty if there is none."""
    match = _CUSTOM_ID.search(heading[-200:])
    if match is None:
        return heading, ""
    return heading[: len(heading) - len(match[0])], match[1]
