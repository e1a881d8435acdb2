"""Converts HTML, a page or a fragment, to canonical text: lxml parses, html-to-markdown writes, headings keep ids."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

import html_to_markdown
import lxml.html
from html_to_markdown import ConversionOptions, HiddenContent, PreprocessingOptions
from lxml import etree

from winnow.conversion.converted import CanonicalWriter, Converted
from winnow.conversion.judging import CLOSE, OPEN, PLACE
from winnow.conversion.main_content import calls_itself_article, is_page, judge_of, main_of
from winnow.conversion.places import mark_places
from winnow.conversion.seen import HEADINGS, as_shown, code_of, heading_words
from winnow.core.marks import DocumentWarning

MAX_DEPTH: Final = 250  # elements inside of each other; deeper pages are read without their structure

_OPTIONS: Final = ConversionOptions(
    extract_metadata=False,
    hidden_content=HiddenContent.REACHABLE,
    preprocessing=PreprocessingOptions(enabled=False),
    escape_asterisks=False,
    escape_underscores=False,
    escape_misc=False,
    autolinks=False,
    compact_tables=True,
    bullets="-",
)
_IN_HEAD: Final = frozenset({"base", "bgsound", "link", "meta", "noscript", "script", "style", "template", "title"})
_LOOKS: Final = """a abbr b bdi bdo big cite center data del dfn em font i ins label mark nobr output picture q s small
span strike strong sub sup time tt u""".split()
_OPEN, _CLOSE = "\ue000", "\ue001"  # around a heading's id, on its way through the converter: private characters
_MARKED: Final = re.compile(rf"(#{{1,6}}) (.*?)[ \t]*{_OPEN}([^{_CLOSE}]*){_CLOSE}")
_PRIVATE: Final = re.compile(f"[{_OPEN}{_CLOSE}{OPEN}{CLOSE}\x00]")
_ENDED: Final = re.compile(r"</(?:body|html)\s*>", re.IGNORECASE)
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0e-\x1f]")  # not text, and refused by the converter if there are many
_SOFT_HYPHEN: Final = "\xad"
_PERMALINK: Final = re.compile(r"(?:\s+#|\s*[¶§🔗\u200b\uf0c1])+\s*$")
_FENCE: Final = re.compile(r"[ \t]*(`{3,}|~{3,})")
_LANGUAGE: Final = re.compile(r"(?:^|\s)(?:language|lang|highlight|brush)-([\w+#.-]+)")
_HEADING_LIKE: Final = re.compile(r"(?m)^(?=#{1,6}[ \t])")
_TOO_DEEP: Final = f"boolean(/{'/'.join('*' * (MAX_DEPTH + 1))})"
_TAG: Final = re.compile(r"<[^<>]*+>")
_HEAD: Final = re.compile(r"^.*?<body[^<>]*+>", re.DOTALL | re.IGNORECASE)
_UNREAD: Final = re.compile(r"<!--.*?-->|<(script|style|noscript|template)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_SPACES: Final = re.compile(r"\s+")


def parse_html(text: str) -> lxml.html.HtmlElement | None:
    """Parse a page or fragment; ``None`` if there is nothing in it."""
    text = _CONTROL.sub("", text)
    parser = lxml.html.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    text = _ENDED.sub(" ", _PRIVATE.sub("", text))  # browsers read on after the end of a page, the parser does not
    try:
        tree = lxml.html.document_fromstring(text.encode(errors="replace"), parser=parser)
    except etree.ParserError:
        return None
    _end_head(tree)
    return tree


def _end_head(tree: lxml.html.HtmlElement) -> None:
    """Move what cannot be in ``<head>`` to the body, as browsers do: the parser ends it at elements of HTML 4 alone."""
    head, body = tree.find("head"), tree.find("body")
    first = next((each for each in (() if head is None else head) if each.tag not in _IN_HEAD), None)
    if first is None:
        return
    body = etree.SubElement(tree, "body") if body is None else body
    moved = [first, *first.itersiblings()]
    moved[-1].tail = f"{moved[-1].tail or ''}{body.text or ''}"
    body.text = None
    body[:0] = moved


def convert_html(text: str, *, whole: bool = False) -> Converted:
    """Convert a page, whose boilerplate is left out, or a fragment, which is kept whole, as anything with ``whole``."""
    tree = parse_html(text)
    return Converted("") if tree is None else convert_tree(tree, text, whole=whole)


def convert_tree(tree: lxml.html.HtmlElement, text: str, *, whole: bool = False) -> Converted:
    """Convert the tree that ``text`` was parsed into; the tree is changed."""
    whole = whole or not is_page(text)
    title = _plain(tree.findtext(".//title"))
    if tree.xpath(_TOO_DEEP):
        return _without_structure(text, title)
    headlines = [_plain(heading_words(heading)) for heading in tree.iter("h1")]
    main = main_of(tree, whole=whole)
    is_article = calls_itself_article(tree)
    unsaid = headlines[0] if len(headlines) == 1 and headlines[0] not in title else ""
    judge = None if whole else judge_of(tree, main, is_article=is_article, headline=unsaid)
    if judge is not None:
        mark_places(main, beside=not is_article)
    _flatten(main)
    page = f"<body>{etree.tostring(main, encoding='unicode', method='html', with_tail=False)}</body>"
    try:
        raw = html_to_markdown.convert(page, _OPTIONS)
    except html_to_markdown.ConversionError:
        return _without_structure(text, title)
    blocks = list(_blocks((raw.content or "").replace(_SOFT_HYPHEN, "").split("\n")))
    kept = blocks if judge is None else judge.choose(blocks)
    writer = CanonicalWriter()
    headings = [heading for block in kept or blocks if (heading := _write(writer, PLACE.sub("", block)))]
    return Converted(writer.text(), _title(title, headlines, headings), marks=tuple(writer.marks))


def _plain(text: str | None) -> str:
    return _SPACES.sub(" ", _PERMALINK.sub("", (text or "").replace(_SOFT_HYPHEN, ""))).strip()


def _title(title: str, headlines: list[str], headings: list[str]) -> str:
    """A page's only ``<h1>`` if ``<title>`` contains it, else ``<title>``, else the first heading.

    A ``<title>`` usually contains the name of the site as well, which says nothing about the page.
    """
    if len(headlines) == 1 and headlines[0] and headlines[0] in title:
        return headlines[0]
    return title or next(filter(None, [*headlines, *headings]), "")


def _without_structure(text: str, title: str) -> Converted:
    """The words of a page that nests so deep that parsers drop parts of it."""
    warning = DocumentWarning(
        "structure_lost", f"the page nests more than {MAX_DEPTH} deep, or is damaged: only its words were read"
    )
    words = html.unescape(_TAG.sub("\n", _UNREAD.sub("\n", _HEAD.sub("", text))))
    lines = (" ".join(line.split()) for line in words.split("\n"))
    return Converted("\n\n".join(line for line in lines if line), title, warnings=(warning,))


def _flatten(tree: lxml.html.HtmlElement) -> None:
    """Leave words in place of what only changes looks or names an address, and put ids into headings."""
    as_shown(tree)
    for heading in tree.iter(*HEADINGS):
        _mark(heading)
    for image in list(tree.iter("img")):
        image.tail = f"{_plain(image.get('alt'))}{image.tail or ''}"
        image.drop_tree()
    for code in list(tree.iter("code", "kbd", "samp", "var", "tt")):
        pre = next(code.iterancestors("pre"), None)
        if pre is None or pre is not code.getparent():
            code.drop_tag()
    for pre in tree.iter("pre"):
        _name_language(pre)
    etree.strip_tags(tree, *_LOOKS)


def _mark(heading: lxml.html.HtmlElement) -> None:
    """Put the id of a heading, of the section that it opens or of the link in it at its end."""
    found = heading.get("id") or next(
        (each.get("id") or each.get("name", "") for each in heading.iter("a", "span")), ""
    )
    parent, before = heading.getparent(), heading.getprevious()
    if not found and before is not None and before.tag in ("a", "span") and not before.text_content().strip():
        found = before.get("id") or before.get("name", "")
    if not found and before is None and parent is not None and parent.tag in ("section", "div", "article"):
        found = parent.get("id", "")
    text = _plain(heading_words(heading))
    for child in list(heading):
        heading.remove(child)
    heading.text = f"{text}{_OPEN}{found}{_CLOSE}" if text else ""


def _name_language(pre: lxml.html.HtmlElement) -> None:
    """Write the language of a piece of code where the converter looks for it, in the class of ``<code>``."""
    code = pre.find("code")
    around = [pre, *([code] if code is not None else []), *list(pre.iterancestors())[:2]]
    language = next((match[1] for each in around if (match := _LANGUAGE.search(each.get("class", "")))), "")
    text = "".join(code_of(pre))
    for child in list(pre):
        pre.remove(child)
    pre.text = None
    inner = etree.SubElement(pre, "code")
    inner.text = text
    if language not in ("", "default", "text"):
        inner.set("class", f"language-{language}")


def _blocks(lines: list[str]) -> Iterator[str]:
    """The blocks of the converter's Markdown: parts between empty lines, headings, quotes and code as a whole."""
    block: list[str] = []
    fence = ""
    for line in lines:
        opening = None if fence else _FENCE.match(line)
        if block and not fence and (not line.strip() or _opens_block(line, block[-1])):
            yield "\n".join(block)
            block = []
        if fence:
            fence = "" if line.strip().startswith(fence) else fence
        elif opening:
            fence = opening[1]
        elif not line.strip():
            continue
        block.append(line if fence else line.rstrip())
    if block:
        yield "\n".join(block)


def _opens_block(line: str, before: str) -> bool:
    """Whether a line is a heading or follows one, or a line that is not indented opens code or follows it."""
    return any(_MARKED.fullmatch(each) or each.startswith(("```", "~~~")) for each in (line, before))


def _write(writer: CanonicalWriter, block: str) -> str:
    """Write a block; returns its text if it is a heading."""
    found = _MARKED.fullmatch(block)
    if found is None:
        if not _FENCE.match(block):
            block = _HEADING_LIKE.sub("\\\\", _PRIVATE.sub("", block)) if "#" in block else _PRIVATE.sub("", block)
        writer.add(block)
        return ""
    writer.heading(len(found[1]), found[2], marks=[("anchor", found[3])] if found[3] else [])
    return found[2]
