"""What a query may become while it is typed: titles, headings and popular queries, in the caller's view."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Final, Literal, NamedTuple, TypeAlias

from winnow.core.access import view_of
from winnow.core.errors import InvalidQuery
from winnow.core.principal import Principal
from winnow.core.tenancy import plain_id
from winnow.core.typed import TypedQuery, folded, name_words
from winnow.operations.instant import LOOKED_AT, allowed_names, names_to_show, wordings_of
from winnow.operations.resources import Resources
from winnow.operations.ruled_search import without_documents
from winnow.ports import FoundName
from winnow.search.acting_rules import acting_rules, hidden_while_typing, hides

MOST: Final = 20
MAX_CHARS: Final = 512


SuggestionKind: TypeAlias = Literal["query", "title", "heading"]


class Suggestion(NamedTuple):
    """A text to search for, and where it is from."""

    text: str
    kind: SuggestionKind


class Suggestions(NamedTuple):
    """Suggestions, best first. ``ready``: whether the names of all documents have been read."""

    suggestions: tuple[Suggestion, ...]
    ready: bool


async def suggest(
    resources: Resources,
    principal: Principal,
    name: str,
    text: str,
    *,
    tenant: str | None = None,
    language: str | None = None,
    limit: int = 8,
) -> Suggestions:
    """Titles and headings that what was typed is a part of, with typos where nothing is spelled like it.

    Where analytics are enabled, popular queries that begin with it come first, up to half of the limit.

    Rules of the collection act on what was typed. A document that they hide for it, for a query that it may become, or
    for the text that would be suggested, is not suggested.

    Raises:
        Forbidden: the principal may not search.
        CollectionNotFound: the collection does not exist, or the principal does not see it.
        InvalidQuery: a parameter is out of range.
    """
    principal.require("search", collection=name)
    view = view_of(principal, tenant)
    if not 1 <= limit <= MOST:
        raise InvalidQuery(f"limit is 1 to {MOST}, not {limit}", location=("limit",))
    if len(text) > MAX_CHARS:
        raise InvalidQuery(f"q has {len(text):,} characters; the limit is {MAX_CHARS}", location=("q",))
    collection = await resources.collections.get(name)
    collection.require_filled(collection.serving.generation)
    rules = collection.rules
    wordings = wordings_of(text, None if rules.is_empty else acting_rules(rules, text, language))
    if not wordings:
        return Suggestions((), ready=True)
    queries: list[Suggestion] = []
    if resources.settings.analytics.enabled:
        popular = await resources.popular_queries.beginning(collection, view, text)
        queries = [Suggestion(query, "query") for query in popular[: (limit + 1) // 2]]
    names = resources.names.of(collection.serving.ref, name)
    if not await names.is_ready():
        return Suggestions(_first(queries, limit), ready=False)
    hidden = hidden_while_typing(rules, text, language)
    allowed = allowed_names(names, collection, view, without_documents(view.tenant, hidden) if hidden else None)
    found = names.names.find(wordings, allowed, limit=LOOKED_AT, wanted=limit, by_document=False)
    shown = await names_to_show(resources.store, names.ref, found.names, allowed, LOOKED_AT)
    texts = (
        each
        for entry, _ in shown
        for each in _texts(wordings[0], entry)
        if not hides(rules, each.text, plain_id(entry.document_id), language)
    )
    return Suggestions(_first(chain(queries, texts), limit), ready=True)


def _texts(typed: TypedQuery, name: FoundName) -> list[Suggestion]:
    """The names of an entry that go on from what was typed; where none does, what the entry is called."""
    title = [Suggestion(name.title, "title")] if name.heads and name.title else []
    texts = [*title, *(Suggestion(heading, "heading") for heading in name.headings)]
    return [text for text in texts if _goes_on(typed, text.text)] or texts[:1]


def _goes_on(typed: TypedQuery, text: str) -> bool:
    if folded(text).startswith(typed.whole):
        return True
    words = name_words(text)
    return all(any(word.startswith(part) for word in words) for part in typed.words)


def _first(suggestions: Iterable[Suggestion], limit: int) -> tuple[Suggestion, ...]:
    best: dict[str, Suggestion] = {}
    for each in suggestions:
        best.setdefault(folded(each.text), each)
    return tuple(best.values())[:limit]
