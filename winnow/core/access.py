"""The one place where it is decided which documents a request sees: a filter that is joined to the caller's own.

Tenant and access list of a document are kept in an index as two fields of their own, which no caller can declare or
name. What an index is asked and what ``matches`` tests on rows of the catalog is therefore one tree: searches,
listings, counts and single reads cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from winnow.core.acl import ACL_FIELD, TENANT_FIELD, AccessRules, AccessView, Acl, reader_names, stored_names
from winnow.core.errors import Forbidden, InvalidFilter
from winnow.core.filters import matches, parse_filter
from winnow.core.principal import Principal, Scope
from winnow.core.tenancy import check_tenant, tenant_of
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
_OVER_TENANTS: Final[frozenset[Scope]] = frozenset({"collections:admin", "operate"})
_TRUSTED: Final[frozenset[Scope]] = frozenset({"documents:read", "documents:write", "collections:admin"})


def view_of(principal: Principal, tenant: str | None = None) -> AccessView:
    """What a principal sees of a collection, of the tenant that it names or of its own.

    Access lists do not narrow what a caller without a credential sees, nor a key that reads, writes or administers all
    documents. A key that may only search counts as no user and no group.

    Raises:
        InvalidInput: this cannot be the name of a tenant.
        Forbidden: the principal may not name it.
    """
    chosen = check_tenant(tenant) if tenant is not None else principal.tenant or ""
    if not may_name(principal, chosen):
        whose = "bound to no tenant" if principal.tenant is None else f"bound to the tenant {principal.tenant!r}"
        raise Forbidden(f"{principal.described} is {whose} and cannot name {chosen!r}", location=("tenant",))
    trusted = principal.kind != "token" and not principal.scopes.isdisjoint(_TRUSTED)
    readers = None if trusted else reader_names(principal.users, principal.groups)
    return AccessView(chosen, readers, principal.locked_filter)


def may_name(principal: Principal, tenant: str) -> bool:
    """Whether a principal may name a tenant: its own, or any if it is bound to none and administers collections."""
    if principal.tenant is not None:
        return tenant == principal.tenant
    return tenant == "" or "collections:admin" in principal.scopes


def require_unbound(principal: Principal) -> None:
    """Raise ``Forbidden`` for a principal bound to a tenant: what it asks for concerns all tenants of a collection."""
    if principal.tenant is not None:
        raise Forbidden(
            f"{principal.described} is bound to the tenant {principal.tenant!r}; this request concerns all tenants of "
            "the collection"
        )


def sees_all_tenants(principal: Principal) -> bool:
    """Whether what is counted over all tenants, and jobs of any, are for this principal."""
    return principal.tenant is None and not principal.scopes.isdisjoint(_OVER_TENANTS)


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
        Forbidden: the locked filter does not fit the collection's fields.
    """
    try:
        locked = None if view.locked is None else parse_filter(view.locked, collection.fields)
    except InvalidFilter as error:
        message = f"the locked filter of the credential does not fit collection {collection.name!r}: {error.message}"
        raise Forbidden(message) from error
    parts = (access_condition(view, collection.access), locked, wanted)
    return _all([part for part in parts if part is not None])


def audience_of(view: AccessView, collection: Collection) -> str:
    """A digest of which documents a view sees; empty where it sees all. Equal for callers who see the same."""
    condition = joined(view, collection)
    return "" if condition is None else blake2b(repr(condition).encode(), digest_size=12).hexdigest()


def sees(view: AccessView, collection: Collection, document: Document) -> bool:
    """Tell whether a document is in the view. Raises as ``joined``."""
    allowed = joined(view, collection)
    return allowed is None or matches(allowed, {**document.metadata, **access_values(document.id, document.acl)})


def _all(parts: Sequence[Filter]) -> Filter | None:
    return None if not parts else parts[0] if len(parts) == 1 else And(tuple(parts))


def _listed(readers: frozenset[str], *, public: bool) -> Filter:
    named: Filter = Comparison("in", ACL_FIELD, sorted(readers)) if readers else _NOTHING
    return Or((Not(Exists(ACL_FIELD)), named)) if public else named
