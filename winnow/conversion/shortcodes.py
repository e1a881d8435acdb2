"""Reads the tags of templates in Markdown: Hugo's shortcodes, the tags of Liquid (Jekyll, GitBook) and Markdoc.

Tags are taken out, the words in them that a reader sees stay. Variables in braces, ``{{ name }}``, are text.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from winnow.conversion.markup import LinearSearch

_TAG: Final = re.compile(
    r"""\{\{(?P<kind>[<%])(?!/\*)\s*(?P<hugo>/?\s*[\w./-]{1,80})(?P<hugo_arguments>(?:"[^"]{0,999}+"|`[^`]{0,999}+`|[^"`{}<>%]
    |[<>%](?!\}\})){0,2000}+)[%>]\}\}
    |\{%-?\s*(?P<liquid>[/$\#]?\s*[\w-]{1,80})(?P<arguments>(?:"[^"]{0,999}+"|'[^']{0,999}+'|[^"'%{}]|%(?!\})){0,2000}+)%\}
    |\{\{/\*.{0,2000}?\*/\}\}""",
    re.VERBOSE | re.DOTALL,
)
_NAMED: Final = re.compile(
    r"\b(?:title|content|caption|alt|text|summary|description|label|header|heading|message)\s*=\s*(?:\"([^\"]+)\"|'([^']+)')"
)
_QUOTED: Final = re.compile(r"(?<![=\w])\"([^\"]+)\"")
_NOT_WORDS: Final = re.compile(r"\S*[/#]\S*$|\S+\.\w{1,5}$|\S{0,40}\d\S{0,40}$|https?:")
_REFERENCES: Final = frozenset(
    "ref relref youtube vimeo gist tweet x instagram param include readfile img tabs icon".split()
)
_IN_LINES: Final = frozenset("link post_url include include_relative raw endraw comment endcomment highlight".split())
_CODE: Final = ("highlight", "code")
_RUN_OF_TICKS: Final = re.compile(r"`{3,}")


class Shortcode(NamedTuple):
    """What a tag is replaced by, and where what it replaces ends."""

    end: int
    text: str


def shortcode_at(text: str, start: int, search: LinearSearch) -> Shortcode | None:
    """Read the tag that begins at ``start``; ``None`` if there is none, or if it is part of a sentence."""
    tag = _TAG.match(text, start)
    if tag is None:
        return None
    name = "".join((tag["hugo"] or tag["liquid"] or "").split())
    alone = _is_alone(text, tag)
    if tag["liquid"] and not alone and name not in _IN_LINES and text[start - 1 : start] not in ("(", "}"):
        return None
    if name in ("comment", *_CODE) and (inner := _inner(text, tag, name, search)):
        return inner
    arguments = tag["hugo_arguments"] or tag["arguments"] or ""
    words = "" if name.startswith("/") else _words(name, arguments, positional=bool(tag["hugo"]))
    return Shortcode(tag.end(), f"{words}\n" if alone else words)


def _is_alone(text: str, tag: re.Match[str]) -> bool:
    """Whether there is nothing beside a tag but tags."""
    before = text[text.rfind("\n", 0, tag.start()) + 1 : tag.start()].strip()
    end = text.find("\n", tag.end())
    after = text[tag.end() : len(text) if end < 0 else end].strip()
    return (not before or before.endswith("%}")) and (not after or after.startswith("{%"))


def _words(name: str, arguments: str, *, positional: bool) -> str:
    """The values of arguments that a reader sees: of known names, and those that are words."""
    found = [one or two for one, two in _NAMED.findall(arguments)]
    if positional and name not in _REFERENCES and not found:
        found = [value for value in _QUOTED.findall(arguments) if not _NOT_WORDS.match(value)]
    return " ".join(found)


def _inner(text: str, tag: re.Match[str], name: str, search: LinearSearch) -> Shortcode | None:
    """Code between two tags as a fence, a comment as nothing; ``None`` if the second tag is missing."""
    ending = rf"\{{\{{[<%]\s*/\s*{name}\s*[>%]\}}\}}" if tag["hugo"] else rf"\{{%-?\s*(?:end|/){name}\s*-?%\}}"
    closing = search.find(ending, tag.end())
    if closing is None:
        return None
    if name == "comment":
        return Shortcode(closing.end(), "")
    code = text[tag.end() : closing.start()]
    if name == "code" and _RUN_OF_TICKS.search(code):  # around a fence
        return None
    arguments = (tag["hugo_arguments"] or tag["arguments"] or "").split()
    language = arguments[0].strip("\"'") if arguments and "=" not in arguments[0] else ""
    ticks = "`" * max([3, *(len(run) + 1 for run in _RUN_OF_TICKS.findall(code))])
    return Shortcode(closing.end(), f"\n{ticks}{language}\n{code.strip(chr(10))}\n{ticks}\n")
