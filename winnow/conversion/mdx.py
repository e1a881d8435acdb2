"""Blanks out markup that is not Markdown: HTML, JSX components, imports, expressions, comments, tags of templates.

Markup is replaced character for character, so that indentation and lines stay; tables of HTML become Markdown. The
content of components stays, and so do attributes that a reader sees (``title``, ``alt``, a parameter's name). Code,
fenced or inline, is unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import Final

from winnow.conversion.markup import ATTRIBUTE, BRACES, DROPPED, INLINE, KNOWN, LinearSearch, match_tag
from winnow.conversion.shortcodes import shortcode_at

FILL: Final = "\ufdd0"  # replaces an inline tag: a noncharacter, neither space nor punctuation to Markdown

_SHOWN: Final = frozenset("title description label alt caption tip summary path body query header name heading".split())
_SHOWN_HTML: Final = frozenset({"alt", "summary"})
_INLINE_COMPONENTS: Final = frozenset({"Tooltip", "Icon", "Badge"})
_WINDOW: Final = 5000

_MARK: Final = re.compile(
    r"""(?P<fence>^[ \t]*+(?:>[ \t]?)*+(?:(?:[-*+]|\d{1,9}[.)])[ \t]++)*+(?P<ticks>`{3,}+|~{3,}+)(?P<info>[^\n]*+))
    |(?P<code>`++)|(?P<escape>\\[^\w\s])|(?P<comment><!--|\{/\*)|(?P<tag><(?=[/A-Za-z]))|(?P<fragment></?>)
    |(?P<brace>\{)|(?P<module>^(?:import|export)[ \t{])""",
    re.VERBOSE | re.MULTILINE,
)
_MODULE: Final = re.compile(
    r"""import\s[^;'"]{0,2000}?from\s*['"][^'"\n]+['"];?|import\s*['"][^'"\n]+['"];?"""
    rf"""|export\s+(?:(?=\{{)|(?:const|let|var|function|async|default|class)\b)"""
    rf"""(?:{BRACES}|[^\n]|\n(?![ \t]*\r?\n))*+"""
)
_EXPRESSION: Final = re.compile(BRACES)
_LITERAL: Final = re.compile(r"""\{\s*(?:"(?P<a>[^"\n]*)"|'(?P<b>[^'\n]*)'|`(?P<c>[^`]*)`)\s*\}""")
_HEADING_ID: Final = re.compile(r"\{\s*#[^\s{}]+\s*\}[ \t]*$", re.MULTILINE)
_NOT_LINE_END: Final = re.compile(r"[^\r\n]")
_BLANK_LINE: Final = re.compile(r"\n[ \t]*\r?\n")
_HEADING_TAG: Final = re.compile(r"<h[1-6][\s>]")
_HEADING_CLOSED: Final = re.compile(r"[^\n]*?</h[1-6]>")
_CLOSING: Final = re.compile(r"</([^\s<>/]++)>")
_BLOCKS_IN_CELLS: Final = re.compile(
    r"\n[ \t]*\r?\n|^[ \t]*(?:```|~~~)|<table[\s>].*<table[\s>]", re.MULTILINE | re.DOTALL
)
_VARIABLE: Final = re.compile(r"\{\{[^{}\n]{1,200}\}\}")
_NEXT_CELL: Final = re.compile(r"[ \t]*<t[dh][\s>]")


def mask(text: str, start: int = 0, *, mdx: bool) -> tuple[str, bool]:
    """Blank out all markup after ``start``; return the text from there on, and whether it had markup.

    Only with ``mdx`` are expressions in braces, fragments and modules markup: elsewhere they are text.
    """
    return _Masker(text, start, mdx=mdx).run()


class _Masker:
    def __init__(self, text: str, start: int, *, mdx: bool) -> None:
        self._text = text
        self._start = start
        self._mdx = mdx
        self._edits: list[tuple[int, int, str]] = []  # start, end, replacement
        self._search = LinearSearch(text)
        self._has_tags = mdx
        self._handlers: dict[str | None, Callable[[re.Match[str]], int]] = {
            "fence": self._fence,
            "code": lambda mark: self._code_span(mark.start(), mark["code"]),
            "comment": self._comment,
            "tag": self._tag,
            "fragment": lambda mark: self._blank_out(*mark.span()) if self._mdx else mark.end(),
            "brace": self._brace,
            "module": self._module,
            "escape": re.Match.end,
        }

    def run(self) -> tuple[str, bool]:
        position = self._start
        while mark := _MARK.search(self._text, position):
            position = self._handlers[mark.lastgroup](mark)
        parts: list[str] = []
        position = self._start
        for start, end, replacement in self._edits:
            parts += [self._text[position:start], replacement]
            position = end
        return "".join([*parts, self._text[position:]]), self._has_tags

    def _blank_out(self, start: int, end: int) -> int:
        self._edits.append((start, end, _blank(self._text[start:end])))
        return end

    def _fence(self, mark: re.Match[str]) -> int:
        ticks = mark["ticks"]
        if ticks[0] == "`" and "`" in mark["info"]:
            return self._code_span(mark.start("ticks"), ticks)
        closing = self._search.find(rf"^[ \t>]*{ticks[0]}{{{len(ticks)},}}[ \t]*\r?$", mark.end())
        return closing.end() if closing else len(self._text)

    def _code_span(self, start: int, ticks: str) -> int:
        begin = start + len(ticks)
        closing = self._search.find(rf"(?<!`)`{{{len(ticks)}}}(?!`)", begin, begin + _WINDOW)
        if closing is None or _BLANK_LINE.search(self._text, begin, closing.start()):
            return begin
        return closing.end()

    def _comment(self, mark: re.Match[str]) -> int:
        html = mark["comment"] == "<!--"
        closing = self._search.find("-->" if html else r"\*/\s*\}", mark.end())
        return self._blank_out(mark.start(), closing.end()) if closing else mark.end()

    def _module(self, mark: re.Match[str]) -> int:
        statement = _MODULE.match(self._text, mark.start()) if self._mdx else None
        if statement is None:
            return mark.end() - 1
        return self._blank_out(mark.start(), statement.end())

    def _brace(self, mark: re.Match[str]) -> int:
        start = mark.start()
        if not self._mdx:
            return self._shortcode(start)
        if heading_id := _HEADING_ID.match(self._text, start):
            return heading_id.end()
        expression = _EXPRESSION.match(self._text, start)
        if expression is None:
            return mark.end()
        literal = _LITERAL.fullmatch(expression[0])
        if literal is None:
            return self._blank_out(start, expression.end())
        begin, end = literal.span(literal.lastgroup or 0)
        kept = " " * begin + expression[0][begin:end]
        self._edits.append((start, expression.end(), kept.ljust(len(expression[0]))))
        return expression.end()

    def _shortcode(self, start: int) -> int:
        found = shortcode_at(self._text, start, self._search)
        if found is None:
            variable = _VARIABLE.match(self._text, start) if self._text[start - 2 : start] == "](" else None
            return self._blank_out(start, variable.end()) if variable else start + 1
        self._edits.append((start, found.end, found.text))
        return found.end

    def _table(self, start: int, end: int) -> int:
        """A table whose cells hold no blocks of Markdown, as a table of Markdown; returns 0 for others."""
        closing = self._search.find(r"</table\s*>", end)
        fragment = self._text[start : closing.end()] if closing else ""
        if not fragment or self._mdx or _BLOCKS_IN_CELLS.search(fragment):
            return 0
        from winnow.conversion.html import convert_html  # noqa: PLC0415 - its libraries are loaded where there is HTML

        self._edits.append((start, start + len(fragment), f"\n\n{convert_html(fragment, whole=True).text}\n\n"))
        return start + len(fragment)

    def _tag(self, mark: re.Match[str]) -> int:
        tag = match_tag(self._text, mark.start())
        if tag is None or not self._is_markup(tag):
            return mark.end()
        name, end = tag["name"], tag.end()
        self._has_tags = True
        if name == "table" and not tag["close"] and (behind := self._table(mark.start(), end)):
            return behind
        if name in DROPPED and not tag["close"] and not tag["attributes"].rstrip().endswith("/"):
            closing = self._search.find(rf"</{name}\s*>", end)
            return self._blank_out(mark.start(), closing.end() if closing else end)
        self._edits.append((mark.start(), end, self._replacement(tag)))
        return end

    def _is_markup(self, tag: re.Match[str]) -> bool:
        """Placeholders such as ``<your-key>``, ``<API_KEY>`` and, outside of MDX, ``List<User>`` are text."""
        name = tag["name"]
        if not name[0].isupper():
            return name.lower() in KNOWN
        if "_" in name or "-" in name or (len(name) > 1 and name.isupper()):
            return False
        return self._mdx or bool(tag["close"]) or tag[0].endswith("/>") or name in self._closed

    @cached_property
    def _closed(self) -> frozenset[str]:
        """The names of all closing tags."""
        return frozenset(_CLOSING.findall(self._text))

    def _replacement(self, tag: re.Match[str]) -> str:
        """The replacement of a tag: the attributes that a reader sees, a heading's marks, or nothing."""
        text, name = tag[0], tag["name"]
        visible = _SHOWN if name[0].isupper() else _SHOWN_HTML
        if not tag["close"] and (kept := _visible_attributes(text, visible)):
            return kept
        line_start = self._text.rfind("\n", max(0, tag.start() - 200), tag.start()) + 1
        leading = not self._text[line_start : tag.start()].strip()
        if leading and _HEADING_TAG.match(tag[0]) and _HEADING_CLOSED.match(self._text, tag.end()):
            return ("#" * int(name[1])).ljust(len(text))
        if tag["close"] and name in ("td", "th") and _NEXT_CELL.match(self._text, tag.end()):
            return " |".ljust(len(text))
        in_sentence = name in INLINE or name in _INLINE_COMPONENTS or (name[0].isupper() and not text.endswith("/>"))
        if in_sentence and not leading:
            return _NOT_LINE_END.sub(FILL, text)
        return _blank(text)


def _visible_attributes(tag: str, names: frozenset[str]) -> str:
    """``tag`` with everything blanked but the values of the attributes ``names``; empty if it has none of them."""
    kept = list(_blank(tag))
    found = False
    for match in ATTRIBUTE.finditer(tag):
        if match["name"] in names and match.lastgroup not in ("bare", None):
            begin, end = match.span(match.lastgroup or 0)
            kept[begin:end] = tag[begin:end]
            found = True
    return "".join(kept) if found else ""


def _blank(text: str) -> str:
    return _NOT_LINE_END.sub(" ", text)
