"""Tenants, and the ids of documents that tell their tenant.

A document is named by its collection, its tenant and its id; two tenants may both have a document ``1``. Everything
behind the doors (catalog, index, ledger) names it by its *qualified id*::

    ''         id                             the tenant of documents without one: the id as it is
    other      U+001F tenant U+001F id        control characters occur neither in tenants nor in ids

So the documents of a tenant are one range of a list that is sorted by qualified id, and documents without a tenant keep
the names, and thereby the points, that they had before there were tenants.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from winnow.core.errors import InvalidInput
from winnow.core.text import has_unprintable

MAX_TENANT_CHARS: Final = 128

_MARK: Final = "\x1f"
_AFTER_MARK: Final = "\x20"


class IdRange(NamedTuple):
    """Qualified ids from ``first`` on, and before ``end`` where there is one, in the order of code points."""

    first: str
    end: str | None


def qualify_id(tenant: str, document_id: str) -> str:
    """The qualified id of a tenant's document."""
    # an id that looks qualified must not become the name of another tenant's document
    is_plain = not tenant and not document_id.startswith(_MARK)
    return document_id if is_plain else f"{_MARK}{tenant}{_MARK}{document_id}"


def split_id(qualified: str) -> tuple[str, str]:
    """The tenant and the id that ``qualify_id`` was given."""
    if not qualified.startswith(_MARK):
        return "", qualified
    tenant, _, document_id = qualified[1:].partition(_MARK)
    return tenant, document_id


def plain_id(qualified: str) -> str:
    """The id as its owner gave it, without the tenant."""
    return split_id(qualified)[1]


def tenant_of(qualified: str) -> str:
    """The tenant of a document."""
    return split_id(qualified)[0]


def id_range(tenant: str) -> IdRange:
    """The qualified ids of a tenant."""
    if not tenant:
        return IdRange(_AFTER_MARK, None)
    return IdRange(f"{_MARK}{tenant}{_MARK}", f"{_MARK}{tenant}{_AFTER_MARK}")


def shared_tenant(qualified: Iterable[str]) -> str | None:
    """The tenant of all of these documents; ``None`` where they are of several, ``''`` where there are none."""
    tenants = {tenant_of(each) for each in qualified} or {""}
    return tenants.pop() if len(tenants) == 1 else None


def check_tenant(value: object) -> str:
    """Return the name of a tenant if it can be one: at most 128 characters, none of them a control character.

    Raises:
        InvalidInput: with ``("tenant",)`` as the place.
    """
    if not isinstance(value, str):
        raise InvalidInput("tenant is a string", location=("tenant",))
    if len(value) > MAX_TENANT_CHARS:
        message = f"tenant has {len(value)} characters; the limit is {MAX_TENANT_CHARS} (it starts {value[:40]!r})"
        raise InvalidInput(message, location=("tenant",))
    if has_unprintable(value):
        message = f"tenant {value[:80]!r} has control characters or lone surrogates; remove them"
        raise InvalidInput(message, location=("tenant",))
    return value
