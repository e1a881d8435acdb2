"""Registering, listing and removing the issuers of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from winnow.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from winnow.core.principal import EVERY_COLLECTION, Principal, Scope, fits_pattern
from winnow.core.tenancy import check_tenant
from winnow.core.token_claims import TOKEN_SCOPES
from winnow.operations.audit import audited
from winnow.operations.token_keys import algorithm_of, read_public_key, usable_keys
from winnow.operations.tokens import Tokens
from winnow.ports import OWN_ISSUER, Algorithm, TokenIssuer

MAX_NAME_CHARS: Final = 512
MAX_KEYS: Final = 5
_OPENID: Final[tuple[Algorithm, ...]] = ("EdDSA", "ES256", "RS256")


@dataclass(frozen=True, slots=True)
class IssuerSpec:
    """An issuer as it is registered: with a public key in PEM, or as an OpenID provider.

    ``name`` is the ``iss`` of its tokens. The other fields are as in ``TokenIssuer``.
    """

    name: str
    public_key: str = ""
    kid: str = ""
    openid: bool = False
    jwks_url: str = ""
    audience: str = OWN_ISSUER
    collections: tuple[str, ...] = EVERY_COLLECTION
    tenant: str | None = None
    scopes: frozenset[Scope] = frozenset({"search"})
    tenant_claim: str = ""
    groups_claim: str = ""


async def add_issuer(tokens: Tokens, principal: Principal, spec: IssuerSpec) -> TokenIssuer:
    """Accept the tokens of an issuer; a second key of one that is registered is accepted beside its first.

    Raises:
        InvalidInput: the key, a name or an address cannot be used.
        Conflict: the issuer is registered with other rights; a further key does not change them.
        Forbidden: its tokens would have rights that the principal lacks.
        UpstreamUnavailable: the provider's description or keys cannot be fetched.
    """
    principal.require("keys:admin")
    _check(principal, spec)
    issuer = TokenIssuer(
        spec.name,
        _OPENID,
        spec.audience,
        collections=spec.collections,
        tenant=spec.tenant if principal.tenant is None else principal.tenant,
        scopes=tuple(sorted(spec.scopes)),
        tenant_claim=spec.tenant_claim,
        groups_claim=spec.groups_claim,
    )
    if spec.openid or spec.jwks_url:
        issuer = replace(issuer, jwks_url=await _key_address(tokens, principal, spec))
    else:
        issuer = await _with_key(tokens, principal, issuer, spec)
    async with audited(tokens.trail, principal, "issuer.add") as details:
        details.update(issuer=issuer.name, kids=[key["kid"] for key in issuer.keys], jwks_url=issuer.jwks_url)
        details.update(collections=list(issuer.collections), tenant=issuer.tenant)
        stored = await tokens.catalog.put_issuer(issuer)
    tokens.forget()
    return stored


async def see_issuers(tokens: Tokens, principal: Principal) -> Sequence[TokenIssuer]:
    """The issuers for collections and a tenant of the principal, by name."""
    principal.require("keys:admin")
    return [each for each in await tokens.catalog.issuers() if _covers(principal, each)]


async def remove_issuer(tokens: Tokens, principal: Principal, name: str) -> None:
    """Accept no token of an issuer any more, in any process after ``tokens.CACHE_SECONDS``.

    The name ``winnow`` throws away the installation's own key pairs, and so every token that was minted; the next one
    is signed with a new pair. This is for principals that see everything.

    Raises:
        NotFound: there is no such issuer, or it is not the principal's.
    """
    principal.require("keys:admin")
    async with audited(tokens.trail, principal, "issuer.remove") as details:
        details["issuer"] = name
        if name == OWN_ISSUER and principal.sees_everything:
            await tokens.catalog.remove_signing_keys()
        else:
            own = any(each.name == name for each in await see_issuers(tokens, principal))
            if not own or not await tokens.catalog.remove_issuer(name):
                raise NotFound(f"there is no issuer {name[:200]!r}")
    tokens.forget()


def _check(principal: Principal, spec: IssuerSpec) -> None:
    if not 0 < len(spec.name) <= MAX_NAME_CHARS or not spec.name.isprintable() or spec.name == OWN_ISSUER:
        message = f"the name is the iss of the tokens, 1 to {MAX_NAME_CHARS} printable characters, not {OWN_ISSUER!r}"
        raise InvalidInput(message, location=("name",))
    if bool(spec.public_key) == (spec.openid or bool(spec.jwks_url)):
        message = "give a public key, or name an OpenID provider by openid or jwks_url: one of the two"
        raise InvalidInput(message, location=("public_key",))
    if not spec.audience:
        raise InvalidInput("the audience is empty: any token of this issuer would do", location=("audience",))
    if (spec.openid or spec.jwks_url) and spec.audience == OWN_ISSUER:
        message = "name the audience: the client id that the provider knows this installation by"
        raise InvalidInput(message, location=("audience",))
    if wrong := spec.scopes - TOKEN_SCOPES:
        message = f"tokens may be for {', '.join(sorted(TOKEN_SCOPES))}, not {', '.join(sorted(wrong))}"
        raise InvalidInput(message, location=("scopes",))
    if spec.tenant is not None:
        check_tenant(spec.tenant)
    seen = [any(fits_pattern(one, own) for own in principal.collections) for one in spec.collections]
    if not seen or not all(seen) or (principal.tenant is not None and spec.tenant not in (None, principal.tenant)):
        raise Forbidden(f"{principal.described} cannot give rights that it lacks: collections or tenant")


def _covers(principal: Principal, issuer: TokenIssuer) -> bool:
    seen = [any(fits_pattern(one, own) for own in principal.collections) for one in issuer.collections]
    return all(seen) and principal.tenant in (None, issuer.tenant)


def _differing(known: TokenIssuer, wanted: TokenIssuer) -> str:
    """The rights of an issuer that differ from those wanted, as it has them; empty where none does."""
    names = ("audience", "collections", "tenant", "scopes", "tenant_claim", "groups_claim", "jwks_url")
    mine, theirs = asdict(known), asdict(wanted)
    values = {name: mine[name] for name in names if mine[name] != theirs[name]}
    shown = {name: " ".join(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return ", ".join(f"{name} {'none' if value is None else value}" for name, value in shown.items())


async def _with_key(tokens: Tokens, principal: Principal, issuer: TokenIssuer, spec: IssuerSpec) -> TokenIssuer:
    """The issuer with its new key, beside those that it has under this name already."""
    key = read_public_key(spec.public_key, spec.kid)
    known = next((each for each in await tokens.catalog.issuers() if each.name == spec.name), None)
    if known is not None and not _covers(principal, known):
        raise Forbidden(f"{principal.described} cannot add a key to this issuer")
    if known is not None and (rights := _differing(known, issuer)):
        raise Conflict(
            f"{spec.name!r} is registered already, with {rights}: give the same with its further key, or remove it "
            "first"
        )
    others = () if known is None else tuple(each for each in known.keys if each["kid"] != key["kid"])
    keys = (key, *others)
    if len(keys) > MAX_KEYS:
        raise InvalidInput(f"an issuer has at most {MAX_KEYS} keys; remove it and add those in use", location=("name",))
    return replace(issuer, keys=keys, algorithms=tuple(sorted({alg for each in keys if (alg := algorithm_of(each))})))


async def _key_address(tokens: Tokens, principal: Principal, spec: IssuerSpec) -> str:
    """The address of a provider's keys, which must hold one that can be used."""

    async def fetch(address: str) -> Any:
        return await tokens.fetch(_secure(address, may_be_local=principal.sees_everything))

    url = spec.jwks_url
    if not url:
        found = await fetch(spec.name.rstrip("/") + "/.well-known/openid-configuration")
        if not isinstance(found, dict) or found.get("issuer") != spec.name:
            raise InvalidInput(f"{spec.name} does not describe itself as an OpenID provider", location=("name",))
        url = str(found.get("jwks_uri", ""))
    if not usable_keys(await fetch(url)):
        raise InvalidInput(f"{url} has no key of Ed25519, P-256 or RSA", location=("jwks_url",))
    return url


def _secure(url: str, *, may_be_local: bool) -> str:
    """The address, if keys may be fetched from it: over HTTPS, or from the service's own machine."""
    parts = urlsplit(url)
    is_local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme != "https" and not (is_local and may_be_local):
        raise InvalidInput(f"keys are fetched over https, not from {url[:200]!r}", location=("jwks_url",))
    return url
