"""Reads the dialects of Markdown: of MkDocs, Docusaurus, VitePress, MyST, Pandoc, Quarto, Obsidian, GitHub.

``DIALECTS`` lists their marks with what reads each, a plug-in of markdown-it or a rule of this module, which is added
to a parser only where the text has the mark. The words stay, the marks go, and code is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from mdit_py_plugins.attrs import attrs_plugin
from mdit_py_plugins.attrs.parse import ParseError
from mdit_py_plugins.attrs.parse import parse as parse_attributes
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

from winnow.conversion.plain_tables import grid_rows
from winnow.conversion.rst import SHOWN_OPTIONS

_ALT: Final[RuleOptionsType] = {"alt": ["paragraph", "reference", "blockquote", "list", "footnote_def"]}
_ADMONITIONS: Final = frozenset(
    """note tip info warning danger caution important attention error hint seealso todo success question failure bug
    example quote abstract admonition""".split()
)
_PROSE: Final = _ADMONITIONS | frozenset(
    """versionadded versionchanged deprecated dropdown details card card-carousel grid grid-item grid-item-card tab-set
    tab-item figure margin sidebar topic epigraph pull-quote highlights rubric table list-table div container glossary
    exercise solution definition theorem proof aside""".split()
)
_FILES: Final = frozenset("toctree contents bibliography include literalinclude image".split())
_CODE: Final = frozenset("code code-block code-cell sourcecode parsed-literal raw".split())

_INDENTED: Final = re.compile(
    r"(?:(?:!!!|\?\?\?\+?)[ \t]*(\w[^\"'\n]*)|===[+!]?[ \t]+(?=[\"']))(?:\"(.*)\"|'(.*)')?[ \t]*$"
)
_PLACES: Final = frozenset({"inline", "end", "annotate"})  # words beside the kind of an admonition that place it
_FENCE_LINE: Final = re.compile(r":{3,}[ \t]*(.*?)[ \t]*:*$")
_DIRECTIVE: Final = re.compile(r"\{([\w:.+-]+)(?:[ ,][^{}]*)?\}[ \t]*(.*)$")
_OPTION: Final = re.compile(r":([\w-]+):[ \t]*(.*)$")
_TITLE: Final = re.compile(r"\b(?:title|alt-text|caption|summary)=(?:\"([^\"]*)\"|'([^']*)')")
_BRACKETED: Final = re.compile(r"([\w-]+)[ \t]*\[(.*)\]")
_NAMED: Final = re.compile(r"([\w-]+)(?:[ \t]+([^{}=]*?))?(?:[ \t]*\{.*\})?$")
_ATTRIBUTES: Final = re.compile(r"\{[:%]?[ \t]*([#.\w][^{}\n]{0,300}?)[ \t]*%?\}")
_SINGLE_QUOTED: Final = re.compile(r"='([^'\"]*)'")
_DOUBLE_QUOTED: Final = r'="\1"'
_WIKI: Final = re.compile(r"(!?)\[\[(?=\S)([^\[\]|\n]{1,300})(?:\|([^\[\]\n]{1,300}))?\]\]")
_PAGE_NAME: Final = re.compile(r"(?=.*[-/.#:])[\w./#:-]+$")
_MEDIA: Final = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|avif|pdf|mp[34]|mov|webm|canvas)$", re.IGNORECASE)
_HIGHLIGHTED: Final = re.compile(r"(?<![\w=])==(?=[^\s=])([^=\n]{0,500}[^\s=])==(?![\w=])")
_RAISED: Final = re.compile(r"(?<=\w)([~^])([\w+-]{1,10})\1(?!\1)")
_ICON: Final = re.compile(r":(?:material|fontawesome|octicons|simple)-[\w-]{1,80}:(?:\{[ \t]*[.#][^{}\n]{0,200}\})?")
_ALERT: Final = re.compile(r"\[!([A-Za-z]+)\][-+]?[ \t]*(.*)(?:\n|$)")
_GRID: Final = re.compile(r"\+(?:[-=:]{2,}\+)+[ \t]*$")

_LINES: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = (
    (_FENCE_LINE, lambda found: container_title(found[1])),
    (re.compile(r"/{3,}[ \t]*(?:[\w-]+[ \t]*(?:\|[ \t]*(.*))?)?$"), lambda found: found[1] or ""),
    (re.compile(r"(?i)\[\[?_?toc_?\]\]?$|\{:[ \t]*toc[^{}]*\}$"), lambda _: ""),
    (re.compile(r"-+8<-+(?:[ \t].*)?$|\{!.*!\}$|\\(?:newpage|pagebreak|clearpage)$|\+{3}$"), lambda _: ""),
    (re.compile(r"\([\w:./-]+\)=$"), lambda _: ""),
    (re.compile(r"\*\[([^\]\n]+)\]:[ \t]*(.*)$"), lambda found: f"{found[1]}: {found[2]}"),
)
"""Lines that are a mark of their own, and the words in them that a reader sees."""
_OPENING: Final = frozenset(":/[{-\\+(*")  # the first characters of such lines, and of attributes


class Directive(NamedTuple):
    """A fence of MyST or R Markdown: the title above it, its language (``None``: its body is Markdown), its body."""

    title: str
    language: str | None
    body: str


def read_dialects(parser: MarkdownIt, text: str) -> None:
    """Add the rules of every dialect that the text has marks of to its parser."""
    for marks, add in DIALECTS:
        if any(mark in text for mark in marks):
            add(parser)


def attributes_in(text: str) -> Mapping[str, Any] | None:
    """The attributes in braces, ``{#id .class key=value}`` or ``{: .class}``; ``None`` for other braces."""
    found = _ATTRIBUTES.fullmatch(text)
    if found is None:
        return None
    try:
        end, attributes = parse_attributes(f"{{{_SINGLE_QUOTED.sub(_DOUBLE_QUOTED, found[1])}}}")
    except ParseError:
        return None
    return attributes if end == len(found[1]) + 1 else None


def plain(text: str) -> str:
    """A piece of text without marks of highlights, of what is raised or lowered, and names of icons."""
    text = _HIGHLIGHTED.sub(r"\1", text) if "==" in text else text
    text = _RAISED.sub(r"\2", text) if "~" in text or "^" in text else text
    return _ICON.sub("", text) if ":" in text else text


def split_alert(content: str) -> tuple[str, str]:
    """The title of an alert (``[!NOTE]``) that a quote begins with, or empty, and the rest of the paragraph."""
    found = _ALERT.match(content)
    return (found[2] or found[1].title(), content[found.end() :]) if found else ("", content)


def container_title(info: str) -> str:
    """The words that a reader sees in the opening line of a container; of an admonition without a title its kind."""
    if found := _TITLE.search(info):
        return found[1] or found[2] or ""
    if found := _DIRECTIVE.match(info) or _BRACKETED.match(info) or _NAMED.match(info):
        kind, title = found[1], (found[2] or "").strip()
        return title or (kind.title() if kind.lower() in _ADMONITIONS else "")
    return ""


def directive_of(info: str, content: str) -> Directive | None:
    """What a fence means whose language is in braces; ``None`` for any other fence."""
    found = _DIRECTIVE.match(info)
    if found is None:
        return None
    name, argument = found[1].lstrip("."), found[2]
    lines = content.split("\n")
    options: dict[str, str] = {}
    while lines and name in _PROSE | _FILES | _CODE and (option := _OPTION.match(lines[0].strip())):
        options[option[1]] = option[2]
        del lines[0]
    title = " ".join(value for key, value in options.items() if key in SHOWN_OPTIONS and value)
    if name in _FILES:
        return Directive(title, None, "")
    if name not in _PROSE:
        is_code = name in _CODE
        return Directive(title if is_code else "", argument if is_code else name, "\n".join(lines))
    shown = "" if name == "figure" else argument
    title = " ".join(filter(None, (shown or (name.title() if name in _ADMONITIONS else ""), title)))
    return Directive(title, None, "\n".join(lines))


def _push_paragraph(state: StateBlock, words: str, line: int) -> None:
    if words.strip():
        state.push("paragraph_open", "p", 1)
        token = state.push("inline", "", 0)
        token.content, token.map, token.children = words.strip(), [line, line + 1], []
        state.push("paragraph_close", "p", -1)


def _line_at(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def _indented(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """An admonition or a tab: its title, then everything that is indented below it."""
    found = None if state.is_code_block(first) else _INDENTED.match(_line_at(state, first))
    if found is None or silent:
        return found is not None
    kind, *others = (found[1] or "").split() or [""]
    words = " ".join(each for each in others if each not in _PLACES) or kind.title()
    inner = state.sCount[first] + 4
    end = first + 1
    while end < last and (state.isEmpty(end) or state.sCount[end] >= inner):
        end += 1
    _push_paragraph(state, next((part for part in found.groups()[1:] if part is not None), words), first)
    outer, state.parentType = state.parentType, "admonition"
    around, state.lineMax = (state.blkIndent, state.lineMax), end
    state.blkIndent = inner
    state.md.block.tokenize(state, first + 1, end)
    state.parentType = outer
    state.blkIndent, state.lineMax = around
    state.line = end
    return True


def _line(state: StateBlock, first: int, last: int, silent: bool) -> bool:  # noqa: ARG001 - a rule's shape
    """A line that is a mark of its own, or attributes of the block beside it."""
    start = state.bMarks[first] + state.tShift[first]
    if state.src[start : start + 1] not in _OPENING or state.is_code_block(first):
        return False
    line = _line_at(state, first).rstrip()
    attributes = attributes_in(line) if line[:1] == "{" else None
    shown = next(((found, words) for pattern, words in _LINES if (found := pattern.match(line))), None)
    if attributes is None and shown is None:
        return False
    if not silent:
        state.line = first + 1
        if attributes is not None:
            state.push("attributes", "", 0).content = str(attributes.get("id", ""))
        elif shown is not None:
            _push_paragraph(state, shown[1](shown[0]), first)
    return True


def _grid(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """A table that is drawn with ``+``, ``-`` and ``|``."""
    if state.is_code_block(first) or not _GRID.match(_line_at(state, first)):
        return False
    if not silent:
        rows, end = grid_rows([_line_at(state, line).rstrip() for line in range(first, last)], 0)
        state.push("grid_table", "", 0).meta = {"rows": rows}
        state.line = first + end
    return True


def _wiki_link(state: StateInline, silent: bool) -> bool:
    """A link to a page of a wiki, ``[[Page|text]]``; GitHub's wikis write ``[[text|Page-name]]``."""
    found = _WIKI.match(state.src, state.pos) if state.src[state.pos] in "![" else None
    if found is None:
        return False
    if not silent and not (found[1] and _MEDIA.search(found[2])):
        page, text = found[2], found[3] or found[2].replace("#", " > ").removeprefix(" > ")
        state.pending += page if _PAGE_NAME.match(text) and not _PAGE_NAME.match(page) else text
    state.pos = found.end()
    return True


def _attributes(state: StateInline, silent: bool) -> bool:  # noqa: ARG001 - a rule's shape
    """Attributes behind a link, an image, code or emphasis."""
    if state.src[state.pos] != "{" or state.src[state.pos - 1 : state.pos] not in tuple(")]`*_"):
        return False
    found = _ATTRIBUTES.match(state.src, state.pos)
    if found is None or attributes_in(found[0]) is None:
        return False
    state.pos = found.end()
    return True


def _block_rule(name: str, rule: Callable[[StateBlock, int, int, bool], bool]) -> Callable[[MarkdownIt], object]:
    return lambda parser: parser.block.ruler.before("fence", name, rule, _ALT)


def _attribute_rules(parser: MarkdownIt) -> None:
    attrs_plugin(parser, spans=True)
    parser.inline.ruler.before("attr", "attributes", _attributes)


DIALECTS: Final[tuple[tuple[tuple[str, ...], Callable[[MarkdownIt], object]], ...]] = (
    (("!!!", "???", "==="), _block_rule("indented", _indented)),
    ((":::", "///", "oc]", "OC]", "oc_]", "OC_]", "8<-", "*[", ")=", "{", "\\", "+++"), _block_rule("line", _line)),
    (("+--", "+=="), _block_rule("grid", _grid)),
    (("\n:", "\n  :", "\n   :"), deflist_plugin),
    (("[^", "^["), lambda parser: footnote_plugin(parser, move_to_end=False)),
    (("$",), lambda parser: dollarmath_plugin(parser, allow_space=False, allow_digits=False)),
    (("[[",), lambda parser: parser.inline.ruler.before("link", "wiki_link", _wiki_link)),
    (("}`",), myst_role_plugin),
    (("}",), _attribute_rules),
    (("~~",), lambda parser: parser.enable("strikethrough")),
)
"""Marks of dialects, and what adds the rules that read them to a parser."""
