"""Tokens and their issuers on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from service.schemas.common import Body, View
from winnow.core.principal import EVERY_COLLECTION, Scope
from winnow.core.token_claims import TokenGrant
from winnow.operations.issuers import IssuerSpec
from winnow.operations.tokens import DEFAULT_SECONDS, MAX_SECONDS
from winnow.ports import OWN_ISSUER


class TokenBody(Body):
    """A token to be signed. What is left out is taken from the key that asks."""

    sub: str = Field(min_length=1, max_length=256, description="the user, whom access lists name, or the page")
    collections: list[str] | None = Field(None, description="names or patterns")
    filter: dict[str, Any] | None = Field(None, description="every search is narrowed by it")
    tenant: str | None = None
    groups: list[str] | None = Field(None, description="groups of the user, which access lists name")
    top_n: int | None = Field(None, ge=1, le=100, description="the most results of a search")
    origins: list[str] | None = Field(None, description="web origins that it may be used from")
    scopes: list[Scope] | None = Field(None, description="search, by default, and documents:read")
    expires_in: int = Field(DEFAULT_SECONDS, ge=1, le=MAX_SECONDS, description="seconds")

    def to_grant(self) -> TokenGrant:
        """The domain's form of its rights."""
        lists = {
            name: None if value is None else tuple(value)
            for name, value in (
                ("collections", self.collections),
                ("groups", self.groups),
                ("origins", self.origins),
                ("scopes", self.scopes),
            )
        }
        return TokenGrant(filter=self.filter, tenant=self.tenant, top_n=self.top_n, **lists)


class TokenView(View):
    """A token, which is the credential of its bearer."""

    token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    expires_in: int = Field(description="seconds")


class KeySetView(View):
    """The public keys of the installation's tokens (RFC 7517)."""

    keys: list[dict[str, Any]]


class IssuerBody(Body):
    """An issuer whose tokens are to be accepted."""

    name: str = Field(min_length=1, max_length=512, description="the iss of its tokens")
    public_key: str = Field("", description="PEM; of Ed25519, P-256 or RSA with 2048 bits or more")
    kid: str = Field("", max_length=200, description="by which tokens name the key; by default its thumbprint")
    openid: bool = Field(False, description="it is an OpenID provider, whose keys are fetched")
    jwks_url: str = Field("", description="where its keys are, if not where it says itself")
    audience: str = OWN_ISSUER
    collections: list[str] = Field(list(EVERY_COLLECTION), description="the most that its tokens may name")
    tenant: str | None = Field(None, description="the only tenant of its tokens")
    scopes: list[Scope] = Field(["search"], description="search, and documents:read")
    tenant_claim: str = Field("", description="claim that tells the tenant")
    groups_claim: str = Field("", description="claim that tells the groups")

    def to_spec(self) -> IssuerSpec:
        """The domain's form."""
        given = vars(self) | {"collections": tuple(self.collections), "scopes": frozenset(self.scopes)}
        return IssuerSpec(**given)


class IssuerKeyView(View):
    """A registered public key."""

    kid: str
    alg: str


class IssuerView(View):
    """A registered issuer."""

    name: str
    audience: str
    algorithms: list[str]
    keys: list[IssuerKeyView]
    jwks_url: str
    collections: list[str]
    tenant: str | None
    scopes: list[Scope]
    tenant_claim: str
    groups_claim: str
    created_at: datetime | None


class IssuerList(View):
    """The registered issuers, by name."""

    issuers: list[IssuerView]
