"""Access lists of documents: who may see one, who may see those without a list, and who asks.

On the wire a list is ``{"users": ["alice"], "groups": ["staff"]}``. A document whose list is empty is seen by no user
and no group; one without a list follows its collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from winnow.core.errors import InvalidDocument
from winnow.core.text import is_encodable

AclDefault: TypeAlias = Literal["public", "none"]

TENANT_FIELD: Final = "~tenant"  # names of declared fields begin with a letter or _
ACL_FIELD: Final = "~acl"
ACCESS_FIELDS: Final[Mapping[str, Literal["keyword"]]] = {TENANT_FIELD: "keyword", ACL_FIELD: "keyword"}
"""The fields under which every index keeps tenants and lists; no caller can declare or name them."""

DOCUMENT_FIELD: Final = "~document"
"""The qualified id of a document, in filters that are made here: every store knows it of every point."""

MAX_ENTRIES: Final = 1000
MAX_NAME_CHARS: Final = 256

_KEYS: Final = ("users", "groups")
_EMPTY: Final = "-"  # of a list that names neither users nor groups: no reader's name is like it


@dataclass(frozen=True, slots=True)
class Acl:
    """The users and groups that may see a document, each sorted and without repetitions."""

    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessRules:
    """What a collection says of access.

    Attributes:
        default: who sees documents without a list: everyone, or only those who see all documents.
        in_use: whether a document of the collection has, or ever had, a tenant or a list. Until then no search has to
            ask for either.
    """

    default: AclDefault = "public"
    in_use: bool = False


UNUSED: Final = AccessRules()
"""The rules of a collection in which no document has a tenant or a list."""


@dataclass(frozen=True, slots=True)
class AccessView:
    """The part of a collection that a request sees.

    Attributes:
        tenant: whose documents.
        readers: the names of the user and the groups who ask, as ``reader_names`` makes them; ``None`` sees documents
            whatever their access list.
        locked: a filter, as JSON, that every document must pass besides.
    """

    tenant: str = ""
    readers: frozenset[str] | None = None
    locked: Any = None

    @property
    def is_whole(self) -> bool:
        """Whether all documents of the tenant are seen."""
        return self.readers is None and self.locked is None


def parse_acl(value: object) -> Acl | None:
    """Read a list from JSON; ``None`` where there is none.

    Raises:
        InvalidDocument: names the entry that is wrong.
    """
    if value is None:
        return None
    if not isinstance(value, dict) or any(key not in _KEYS for key in value):
        raise InvalidDocument('acl is an object like {"users": ["alice"], "groups": ["staff"]}', location=("acl",))
    users, groups = (tuple(sorted(set(_names(value.get(key), key)))) for key in _KEYS)
    if len(users) + len(groups) > MAX_ENTRIES:
        message = f"acl has {len(users) + len(groups):,} entries; the limit is {MAX_ENTRIES:,}: name groups"
        raise InvalidDocument(message, location=("acl",))
    return Acl(users, groups)


def wire_acl(acl: Acl | None) -> dict[str, list[str]] | None:
    """The list as ``parse_acl`` reads it."""
    return None if acl is None else {"users": list(acl.users), "groups": list(acl.groups)}


def reader_names(users: Iterable[str], groups: Iterable[str]) -> frozenset[str]:
    """The names under which an index keeps users and groups, which are two kinds of names."""
    return frozenset((*(f"user:{name}" for name in users), *(f"group:{name}" for name in groups)))


def stored_names(acl: Acl) -> list[str]:
    """The list as an index keeps it."""
    return sorted(reader_names(acl.users, acl.groups)) or [_EMPTY]


def _names(value: object, key: str) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, list):
        raise InvalidDocument(f"acl.{key} is a list of names", location=("acl", key))
    for index, name in enumerate(value):
        good = isinstance(name, str) and 0 < len(name) <= MAX_NAME_CHARS and is_encodable(name)
        if not good or any(ord(char) < 32 for char in name):
            message = f"acl.{key}: {repr(name)[:80]} is not a name of 1 to {MAX_NAME_CHARS} printable characters"
            raise InvalidDocument(message, location=("acl", key, index))
        yield name
