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
from winnow.conversion.dialects import attributes_in, directive_of, plain, read_dialects, split_alert
from winnow.conversion.front_matter import FrontMatter, InvalidFrontMatter, as_written, find_front_matter
from winnow.conversion.mdx import FILL, mask
from winnow.conversion.rst import convert_rst
from winnow.core.marks import DocumentWarning, Mark
from winnow.core.types import JsonValue

_MAX_INLINE_CHARS: Final = 20_000  # beyond these, inline markup stays: the parser's time is not linear in brackets
_MAX_BRACKETS: Final = 1000
_SPACES: Final = re.compile(r"[ \t]{2,}")
_HEADING_ATTRIBUTES: Final = re.compile(r"\s*(\{[^{}]+\})\s*$")
_SIMPLE_ID: Final = re.compile(r"\{\s*#([^\s{}]+)\s*\}")
_STRONG: Final = re.compile(r"\*\*(?=\S)([^*\n]{1,500})\*\*")
_HEADING_LIKE: Final = re.compile(r"(?m)^(?=#{1,6}[ \t])")
_TICKS: Final = re.compile(r"`{3,}")
_ROLE_TARGET: Final = re.compile(r"\s*<[^<>]*>$")
_MAX_NESTING: Final = 100
_MAX_DIRECTIVES: Final = 20  # inside of each other
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
    reader = _Reader(_parser(body, indented_code=not has_markup))
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


