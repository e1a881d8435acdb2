"""Issuers of tokens, and the installation's own signing keys, in the catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol, TypeAlias

from winnow.core.principal import EVERY_COLLECTION, Scope

Algorithm: TypeAlias = Literal["EdDSA", "ES256", "RS256"]
Jwk: TypeAlias = Mapping[str, Any]
"""A public key, as RFC 7517 has it."""

OWN_ISSUER: Final = "winnow"
"""The ``iss`` of tokens that the installation signs itself, and the audience of all by default."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair of the installation. ``private_pem`` is PKCS #8 without a password."""

    kid: str
    private_pem: str = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """A party whose tokens are accepted.

    Attributes:
        name: the ``iss`` of its tokens.
        algorithms: the only ones that its tokens may be signed with.
        audience: what their ``aud`` has to name.
        keys: its public keys, each with ``kid`` and ``alg``; none where they are at ``jwks_url``.
        jwks_url: where an OpenID provider publishes its keys.
        collections: patterns of the collections that its tokens may name, and have where they name none.
        tenant: the only tenant that its tokens may be of; ``None`` for any.
        scopes: what its tokens may do at most.
        tenant_claim, groups_claim: claims that tell tenant and groups where the token has no ``winnow`` claim for them.
    """

    name: str
    algorithms: tuple[Algorithm, ...]
    audience: str = OWN_ISSUER
    keys: tuple[Jwk, ...] = ()
    jwks_url: str = ""
    collections: tuple[str, ...] = EVERY_COLLECTION
    tenant: str | None = None
    scopes: tuple[Scope, ...] = ("search",)
    tenant_claim: str = ""
    groups_claim: str = ""
    created_at: datetime | None = None


class TokenCatalog(Protocol):
    """Issuers and signing keys. Every method is one transaction."""

    async def signing_keys(self) -> Sequence[SigningKey]:
        """The installation's key pairs, newest first."""

    async def add_signing_key(self, key: SigningKey, *, keep: int) -> Sequence[SigningKey]:
        """Store a key pair, and forget all but the ``keep`` newest; return those that are stored."""

    async def remove_signing_keys(self) -> int:
        """Forget all key pairs; return how many there were."""

    async def issuers(self) -> Sequence[TokenIssuer]:
        """All issuers, by name."""

    async def put_issuer(self, issuer: TokenIssuer) -> TokenIssuer:
        """Store an issuer, in the place of one of the same name."""

    async def remove_issuer(self, name: str) -> bool:
        """Forget an issuer; tell whether there was one."""
