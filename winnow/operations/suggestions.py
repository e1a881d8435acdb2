"""What a query may become while it is typed: titles and headings that go on from it, in the caller's view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

from winnow.core.access import view_of
from winnow.core.errors import InvalidQuery
from winnow.core.principal import Principal
from winnow.core.typed import TypedQuery, folded, name_words, typed_query
from winnow.operations.instant import LOOKED_AT, allowed_names, names_to_show
from winnow.operations.resources import Resources
from winnow.ports import FoundName

MOST: Final = 20
MAX_CHARS: Final = 512


class Suggestion(NamedTuple):
    """A text to search for, and where it is from."""

    text: str
    kind: Literal["title", "heading"]


class Suggestions(NamedTuple):
    """Suggestions, best first. ``ready``: whether the names of all documents have been read."""

    suggestions: tuple[Suggestion, ...]
    ready: bool


async def suggest(
    resources: Resources, principal: Principal, name: str, text: str, *, tenant: str | None = None, limit: int = 8
) -> Suggestions:
    """Titles and headings that what was typed is a part of, with typos where nothing is spelled like it.

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
    typed = typed_query(text)
    if typed is None:
        return Suggestions((), ready=True)
    names = resources.names.of(collection.serving.ref, name)
    if not await names.is_ready():
        return Suggestions((), ready=False)
    allowed = allowed_names(names, collection, view)
    found = names.names.find(typed, allowed, limit=LOOKED_AT, wanted=limit, by_document=False)
    shown = await names_to_show(resources.store, names.ref, found.names, allowed, LOOKED_AT)
    return Suggestions(_first(_texts(typed, (each for each, _ in shown)), limit), ready=True)


def _texts(typed: TypedQuery, names: Iterable[FoundName]) -> Iterator[Suggestion]:
    """The names of each entry that go on from what was typed; where none does, what the entry is called."""
    for each in names:
        title = [Suggestion(each.title, "title")] if each.heads and each.title else []
        texts = [*title, *(Suggestion(heading, "heading") for heading in each.headings)]
        fitting = [text for text in texts if _goes_on(typed, text.text)]
        yield from fitting or texts[:1]


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