def _parser(text: str, *, indented_code: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _MAX_NESTING}).enable("table").disable("inline")
    if not indented_code:  # components indent their content freely
        parser.disable("code").block.ruler.at("paragraph", _paragraph)
    read_dialects(parser, text)
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
        self._depth = 0  # of directives
        self._quotes = 0
        self._heading_at = -1, -1  # where the last heading begins, and where it ends
        self._anchor = ""  # of the next block

    def read(self, body: str) -> None:
        """Parse and write all blocks."""
        tokens = iter(self._parser.parse(body, self._env))
        for token in tokens:
            if token.type == "heading_open":
                self._heading(token, next(tokens))
            elif token.type == "table_open":
                self._table(_rows_of(tokens))
            elif token.type == "inline":
                self._paragraph(token.content)
            elif token.type == "fence" and token.info.lstrip().startswith("{"):
                self._directive(token)
            elif token.type in ("fence", "code_block"):
                self._code(token.content.replace(FILL, "").strip("\n"), token.info.strip())
            else:
                self._enter_or_leave(token)

    def _paragraph(self, content: str) -> None:
        if self._quotes and content.startswith("[!"):
            title, content = split_alert(content)
            self._add(self._render(title))
        lines = joined_lines(self._render(content)).split(_BREAK)
        self._add(_guarded("\n".join(line for each in lines if (line := each.strip()))))

    def _directive(self, token: Token) -> None:
        """A fence of MyST: Markdown under a title, or code."""
        found = directive_of(token.info.strip(), token.content)
        if found is None or self._depth >= _MAX_DIRECTIVES:
            self._code(token.content.replace(FILL, "").strip("\n"), token.info.strip())
            return
        if found.title:
            self._paragraph(found.title)
        if found.language == "eval-rst":
            self._add(convert_rst(found.body).text)
        elif found.language is not None:
            self._code(found.body.replace(FILL, "").strip("\n"), found.language)
        else:
            self._depth += 1
            self.read(found.body)
            self._depth -= 1

    def _attributes(self, anchor: str) -> None:
        """Attributes on a line of their own belong to the block above, in kramdown, or to the one below."""
        if anchor and self._heading_at[1] == len(self.writer):
            self.writer.marks.append(Mark(self._heading_at[0], "anchor", anchor))
        self._anchor = anchor

    def _enter_or_leave(self, token: Token) -> None:
        match token.type:
            case "math_block" | "math_block_label":
                self._add(" ".join(token.content.split()))
            case "grid_table":
                self._table(token.meta["rows"])
            case "attributes":
                self._attributes(token.content)
            case "blockquote_open" | "blockquote_close":
                self._quotes += token.nesting
            case "bullet_list_open":
                self._lists.append(None)
            case "ordered_list_open":
                self._lists.append(int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                self._item()

    def _item(self) -> None:
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
            anchor = anchor or self._anchor
            self.writer.heading(int(opening.tag[1]), title, marks=[("anchor", anchor)] if anchor else [])
            end = len(self.writer)
            self._heading_at = end - len(title) - int(opening.tag[1]) - 1, -1 if anchor else end
        self._anchor = ""

    def _table(self, rows: Sequence[Sequence[str]]) -> None:
        cells = [[self._render(cell).replace(_BREAK, " ") for cell in row] for row in rows]
        if any(any(row) for row in cells):
            self._add(table_of(cells))

    def _code(self, code: str, info: str) -> None:
        if code.strip():
            ticks = "`" * max([3, *(len(found) + 1 for found in _TICKS.findall(code))])
            self._add(f"{ticks}{info}\n{code}\n{ticks}")

    def _add(self, text: str) -> None:
        if text.strip():
            indent = "  " * (len(self._lists) - 1) if self._marker else ""
            tight = bool(self._lists) and (bool(self._marker) or "\n" not in text)
            self.writer.add(f"{indent}{self._marker}{text}", tight=tight)
            self._anchor = ""
        self._marker = ""

    def _render(self, content: str) -> str:
        """Readable text of inline Markdown: links become their text, images their alternative text."""
        if len(content) > _MAX_INLINE_CHARS or content.count("[") > _MAX_BRACKETS:
            text = content
        else:
            tokens: list[Token] = []
            self._parser.inline.parse(content, self._parser, self._env, tokens)
            text = "".join(self._texts(tokens))
        lines = (_SPACES.sub(" ", line).strip() for line in text.replace(FILL, "").replace("\xad", "").split("\n"))
        return "\n".join(line for line in lines if line)

    def _texts(self, tokens: Sequence[Token]) -> Iterator[str]:
        for token in tokens:
            match token.type:
                case "softbreak":
                    yield "\n"
                case "hardbreak":
                    yield _BREAK
                case "image":
                    yield from self._texts(token.children or ())
                case "text":
                    yield plain(_STRONG.sub(_strong, token.content))
                case "math_inline":
                    yield f"${token.content}$"
                case "myst_role":
                    yield _ROLE_TARGET.sub("", token.content)
                case "footnote_ref":
                    yield self._note(token)
                case _:
                    yield token.content

    def _note(self, token: Token) -> str:
        """The text of a note that is written where it belongs, ``^[text]``; others are blocks of their own."""
        content = self._env["footnotes"]["list"][token.meta["id"]].get("content")
        return f" ({self._render(content)})" if content else ""


def _rows_of(tokens: Iterator[Token]) -> list[list[str]]:
    """The cells of a table as they are written; ends behind the table."""
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(token.content)
    return rows


def _strong(match: re.Match[str]) -> str:
    """Drop ``**`` that CommonMark keeps: beside CJK punctuation it does not count as emphasis."""
    return match[0] if match[1].isascii() else match[1]


def _guarded(text: str) -> str:
    """A paragraph whose lines are not read as headings."""
    return _HEADING_LIKE.sub("\\\\", text) if "#" in text else text


def _split_custom_id(heading: str) -> tuple[str, str]:
    """Split ``Title {#custom-id .class}`` into the title and the id; the id is empty if there is none."""
    match = _HEADING_ATTRIBUTES.search(heading[-300:])
    if match is None:
        return heading, ""
    simple = _SIMPLE_ID.fullmatch(match[1])
    attributes = {"id": simple[1]} if simple else attributes_in(match[1])
    if attributes is None and match[1] not in ("{-}", "{.unnumbered}"):
        return heading, ""
    return heading[: len(heading) - len(match[0])], str((attributes or {}).get("id", ""))
