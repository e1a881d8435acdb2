"""What a token says, as claims, and the principal that it makes of its bearer.

::

    {"iss", "aud", "sub", "exp", "iat",
     "winnow": {"collections": ["docs"], "filter": {…}, "tenant": "acme", "groups": ["staff"], "top_n": 10,
                "origins": ["https://www.example.com"], "scopes": ["search"]}}

Every member of ``winnow`` may be left out. A token belongs to one tenant, ``''`` where it names none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from winnow.core.errors import InvalidInput
from winnow.core.principal import Principal, Scope, fits_pattern
from winnow.core.tenancy import check_tenant
from winnow.core.types import JsonValue

TOKEN_SCOPES: Final[frozenset[Scope]] = frozenset({"search", "documents:read"})
"""What tokens may be for at most."""
MAX_ENTRIES: Final = 100

_LISTS: Final = ("collections", "groups", "origins", "scopes")
_MEMBERS: Final = (*_LISTS, "filter", "tenant", "top_n")


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """The rights in a token's ``winnow`` claim; ``None`` where it says nothing."""

    collections: tuple[str, ...] | None = None
    filter: Mapping[str, JsonValue] | None = None
    tenant: str | None = None
    groups: tuple[str, ...] | None = None
    top_n: int | None = None
    origins: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = None

    def claim(self) -> dict[str, JsonValue]:
        """The claim that ``read_grant`` reads."""
        values = {name: getattr(self, name) for name in _MEMBERS}
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {name: value for name, value in lists.items() if value is not None}


@dataclass(frozen=True, slots=True)
class GrantLimits:
    """The most that tokens of an issuer may be given: as in ``Principal``."""

    collections: tuple[str, ...]
    tenant: str | None
    scopes: frozenset[Scope]


def read_grant(value: object) -> TokenGrant:
    """Read the ``winnow`` claim.

    Raises:
        InvalidInput: a member is unknown, or not of its type.
    """
    if not isinstance(value, dict):
        raise InvalidInput("the claim winnow is an object")
    for name, member in value.items():
        if name not in _MEMBERS:
            raise InvalidInput(f"the claim winnow has no member {str(name)[:80]!r}; it has {', '.join(_MEMBERS)}")
        _check_member(name, member)
    lists: dict[str, Any] = {name: tuple(value[name]) for name in _LISTS if value.get(name) is not None}
    others = {name: value[name] for name in ("filter", "tenant", "top_n") if value.get(name) is not None}
    return TokenGrant(**lists, **others)


def principal_of_token(claims: Mapping[str, Any], grant: TokenGrant, limits: GrantLimits) -> Principal:
    """The principal of a token whose signature, times, issuer and audience have been checked.

    Raises:
        InvalidInput: it claims more than its issuer may give; the message says what.
    """
    collections = limits.collections if grant.collections is None else grant.collections
    for pattern in collections:
        if not any(fits_pattern(pattern, allowed) for allowed in limits.collections):
            raise InvalidInput(f"its issuer gives no access to collection {pattern[:80]!r}")
    tenant = grant.tenant if grant.tenant is not None else limits.tenant or ""
    if limits.tenant is not None and tenant != limits.tenant:
        raise InvalidInput(f"its issuer is bound to the tenant {limits.tenant!r} and cannot name {tenant[:80]!r}")
    scopes = frozenset({"search"} if grant.scopes is None else grant.scopes)
    if beyond := scopes - (limits.scopes & TOKEN_SCOPES):
        raise InvalidInput(f"its issuer cannot give the scope {', '.join(sorted(beyond))[:80]}")
    return Principal(
        "token",
        str(claims["sub"]),
        limits.scopes & scopes,
        collections,
        tenant,
        users=frozenset({str(claims["sub"])}),
        groups=frozenset(grant.groups or ()),
        locked_filter=grant.filter,
        max_top_n=grant.top_n,
        origins=grant.origins or (),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
    )


def _check_member(name: str, member: object) -> None:
    if member is None:
        return
    if name in _LISTS:
        least = 1 if name in ("collections", "scopes") else 0
        fine = isinstance(member, list) and least <= len(member) <= MAX_ENTRIES
        if not fine or not all(isinstance(each, str) for each in cast("list[object]", member)):
            raise InvalidInput(f"winnow.{name} is a list of {least} to {MAX_ENTRIES} strings")
    elif name == "filter" and not isinstance(member, dict):
        raise InvalidInput("winnow.filter is a filter")
    elif name == "tenant":
        check_tenant(member)
    elif name == "top_n" and (isinstance(member, bool) or not isinstance(member, int) or member < 1):
        raise InvalidInput("winnow.top_n is an integer from 1")
