"""The one place where it is decided which documents a request sees: a filter that is joined to the caller's own.

Tenant and access list of a document are kept in an index as two fields of their own, which no caller can declare or
name. What an index is asked and what ``matches`` tests on rows of the catalog is therefore one tree: searches,
listings, counts and single reads cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from winnow.core.acl import ACL_FIELD, TENANT_FIELD, AccessRules, AccessView, Acl, stored_names
from winnow.core.filters import matches, parse_filter
from winnow.core.tenancy import tenant_of
from winnow.core.types import (
    And,
    Collection,
    Comparison,
    Document,
    Exists,
    Filter,
    JsonValue,
    Metadata,
    Not,
    Or,
)

_NOTHING: Final = Or(())


def access_values(qualified: str, acl: Acl | None) -> Metadata:
    """What an index keeps of a document's tenant and access list; nothing where it has neither."""
    values: dict[str, JsonValue] = {}
    if tenant := tenant_of(qualified):
        values[TENANT_FIELD] = tenant
    if acl is not None:
        values[ACL_FIELD] = stored_names(acl)
    return values


def access_condition(view: AccessView, rules: AccessRules) -> Filter | None:
    """The condition of tenant and access list for a document to be seen; ``None`` where every document is."""
    parts: list[Filter] = []
    if view.tenant:
        parts.append(Comparison("eq", TENANT_FIELD, view.tenant) if rules.in_use else _NOTHING)
    elif rules.in_use:
        parts.append(Not(Exists(TENANT_FIELD)))
    if view.readers is not None and (rules.in_use or rules.default == "none"):
        parts.append(_listed(view.readers, public=rules.default == "public"))
    return _all(parts)


def joined(view: AccessView, collection: Collection, wanted: Filter | None = None) -> Filter | None:
    """The caller's filter, the locked one, and the condition of tenant and access list: all have to be met.

    ``None`` where every document of the collection passes.

    Raises:
        InvalidFilter: the locked filter does not fit the collection's fields.
    """
    locked = None if view.locked is None else parse_filter(view.locked, collection.fields)
    parts = (access_condition(view, collection.access), locked, wanted)
    return _all([part for part in parts if part is not None])


def sees(view: AccessView, collection: Collection, document: Document) -> bool:
    """Tell whether a document is in the view. Raises as ``joined``."""
    allowed = joined(view, collection)
    return allowed is None or matches(allowed, {**document.metadata, **access_values(document.id, document.acl)})


def _all(parts: Sequence[Filter]) -> Filter | None:
    return None if not parts else parts[0] if len(parts) == 1 else And(tuple(parts))


def _listed(readers: frozenset[str], *, public: bool) -> Filter:
    named: Filter = Comparison("in", ACL_FIELD, sorted(readers)) if readers else _NOTHING
    return Or((Not(Exists(ACL_FIELD)), named)) if public else named
