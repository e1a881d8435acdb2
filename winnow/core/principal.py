"""The principal: who makes a request, and what it may do.

Every use case takes one and asks it. A collection that a principal may not see is reported as missing, in the same
words; a principal that lacks a scope is refused with the scope's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal, TypeAlias, get_args

from winnow.core.errors import Forbidden
from winnow.core.missing import missing_collection, withheld
from winnow.core.types import JsonValue

Scope: TypeAlias = Literal[
    "search",
    "documents:read",
    "documents:write",
    "collections:admin",
    "keys:admin",
    "operate",
    "tokens:create",
]
LimitName: TypeAlias = Literal["requests_per_second", "searches_per_second", "documents_per_day", "tokens_per_day"]
PrincipalKind: TypeAlias = Literal["open", "key", "token", "local", "unknown"]
SCOPES: Final[frozenset[Scope]] = frozenset(get_args(Scope))
EVERY_COLLECTION: Final = ("*",)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request.

    Attributes:
        kind: ``key`` or ``token`` by the credential; ``local`` for commands of the same machine; ``open`` for all
            callers of a service that has no key; ``unknown`` for a caller that was not let in.
        subject: the public beginning of a key, or the subject of a token; empty for the other kinds.
        scopes: what it may do.
        collections: patterns of the names of the collections that it may see; ``*`` is any number of characters.
        tenant: the only tenant whose documents it sees; ``None`` is bound to no tenant.
        users, groups: whom it counts as where a document names who may read it.
        locked_filter: a filter in its JSON form that every read of documents is narrowed by.
        max_top_n: the most results of a search; ``None`` leaves the general limit.
        origins: the web origins that it may be used from; empty allows any.
        expires_at: when the credential ends.
        limits: what it may use, in place of the settings for every caller.
        request_id: of the request that it makes.
    """

    kind: PrincipalKind
    subject: str = ""
    scopes: frozenset[Scope] = SCOPES
    collections: tuple[str, ...] = EVERY_COLLECTION
    tenant: str | None = None
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    locked_filter: Mapping[str, JsonValue] | None = None
    max_top_n: int | None = None
    origins: tuple[str, ...] = ()
    expires_at: datetime | None = None
    request_id: str = ""
    limits: Mapping[LimitName, int] = field(default_factory=dict)

    def sees(self, collection: str) -> bool:
        """Whether the name of a collection is among those of this principal, whether or not it exists."""
        return any(fits_pattern(collection, pattern) for pattern in self.collections)

    @property
    def sees_everything(self) -> bool:
        """Whether nothing narrows what it sees: no pattern, no tenant, no locked filter."""
        return "*" in self.collections and self.tenant is None and self.locked_filter is None

    def may(self, scope: Scope, collection: str | None = None) -> bool:
        """Whether it has a scope, and sees the collection if one is given."""
        return scope in self.scopes and (collection is None or self.sees(collection))

    def require(self, *scopes: Scope, collection: str | None = None) -> None:
        """Return if it has one of the ``scopes``, and sees the collection if one is given.

        Raises:
            Forbidden: it has none of the scopes, whatever the collection.
            CollectionNotFound: it may not see the collection; in the words for a collection that does not exist.
        """
        if self.scopes.isdisjoint(scopes):
            raise Forbidden(f"{self.described} lacks the scope {' or '.join(scopes)}, which this request needs")
        if collection is not None and not self.sees(collection):
            raise withheld(missing_collection(collection))

    @property
    def described(self) -> str:
        """The credential in an error message."""
        return f"the {self.kind} {self.subject}" if self.subject else "the caller"


OPEN: Final = Principal("open")
"""The caller of a service that has no key."""
LOCAL: Final = Principal("local")
"""A command on the same machine, or a task of the process itself."""
UNKNOWN: Final = Principal("unknown", scopes=frozenset(), collections=())
"""A caller without a valid credential, in the audit trail."""


def fits_pattern(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern, in which ``*`` is any number of characters.

    A pattern given as the name fits only patterns that every name which it covers fits as well.
    """
    return pattern in {"*", name} or ("*" in pattern and bool(_compiled(pattern).fullmatch(name)))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)
