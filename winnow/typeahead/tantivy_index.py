"""Names in Tantivy, in memory: prefixes and words with typos are automata over the sorted list of all words.

A name is found if it has every word that was typed: as it is, as the beginning of a word (the last one that was
typed), or, where too few names have them and none begins with all that was typed, with edits
(``winnow.core.typed.typos_allowed``). Edits are those of Damerau and Levenshtein; two neighbours that changed places
are one. What counts more comes first: a title before a heading before a keyword, a name that is or begins with the
whole query before one that has its words, the word as it was typed before others, the same first letter before
another one, a short name before a long one.

How this engine was chosen: ``docs/decisions/0034-instant.md``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import orjson
from tantivy import Document, Index, Occur, Query, SchemaBuilder, Searcher, TextAnalyzerBuilder, Tokenizer

from winnow.core.exact import last_part
from winnow.core.tenancy import plain_id
from winnow.core.typed import TypedQuery, folded, name_words, numbers_of, typos_allowed
from winnow.core.types import Filter
from winnow.ports import FoundName, FoundNames, NameEntry
from winnow.typeahead.facts import DOCUMENT, FACTS, condition_of, facts_of

WRITER_BYTES: Final = 60_000_000  # of entries that become one segment; each further one adds to the time of a search
MOST_KEYWORDS: Final = 256  # of one chunk

_STORED: Final = "stored"
_TITLE_TO_HEADINGS: Final = slice(3, 6)  # places of what is stored
_LETTERS: Final = 7
_NUMBERS: Final = 8
_HEADS: Final = "heads"
_YES: Final = "1"


class _Field(NamedTuple):
    """A field of words and what a word in it counts: as typed, as the beginning of one, with typos (0: not at all)."""

    name: str
    as_typed: float
    beginning: float
    with_typos: float


_TITLE: Final = _Field("title", 4.0, 3.0, 1.5)
_HEADING: Final = _Field("heading", 3.0, 2.0, 1.0)
_KEYWORD: Final = _Field("keyword", 2.0, 1.0, 0.0)
_CONTEXT: Final = _Field("context", 1.0, 0.5, 0.0)  # the title of a chunk that is found by its headings
_WHOLE_TITLE: Final = _Field("whole_title", 12.0, 9.0, 8.5)
_WHOLE_PART: Final = _Field("whole_part", 8.0, 5.0, 5.5)  # the last part of a title with points; the id
_WHOLE_HEADING: Final = _Field("whole_heading", 5.0, 3.5, 3.5)
_OTHER_FIRST_LETTER: Final = 1.0  # what a word with another first letter loses
_OTHER_WORD: Final = 0.2  # what a function word adds
_OTHER_WORDING: Final = 0.9  # what a name counts that has another wording of what was typed


_Hit: TypeAlias = tuple[float, str, list[Any]]
"""The score of an entry, what it is called, and what is stored of it, as ``_document`` puts it together."""


class TantivyNames:
    """See ``TypeaheadIndex``."""

    engine = "tantivy"

    def __init__(self) -> None:
        builder = SchemaBuilder()
        for field in (_TITLE, _HEADING, _KEYWORD, _CONTEXT):
            builder.add_text_field(field.name, tokenizer_name="words", index_option="basic")
        for name in (_WHOLE_TITLE.name, _WHOLE_PART.name, _WHOLE_HEADING.name, FACTS, DOCUMENT, _HEADS):
            builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
        builder.add_bytes_field(_STORED, stored=True, indexed=False)
        self._schema = builder.build()
        self._index = Index(self._schema)
        self._index.register_tokenizer("words", TextAnalyzerBuilder(Tokenizer.whitespace()).build())
        self._writer = self._index.writer(WRITER_BYTES, 1)
        self._searcher: Searcher = self._index.searcher()

    def replace(self, document_ids: Collection[str], entries: Iterable[NameEntry]) -> None:
        """See the port."""
        for each in document_ids:
            self._writer.delete_documents_by_term(DOCUMENT, each)
        for entry in entries:
            self._writer.add_document(_document(entry))

    def publish(self) -> None:
        """See the port."""
        self._writer.commit()
        self._index.reload()
        self._searcher = self._index.searcher()

    def find(
        self, wordings: Sequence[TypedQuery], allowed: Filter | None, *, limit: int, wanted: int, by_document: bool
    ) -> FoundNames:
        """See the port."""
        condition, exact = (None, True) if allowed is None else condition_of(self._schema, allowed)
        hits, count = self._look(wordings, condition, limit, typos=False)
        names = _once_each(_shortest_first(hits) if wordings else _by_name(hits), by_document=by_document)
        forgiving = len(names) < wanted and _may_be_wrong(wordings, names)
        if forgiving:
            hits, count = self._look(wordings, condition, limit, typos=True)
            names = _once_each(_by_likeness(wordings, hits), by_document=by_document)
        return FoundNames(names, count, forgiving, count > len(hits), exact)

    def close(self) -> None:
        """See the port."""
        self._writer.rollback()

    def _look(
        self, wordings: Sequence[TypedQuery], condition: Query | None, limit: int, *, typos: bool
    ) -> tuple[list[_Hit], int]:
        """The entries with the best scores, and the number of all that match."""
        clauses = [(Occur.Must, self._worded(wordings, typos=typos))]
        if condition is not None:
            clauses.append((Occur.Must, Query.const_score_query(condition, 0.0)))
        searcher = self._searcher
        found = searcher.search(Query.boolean_query(clauses), limit=limit)
        hits: list[_Hit] = []
        for score, address in found.hits:
            kept: bytes = searcher.doc(address).get_first(_STORED)  # type: ignore[assignment]  # every entry has it
            stored = orjson.loads(kept)
            title, heads, headings = stored[_TITLE_TO_HEADINGS]
            hits.append((score, headings[-1] if headings and not heads else title, stored))
        return hits, found.count or 0  # type: ignore[attr-defined]  # the stubs lack it

    def _worded(self, wordings: Sequence[TypedQuery], *, typos: bool) -> Query:
        if not wordings:
            return self._term(_HEADS, _YES, 0.0)
        first, *others = (self._names(each, typos=typos) for each in wordings)
        if not others:
            return first
        return Query.disjunction_max_query([first, *(Query.boost_query(each, _OTHER_WORDING) for each in others)])

    def _names(self, query: TypedQuery, *, typos: bool) -> Query:
        last = len(query.words) - 1
        words = [
            (Occur.Must, self._word(word, is_open=query.is_open and at == last, alone=last == 0, typos=typos))
            for at, word in enumerate(query.words)
        ]
        words += [(Occur.Should, self._term(_TITLE.name, word, _OTHER_WORD)) for word in query.others]
        either = [(Occur.Should, Query.boolean_query(words)), (Occur.Should, self._whole(query, typos=typos))]
        return Query.boolean_query(either)

    def _word(self, word: str, *, is_open: bool, alone: bool, typos: bool) -> Query:
        edits = typos_allowed(word) if typos else 0
        ways: list[Query] = []
        for field in (_TITLE, _HEADING, _KEYWORD) if alone else (_TITLE, _HEADING, _KEYWORD, _CONTEXT):
            ways.append(self._term(field.name, word, field.as_typed))
            if is_open and (len(word) > 1 or not alone):  # a single letter begins too many words to say anything
                ways.append(self._similar(field.name, word, 0, field.beginning, begins=True))
            if edits and field.with_typos:
                ways.append(self._similar(field.name, word, edits, field.with_typos, begins=is_open))
        return Query.disjunction_max_query(ways)

    def _whole(self, query: TypedQuery, *, typos: bool) -> Query:
        ways: list[Query] = []
        for field in (_WHOLE_TITLE, _WHOLE_PART, _WHOLE_HEADING):
            ways.append(self._term(field.name, query.whole, field.as_typed))
            if query.is_open:
                ways.append(self._similar(field.name, query.whole, 0, field.beginning, begins=True))
            if typos and typos_allowed(query.whole):
                ways.append(self._similar(field.name, query.whole, 1, field.with_typos, begins=False))
        return Query.disjunction_max_query(ways)

    def _term(self, field: str, word: str, score: float) -> Query:
        return Query.const_score_query(Query.term_query(self._schema, field, word), score)

    def _similar(self, field: str, word: str, edits: int, score: float, *, begins: bool) -> Query:
        similar = Query.fuzzy_term_query(self._schema, field, word, edits, transposition_cost_one=True, prefix=begins)
        return Query.const_score_query(similar, score)


def _document(entry: NameEntry) -> Document:
    document = Document()
    document.add_text(DOCUMENT, entry.document_id)
    if entry.heads:
        document.add_text(_HEADS, _YES)
        _add_whole_names(document, entry.title, plain_id(entry.document_id))
    else:
        document.add_text(_CONTEXT.name, _words([entry.title]))
    if entry.headings:
        document.add_text(_HEADING.name, _words(entry.headings))
        for name in {folded(each) for each in entry.headings} - {""}:
            document.add_text(_WHOLE_HEADING.name, name)
    if entry.keywords:
        document.add_text(_KEYWORD.name, _words(entry.keywords[:MOST_KEYWORDS]))
    for fact in {*facts_of(entry.metadata), *facts_of(entry.access)}:
        document.add_text(FACTS, fact)
    words = _all_words((entry.title, *entry.headings))
    letters, numbers = "".join({word[0] for word in words}), {number for word in words for number in numbers_of(word)}
    stored = (*entry[:6], entry.access)  # point, document, revision, title, heads, headings
    document.add_bytes(_STORED, orjson.dumps((*stored, letters, list(numbers))))
    return document


def _add_whole_names(document: Document, title: str, document_id: str) -> None:
    title = title or document_id
    document.add_text(_TITLE.name, _words([title]))
    document.add_text(_WHOLE_TITLE.name, folded(title))
    parts = [document_id, *(part for name in (title, document_id) for part in last_part(name))]
    for part in {folded(each) for each in parts} - {"", folded(title)}:
        document.add_text(_WHOLE_PART.name, part)


def _words(names: Iterable[str]) -> str:
    return " ".join(sorted(_all_words(names)))


def _all_words(names: Iterable[str]) -> set[str]:
    return {word for name in names for word in name_words(name)}


def _shortest_first(hits: Iterable[_Hit]) -> list[_Hit]:
    """Hits by score; of those with one score that which is called something shorter, else in a fixed order."""
    return sorted(hits, key=lambda hit: (-hit[0], len(hit[1]), hit[1], hit[2][0]))


def _by_name(hits: Iterable[_Hit]) -> list[_Hit]:
    """Hits by what they are called, in a fixed order."""
    return sorted(hits, key=lambda hit: (hit[1], hit[2][0]))


def _by_likeness(wordings: Sequence[TypedQuery], hits: Iterable[_Hit]) -> list[_Hit]:
    """Hits in the order in which typing mistakes are likely; those that differ in numbers are left out."""
    wanted = [({word[0] for word in each.words}, set(numbers_of(each.whole))) for each in wordings]
    length, alike = len(wordings[0].whole), list[tuple[float, int, str, str, list[Any]]]()
    for score, name, stored in hits:
        begun, numbers = stored[_LETTERS], stored[_NUMBERS]
        missing = [len(letters.difference(begun)) for letters, some in wanted if some.issubset(numbers)]
        if missing:
            less = min(missing) * _OTHER_FIRST_LETTER
            alike.append((less - score, abs(len(name) - length), name, stored[0], stored))
    return [(-lost, name, stored) for lost, _, name, _, stored in sorted(alike)]


def _once_each(hits: Iterable[_Hit], *, by_document: bool) -> list[FoundName]:
    """The best name of each document, or of each chunk."""
    best: dict[str, FoundName] = {}
    for score, _, (point, document, revision, title, heads, headings, access, *_) in hits:
        key = document if by_document else point
        if key not in best:
            best[key] = FoundName(point, document, revision, title, heads, tuple(headings), access, score)
    return list(best.values())


def _may_be_wrong(wordings: Sequence[TypedQuery], names: Iterable[FoundName]) -> bool:
    """Whether something may have been mistyped: no name begins with what was typed, and it has words long enough."""
    if not any(typos_allowed(word) for each in wordings for word in (each.whole, *each.words)):
        return False
    typed = wordings[0].whole
    called = (name for each in names for name in ((each.title, *each.headings) if each.heads else each.headings))
    return not any(folded(name).startswith(typed) for name in called)
