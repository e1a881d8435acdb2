"""Results as Algolia's hits, with highlights, snippets and DocSearch's hierarchy.

A hit has the document's metadata, title, url and the text of the chunk as ``content``. The hierarchy is that of
DocSearch's records: ``lvl0`` and ``lvl1`` are the document's title, ``lvl2`` and on the headings above the chunk.

Where the client's tags are HTML it puts values into a page as they are: all else in them is escaped. Placeholders such
as ``__ais-highlight__`` are replaced by the client, which escapes the value itself.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from service.answer import address_of
from service.doors.algolia_bodies import AlgoliaOptions
from winnow.core.search import Candidate, SearchAnswer
from winnow.core.tenancy import plain_id
from winnow.core.typed import folded, name_words, typed_query

LEVELS: Final = 7
_SNIPPET_WORDS: Final = 10
_WORD: Final = re.compile(r"[^\W_]+")
_UNITS: Final = re.compile(r"\S+")


class _Marked(NamedTuple):
    """A text with tags, and the words of the query that it has."""

    value: str
    words: tuple[str, ...]
    is_whole: bool


class Hits:
    """Renders the results of one query."""

    def __init__(self, options: AlgoliaOptions) -> None:
        typed = typed_query(options.query)
        self._words = () if typed is None else (*typed.words, *typed.others)
        self._options = options
        self._html = "<" in options.highlightPreTag + options.highlightPostTag

    def render(self, answer: SearchAnswer, begin: int, end: int) -> list[dict[str, Any]]:
        """The hits of one page."""
        return [self._hit(each.candidate) for each in answer.results[begin:end]]

    def _hit(self, candidate: Candidate) -> dict[str, Any]:
        record = self._record(candidate)
        marked = self._highlights(record)
        shown = {key: value for key, value in record.items() if self._is_retrieved(key)}
        hit = {"objectID": plain_id(candidate.document_id), **shown, "_highlightResult": marked}
        if self._options.attributesToSnippet:
            hit["_snippetResult"] = self._snippets(record)
        return hit

    def _record(self, candidate: Candidate) -> dict[str, Any]:
        chunk, title = candidate.chunk, candidate.title or plain_id(candidate.document_id)
        levels = [title, title, *(each for each in chunk.headings if folded(each) != folded(title))][:LEVELS]
        hierarchy = {f"lvl{at}": levels[at] if at < len(levels) else None for at in range(LEVELS)}
        return {
            **candidate.metadata,
            "title": candidate.title,
            "url": address_of(candidate),
            "anchor": chunk.anchor,
            "content": chunk.text,
            "hierarchy": hierarchy,
            "type": self._type(levels),
        }

    def _type(self, levels: Sequence[str]) -> str:
        """The innermost level that has a word of the query, else ``content``; without a query the page itself."""
        if not self._words:
            return "lvl1"
        for at in range(len(levels) - 1, 0, -1):
            words = name_words(levels[at])
            if any(word.startswith(part) for part in self._words for word in words):
                return f"lvl{at}"
        return "content"

    def _is_retrieved(self, key: str) -> bool:
        wanted = self._options.attributesToRetrieve
        if f"-{key}" in wanted:
            return False
        return "*" in wanted or any(each.partition(".")[0] == key for each in wanted)

    def _highlights(self, record: Mapping[str, Any]) -> dict[str, Any]:
        wanted = self._options.attributesToHighlight
        keys = {each.partition(".")[0] for each in wanted} if wanted is not None else {"*"}
        return {
            key: found
            for key, value in record.items()
            if (keys & {"*", key}) and (found := self._highlighted(value)) is not None
        }

    def _highlighted(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._result(self._mark(value))
        if isinstance(value, list):
            return [self._highlighted(each) for each in value if isinstance(each, str)]
        if isinstance(value, Mapping):
            return {key: self._highlighted(each) for key, each in value.items() if isinstance(each, str)}
        return None

    def _result(self, marked: _Marked) -> dict[str, Any]:
        level = "none" if not marked.words else "full" if len(marked.words) == len(set(self._words)) else "partial"
        found = {"value": marked.value, "matchLevel": level, "matchedWords": list(marked.words)}
        return found if level == "none" else {**found, "fullyHighlighted": marked.is_whole}

    def _mark(self, text: str) -> _Marked:
        """Mark the beginnings of words that are words of the query."""
        parts: list[str] = []
        words: dict[str, None] = {}
        at = marked = 0
        for found in _WORD.finditer(text):
            word = folded(found.group())
            part = max((each for each in self._words if word.startswith(each)), key=len, default="")
            if not part:
                continue
            end = found.start() + len(part) if len(word) == len(found.group()) else found.end()
            parts += (self._plain(text[at : found.start()]), self._options.highlightPreTag)
            parts += (self._plain(text[found.start() : end]), self._options.highlightPostTag)
            at, marked = end, marked + end - found.start()
            words[part] = None
        parts.append(self._plain(text[at:]))
        is_whole = marked == sum(len(found.group()) for found in _WORD.finditer(text))
        return _Marked("".join(parts), tuple(words), is_whole)

    def _plain(self, text: str) -> str:
        return html.escape(text) if self._html else text

    def _snippets(self, record: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for each in self._options.attributesToSnippet:
            key, _, size = each.partition(":")
            for name in record if key == "*" else (key.partition(".")[0],):
                snippet = self._snippet(record.get(name), int(size) if size.isdecimal() else _SNIPPET_WORDS)
                if snippet is not None:
                    found[name] = snippet
        return found

    def _snippet(self, value: Any, size: int) -> Any:
        if isinstance(value, Mapping):
            return {key: self._snippet(each, size) for key, each in value.items() if isinstance(each, str)}
        if not isinstance(value, str):
            return None
        marked = self._mark(self._window(value, max(1, size)))
        return {key: each for key, each in self._result(marked).items() if key in ("value", "matchLevel")}

    def _window(self, text: str, size: int) -> str:
        """``size`` words of the text around the first that the query has."""
        units = list(_UNITS.finditer(text))
        if len(units) <= size:
            return text
        first = next((at for at, unit in enumerate(units) if self._has_word(unit.group())), 0)
        begin = max(0, min(first - size // 3, len(units) - size))
        end = begin + size
        cut = text[units[begin].start() : units[end - 1].end()]
        ellipsis = self._options.snippetEllipsisText
        return f"{ellipsis if begin else ''}{cut}{ellipsis if end < len(units) else ''}"

    def _has_word(self, unit: str) -> bool:
        return any(folded(each).startswith(word) for each in _WORD.findall(unit) for word in self._words)


def marked_prefix(text: str, prefix: str, options: AlgoliaOptions) -> str:
    """A facet's value with what was looked for marked at its beginning."""
    plain = html.escape if "<" in options.highlightPreTag + options.highlightPostTag else str
    size = len(prefix) if prefix and text.casefold().startswith(prefix.casefold()) else 0
    if not size:
        return plain(text)
    return f"{options.highlightPreTag}{plain(text[:size])}{options.highlightPostTag}{plain(text[size:])}"
