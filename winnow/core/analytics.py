"""What visitors do: searches and events as they are kept, and which searches are one that was still being typed. Pure.

A visitor who types makes a search with every keystroke, of which the last one counts: a search is replaced by a later
one of the same visitor within ``TYPING_SECONDS`` if one of the two queries begins with the other. A site tells visitors
apart by the session that it sends. Without sessions only instant searches are replaced, and only by longer queries.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from winnow.core.search import SearchMode, Speed
from winnow.core.text import storable

EventType: TypeAlias = Literal["click", "conversion"]

TYPING_SECONDS: Final = 30
MAX_SESSION_CHARS: Final = 128
MAX_QUERY_CHARS: Final = 1000
"""Characters of a query that are kept."""
_TYPING: Final = timedelta(seconds=TYPING_SECONDS)


@dataclass(frozen=True, slots=True)
class TypedSearch:
    """What decides whether a search was still being typed.

    Attributes:
        visitor: what tells visitors apart: collection, tenant, audience and, last, the session, which may be empty.
        folded: the query as ``folded_query`` makes it.
        first: rank of the first result, above 1 for further pages, which replace nothing.
    """

    id: str
    at: datetime
    visitor: tuple[str, ...]
    folded: str
    speed: Speed
    first: int

    @property
    def has_session(self) -> bool:
        """Whether the site tells its visitors apart."""
        return self.visitor[-1] != ""


@dataclass(frozen=True, slots=True)
class LoggedSearch:
    """A search as it is kept.

    Attributes:
        id: that of its answer.
        collection_uid, tenant: whose documents were searched.
        query: as it was typed, at most ``MAX_QUERY_CHARS`` of it.
        shown: ids of the documents in the answer, from rank ``first`` on; empty where a rank was passed over.
        count: the number of results in the answer.
        session: as the site sent it; empty where it sends none.
        audience: a digest of what the caller may see; empty where that is every document of the tenant.
        replaced_by: the search that counts in place of this one, which was still being typed.
    """

    id: str
    collection_uid: str
    tenant: str
    at: datetime
    query: str
    mode: SearchMode
    speed: Speed
    shown: tuple[str, ...]
    first: int
    count: int
    took_ms: float
    degraded: bool
    session: str = ""
    audience: str = ""
    replaced_by: str | None = None

    @property
    def typed(self) -> TypedSearch:
        """What decides whether it was still being typed."""
        visitor = (self.collection_uid, self.tenant, self.audience, self.session)
        return TypedSearch(self.id, self.at, visitor, folded_query(self.query), self.speed, self.first)


@dataclass(frozen=True, slots=True)
class VisitorEvent:
    """A click on a result, or a conversion that a result led to, as it is kept.

    Attributes:
        search_id: of the search that showed the document.
        position: the result's rank in the answer, from 1; ``None`` where a conversion does not name it.
        session: as the site sent it with the event.
    """

    search_id: str
    document_id: str
    type: EventType
    collection_uid: str
    tenant: str
    at: datetime
    position: int | None
    session: str = ""


def kept_query(query: str) -> str:
    """The part of a query that is kept, as every database stores it."""
    return storable(query)[:MAX_QUERY_CHARS]


def folded_query(query: str) -> str:
    """The query as it is counted: NFKC, case folded, one space between words (Unicode 15, D146)."""
    return " ".join(unicodedata.normalize("NFKC", query).casefold().split())


def replaced_searches(searches: Iterable[TypedSearch]) -> Mapping[str, str]:
    """The searches that were still being typed: the id of each, and that of the search that counts in its place."""
    by_visitor: dict[tuple[str, ...], list[TypedSearch]] = {}
    for each in sorted(searches, key=lambda search: (search.at, search.id)):
        if each.folded and each.first == 1:
            by_visitor.setdefault(each.visitor, []).append(each)
    following: dict[str, str] = {}
    for several in by_visitor.values():
        following |= _followed(several)
    return {each: _last(following, each) for each in following}


def _followed(searches: Sequence[TypedSearch]) -> dict[str, str]:
    """The search that follows each one that was still being typed, among searches of one visitor in order."""
    found: dict[str, str] = {}
    open_ = list[TypedSearch]()
    for each in searches:
        open_ = [before for before in open_ if each.at - before.at <= _TYPING]
        for before in open_ if not each.has_session else open_[-1:]:
            if _continues(before, each):
                found[before.id] = each.id
        open_ = [before for before in open_ if before.id not in found]
        open_.append(each)
    return found


def _continues(before: TypedSearch, after: TypedSearch) -> bool:
    if after.has_session:
        return after.folded.startswith(before.folded) or before.folded.startswith(after.folded)
    return before.speed == "instant" and after.folded.startswith(before.folded)


def _last(following: Mapping[str, str], search_id: str) -> str:
    while search_id in following:
        search_id = following[search_id]
    return search_id
