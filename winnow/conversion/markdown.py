"""Converts Markdown and MDX to canonical text with markdown-it (CommonMark with tables)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

from winnow.conversion.converted import CanonicalWriter, Converted, joined_lines, table_of
from winnow.conversion.front_matter import FrontMatter, InvalidFrontMatter, as_written, find_front_matter
from winnow.conversion.mdx import FILL, mask
from winnow.core.marks import DocumentWarning
from winnow.core.types import JsonValue

_MAX_INLINE_CHARS: Final = 20_000  # beyond these, inline markup stays: the parser's time is not linear in brackets
_MAX_BRACKETS: Final = 1000
_SPACES: Final = re.compile(r"[ \t]{2,}")
_CUSTOM_ID: Final = re.compile(r"\s*\{\s*#([^\s{}]+)\s*\}\s*$")
_STRONG: Final = re.compile(r"\*\*(?=\S)([^*\n]{1,500})\*\*")
_HEADING_LIKE: Final = re.compile(r"(?m)^(?=#{1,6}[ \t])")
_TICKS: Final = re.compile(r"`{3,}")
_MAX_NESTING: Final = 100
_BREAK: Final = "\ufdd1"  # a hard line break, while lines are joined: a noncharacter


def convert_markdown(text: str, *, mdx: bool = False) -> Converted:
    """Convert Markdown; with ``mdx`` also expressions in braces and JavaScript are taken out.

    Front matter gives the title and metadata; its description opens the text. Of front matter that is invalid the lines
    of one key and one value are read, with a warning.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    warnings: tuple[DocumentWarning, ...] = ()
    try:
        matter = find_front_matter(text)
    except InvalidFrontMatter as error:
        matter = FrontMatter(error.values, _end_of(text))
        left_out = "only its plain lines were read" if error.values else "it was left out"
        warnings = (DocumentWarning("invalid_front_matter", f"the front matter is invalid, {left_out}: {error}"),)
    body, has_markup = mask(text, matter.end if matter else 0, mdx=mdx)
    reader = _Reader(_parser(indented_code=not has_markup))
    values = matter.values if matter else {}
    if isinstance(description := values.get("description"), str) and description.strip():
        reader.writer.add(_guarded(" ".join(description.split())))
    reader.read(body)
    title = as_written(values.get("title"))
    named = "" if title is None else json.dumps(title) if isinstance(title, bool) else str(title).strip()
    return Converted(
        reader.writer.text(), named or reader.first_heading, _metadata(values), tuple(reader.writer.marks), warnings
    )


def _end_of(text: str) -> int:
    """Where front matter that cannot be parsed ends."""
    closing = re.compile(rf"^{re.escape(text[:3])}[ \t]*\n?", re.MULTILINE).search(text, 3)
    return closing.end() if closing else 0


def _metadata(values: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Scalars, and lists of scalars, without the title."""
    metadata: dict[str, JsonValue] = {}
    for key, value in values.items():
        items = [as_written(item) for item in value] if isinstance(value, list) else as_written(value)
        if key != "title" and items is not None and not (isinstance(items, list) and None in items):
            metadata[key] = items
    return metadata


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

    def __init__(self, parser: MarkdownIt) -> None:
        self.writer = CanonicalWriter()
        self.first_heading = ""
        self._parser = parser
        self._env: MutableMapping[str, Any] = {}
        self._lists: list[int | None] = []  # the next number of each open list, None for bullets
        self._marker = ""

    def read(self, body: str) -> None:
        """Parse and write all blocks."""
        tokens = iter(self._parser.parse(body, self._env))
        for token in tokens:
            if token.type == "heading_open":
                self._heading(token, next(tokens))
            elif token.type == "table_open":
                self._table(tokens)
            elif token.type == "inline":
                lines = joined_lines(self._render(token.content)).split(_BREAK)
                self._add(_guarded("\n".join(line for each in lines if (line := each.strip()))))
            elif token.type in ("fence", "code_block"):
                self._code(token.content.replace(FILL, "").strip("\n"), token.info.strip())
            else:
                self._enter_or_leave(token)

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
        title = " ".join(self._render(content).replace(_BREAK, " ").split())
        if title:
            self._marker = ""
            self.first_heading = self.first_heading or title
            self.writer.heading(int(opening.tag[1]), title, marks=[("anchor", anchor)] if anchor else [])

    def _table(self, tokens: Iterator[Token]) -> None:
        rows: list[list[str]] = []
        for token in tokens:
            if token.type == "table_close":
                break
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append(self._render(token.content).replace(_BREAK, " "))
        if any(any(row) for row in rows):
            self._add(table_of(rows))

    def _code(self, code: str, info: str) -> None:
        if code.strip():
            ticks = "`" * max([3, *(len(found) + 1 for found in _TICKS.findall(code))])
            self._add(f"{ticks}{info}\n{code}\n{ticks}")

    def _add(self, text: str) -> None:
        if text.strip():
            indent = "  " * (len(self._lists) - 1) if self._marker else ""
            tight = bool(self._lists) and (bool(self._marker) or "\n" not in text)
            self.writer.add(f"{indent}{self._marker}{text}", tight=tight)
        self._marker = ""

    def _render(self, content: str) -> str:
        """Readable text of inline Markdown: links become their text, images their alternative text."""
        if len(content) > _MAX_INLINE_CHARS or content.count("[") > _MAX_BRACKETS:
            text = content
        else:
            tokens: list[Token] = []
            self._parser.inline.parse(content, self._parser, self._env, tokens)
            text = "".join(_texts(tokens))
        lines = (_SPACES.sub(" ", line).strip() for line in text.replace(FILL, "").replace("\xad", "").split("\n"))
        return "\n".join(line for line in lines if line)


def _texts(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            yield "\n" if token.type == "softbreak" else _BREAK
        elif token.type == "image":
            yield from _texts(token.children or ())
        elif token.type == "text":
            yield _STRONG.sub(_strong, token.content)
        else:
            yield token.content


def _strong(match: re.Match[str]) -> str:
    """Drop ``**`` that CommonMark keeps: beside CJK punctuation it does not count as emphasis."""
    return match[0] if match[1].isascii() else match[1]


def _guarded(text: str) -> str:
    """A paragraph whose lines are not read as headings."""
    return _HEADING_LIKE.sub("\\\\", text) if "#" in text else text


def _split_custom_id(heading: str) -> tuple[str, str]:
    """Split ``Title {#custom-id}`` into the title and the id; the id is empty if there is none."""
    match = _CUSTOM_ID.search(heading[-200:])
    if match is None:
        return heading, ""
    return heading[: len(heading) - len(match[0])], match[1]
