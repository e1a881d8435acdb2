"""Callers for tests over HTTP: principals by the name that a request carries as its credential."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from winnow.core.principal import LOCAL, SCOPES, Principal

ADMIN: Final = Principal("key", "wnw_admin")
READER: Final = Principal("key", "wnw_reader", frozenset({"search", "documents:read"}))
WRITER: Final = Principal("key", "wnw_writer", frozenset({"search", "documents:read", "documents:write"}))
BROWSER: Final = Principal("key", "wnw_browser", frozenset({"search"}))


def bound(tenant: str, principal: Principal = WRITER) -> Principal:
    """A principal of one tenant."""
    return replace(principal, subject=f"{principal.subject}_{tenant}", tenant=tenant)


def user(name: str, *groups: str, **rights: Any) -> Principal:
    """The principal of a token for one user, who may read documents as well."""
    scopes = frozenset({"search", "documents:read"})
    return Principal("token", name, scopes, users=frozenset({name}), groups=frozenset(groups), **rights)


class Callers:
    """Stands in for the lookup of credentials: ``Bearer <name>`` is the principal that a test has given this name."""

    def __init__(self) -> None:
        self.known: dict[str, Principal] = {"all": replace(LOCAL, scopes=SCOPES)}

    def header(self, name: str, principal: Principal) -> Mapping[str, str]:
        """The header of a principal's requests."""
        self.known[name] = principal
        return {"Authorization": f"Bearer {name}"}

    async def principal(self, credential: Any) -> Principal:
        """As ``Access.principal``."""
        header = dict(credential).get("authorization", "")
        return self.known[header.removeprefix("Bearer ") or "all"]
