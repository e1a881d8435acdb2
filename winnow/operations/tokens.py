"""Tokens: minted for page and user, and verified whoever signed them.

Three kinds of issuers, one verifier: the installation itself, whose key pairs lie in the catalog, where every replica
finds them; a customer's back end, which signs offline and has registered its public key; an OpenID provider, whose keys
are fetched. A token is JSON Web Token (RFC 7519), signed; the ``alg`` of its header must be one that its issuer uses,
and fit the key.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import jwt
from cachetools import TTLCache

from winnow.core.access import may_name
from winnow.core.clock import Clock, utc_now
from winnow.core.errors import Forbidden, InvalidInput, Unauthorized
from winnow.core.filters import check_shape
from winnow.core.origins import wrong_origin
from winnow.core.principal import Principal, fits_pattern
from winnow.core.token_claims import TOKEN_SCOPES, GrantLimits, TokenGrant, principal_of_token, read_grant
from winnow.operations.audit import audited
from winnow.operations.token_keys import algorithm_of, fetch_json, new_signing_key, public_jwk, usable_keys
from winnow.ports import OWN_ISSUER, AuditTrail, Jwk, SigningKey, TokenCatalog, TokenIssuer

SKEW_SECONDS: Final = 60.0
"""How far the clocks of issuer and service may be apart."""
MAX_SECONDS: Final = 24 * 3600
"""The longest life of a token."""
DEFAULT_SECONDS: Final = 900
MAX_TOKEN_CHARS: Final = 8192
ROTATE_AFTER: Final = timedelta(days=30)
KEPT_KEYS: Final = 3  # the one that signs, and those whose last tokens may still be valid
CACHE_SECONDS: Final = 2.0
FETCHED_SECONDS: Final = 600.0
RETRY_SECONDS: Final = 30.0  # an unknown ``kid`` does not have keys fetched more often than this

_OWN: Final = TokenIssuer(OWN_ISSUER, ("EdDSA",), scopes=tuple(sorted(TOKEN_SCOPES)))
_NEEDED: Final = ("exp", "iss", "aud", "sub")


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A signed token, and the seconds that it is valid for."""

    token: str
    expires_in: int


def looks_like_token(credential: str) -> bool:
    """Whether a bearer's credential is a token rather than a key: three parts, the first of which is a JSON object."""
    return credential.startswith("ey") and credential.count(".") == 2


@dataclass
class Tokens:
    """Mints and verifies tokens. Issuers and keys are remembered for ``CACHE_SECONDS``, fetched keys for longer.

    Attributes:
        catalog: issuers and the installation's key pairs.
        trail: where mints are recorded.
        clock: the time of day.
        fetch: reads the JSON at an address.
        timer: monotonic seconds, which the caches expire by.
    """

    catalog: TokenCatalog
    trail: AuditTrail
    clock: Clock = utc_now
    fetch: Callable[[str], Awaitable[Any]] = fetch_json
    timer: Callable[[], float] = time.monotonic
    _known: TTLCache[str, Any] = field(init=False)
    _fetched: dict[str, tuple[float, Sequence[Jwk]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._known = TTLCache(2, CACHE_SECONDS, timer=self.timer)

    def forget(self) -> None:
        """Ask the catalog next time: this process has changed an issuer or a key."""
        self._known.clear()

    async def mint(
        self, principal: Principal, subject: str, grant: TokenGrant, *, seconds: int = DEFAULT_SECONDS
    ) -> MintedToken:
        """Sign a token for a subject, with at most the rights of the principal.

        Raises:
            Forbidden: the principal has no such rights; the message says which.
            InvalidInput: the lifetime is out of range, an origin is none, or the rights can be those of no token.
        """
        principal.require("tokens:create")
        if not subject:
            raise InvalidInput("sub names the user or the page that the token is for", location=("sub",))
        if not 1 <= seconds <= MAX_SECONDS:
            raise InvalidInput(f"expires_in is 1 to {MAX_SECONDS} seconds", location=("expires_in",))
        if (wrong := wrong_origin(grant.origins or ())) is not None:
            raise InvalidInput(wrong, location=("origins",))
        if grant.filter is not None:
            check_shape(grant.filter)
        rights = bounded(principal, grant).claim()
        read_grant(rights)  # as it will be read
        now = self.clock()
        end = now + timedelta(seconds=seconds)
        if principal.expires_at is not None:
            end = min(end, principal.expires_at)  # a token does not outlive the key that made it
        claims: dict[str, Any] = {
            "iss": OWN_ISSUER,
            "aud": OWN_ISSUER,
            "sub": subject,
            "iat": int(now.timestamp()),
            "exp": int(end.timestamp()),
            "winnow": rights,
        }
        async with audited(self.trail, principal, "token.create") as details:
            key = await self._signing_key()
            details.update(subject=subject, kid=key.kid, expires_at=end.isoformat())
            token = jwt.encode(claims, key.private_pem, "EdDSA", headers={"kid": key.kid})
        return MintedToken(token, claims["exp"] - claims["iat"])

    async def jwks(self) -> dict[str, Any]:
        """The public keys of the installation's own tokens, as RFC 7517 has a key set."""
        return {"keys": [public_jwk(key) for key in await self._signing_keys()]}

    async def secrets(self, purpose: str) -> Sequence[bytes]:
        """Secrets of 32 bytes for one purpose, which every replica derives from the key pairs; the newest first.

        One at least: a key pair is made where there is none.
        """
        await self._signing_key()
        return [hmac.digest(key.private_pem.encode(), purpose.encode(), "sha256") for key in await self._signing_keys()]

    async def principal(self, token: str) -> Principal:
        """The principal of a token.

        Raises:
            Unauthorized: it is not valid; the message says why.
            UpstreamUnavailable: the keys of its issuer cannot be fetched.
        """
        if len(token) > MAX_TOKEN_CHARS:
            raise Unauthorized(f"the token has more than {MAX_TOKEN_CHARS} characters")
        issuer, header = await self._issuer_of(token)
        if header.get("alg") not in issuer.algorithms:
            allowed = ", ".join(issuer.algorithms)
            raise Unauthorized(
                f"tokens of {issuer.name!r} are signed with {allowed}, not with {str(header.get('alg'))[:20]!r}"
            )
        key = await self._key_of(issuer, header.get("kid"))
        if algorithm_of(key) != header["alg"]:
            raise Unauthorized(f"the key {key['kid']!r} of {issuer.name!r} is not one for {header['alg']}")
        claims = self._verified(token, issuer, key)
        limits = GrantLimits(issuer.collections, issuer.tenant, frozenset(issuer.scopes))
        try:
            return principal_of_token(claims, _grant_of(claims, issuer), limits)
        except InvalidInput as error:
            raise Unauthorized(f"the token of {issuer.name!r} claims what it cannot: {error.message}") from error

    async def _issuer_of(self, token: str) -> tuple[TokenIssuer, dict[str, Any]]:
        try:
            header = jwt.get_unverified_header(token)
            name = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise Unauthorized("the token is not a signed JSON Web Token") from error
        if "crit" in header:
            raise Unauthorized("the token's header has critical extensions, of which none is supported")
        issuers = await self._cached("issuers", self.catalog.issuers)
        issuer = _OWN if name == OWN_ISSUER else next((each for each in issuers if each.name == name), None)
        if issuer is None:
            raise Unauthorized(f"the issuer {str(name)[:200]!r} of the token is not registered here")
        return issuer, header

    def _verified(self, token: str, issuer: TokenIssuer, key: Jwk) -> dict[str, Any]:
        algorithm = str(algorithm_of(key))
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                jwt.PyJWK.from_dict({**key}, algorithm=algorithm),
                algorithms=[algorithm],
                audience=issuer.audience,
                issuer=issuer.name,
                options={"require": [*_NEEDED], "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidAudienceError as error:
            raise Unauthorized(f"the token is not for the audience {issuer.audience!r}") from error
        except jwt.InvalidSignatureError as error:
            raise Unauthorized(
                "the token's signature does not fit: it was changed, or signed with another key"
            ) from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthorized(f"the token is not valid: {error!s:.200}") from error
        if not claims["sub"]:
            raise Unauthorized("the token's sub is empty; it names the user or the page")
        check_times(claims, self.clock().timestamp())
        return claims

    async def _key_of(self, issuer: TokenIssuer, kid: object) -> Jwk:
        keys = await self._keys(issuer)
        if kid is None and len(keys) == 1:
            return keys[0]
        found = next((key for key in keys if key.get("kid") == kid), None)
        if found is None and (issuer.jwks_url or issuer is _OWN):
            again = await self._keys(issuer, again=True)
            found = next((key for key in again if key.get("kid") == kid), None)
        if found is None and kid is None:
            raise Unauthorized(f"the token names no key (kid), and {issuer.name!r} has {len(keys)}")
        if found is None:
            raise Unauthorized(f"the token names the key {str(kid)[:100]!r} (kid), which {issuer.name!r} does not have")
        return found

    async def _keys(self, issuer: TokenIssuer, *, again: bool = False) -> Sequence[Jwk]:
        if issuer is _OWN:
            return [public_jwk(key) for key in await self._signing_keys()]
        if not issuer.jwks_url:
            return issuer.keys
        at, keys = self._fetched.get(issuer.jwks_url, (-FETCHED_SECONDS, ()))
        if self.timer() - at >= (RETRY_SECONDS if again else FETCHED_SECONDS):
            self._fetched[issuer.jwks_url] = (self.timer(), keys)  # also where it fails: not with every request
            keys = usable_keys(await self.fetch(issuer.jwks_url))
            self._fetched[issuer.jwks_url] = (self.timer(), keys)
        return keys

    async def _signing_key(self) -> SigningKey:
        """The newest key pair; a new one where there is none, or it is old."""
        keys = await self._signing_keys()
        now = self.clock()
        if keys and now - keys[0].created_at < ROTATE_AFTER:
            return keys[0]
        stored = await self.catalog.add_signing_key(new_signing_key(now), keep=KEPT_KEYS)
        self.forget()
        return stored[0]

    async def _signing_keys(self) -> Sequence[SigningKey]:
        keys: Sequence[SigningKey] = await self._cached("keys", self.catalog.signing_keys)
        return keys

    async def _cached(self, name: str, read: Callable[[], Awaitable[Any]]) -> Any:
        known = self._known.get(name)  # asked once: it may end between two looks
        if known is None:
            known = self._known[name] = await read()
        return known


def bounded(principal: Principal, grant: TokenGrant) -> TokenGrant:
    """The grant within the rights of the principal that mints: what it leaves out is filled in with the principal's.

    Raises:
        Forbidden: it goes beyond them.
    """
    collections = principal.collections if grant.collections is None else grant.collections
    scopes = ("search",) if grant.scopes is None else grant.scopes
    tenant = grant.tenant if grant.tenant is not None else principal.tenant or ""
    origins = principal.origins if grant.origins is None else grant.origins
    beyond: dict[str, Sequence[str]] = {
        "collections": [one for one in collections if not any(fits_pattern(one, own) for own in principal.collections)],
        "scopes": sorted(set(scopes) - (principal.scopes & TOKEN_SCOPES)),
        "tenant": [] if may_name(principal, tenant) else [tenant or "''"],
        "origins": [one for one in origins or ["any"] if principal.origins and one not in principal.origins],
    }
    if wrong := [f"{name} {', '.join(values):.200}" for name, values in beyond.items() if values]:
        raise Forbidden(f"{principal.described} cannot give rights that it lacks: {'; '.join(wrong)}")
    filters = [each for each in (principal.locked_filter, grant.filter) if each is not None]
    tops = [each for each in (principal.max_top_n, grant.top_n) if each is not None]
    return TokenGrant(
        collections=tuple(collections),
        filter={"type": "and", "filters": filters} if len(filters) > 1 else next(iter(filters), None),
        tenant=tenant,
        groups=grant.groups,
        top_n=min(tops, default=None),
        origins=tuple(origins) or None,
        scopes=tuple(scopes),
    )


def _grant_of(claims: dict[str, Any], issuer: TokenIssuer) -> TokenGrant:
    """The ``winnow`` claim, and where it is silent the claims that the issuer's mapping names."""
    value = claims.get("winnow", {})
    if isinstance(value, dict):
        value = {name: member for name, member in value.items() if member is not None}
        if issuer.tenant_claim and "tenant" not in value:
            if issuer.tenant_claim not in claims:
                raise InvalidInput(f"it has no claim {issuer.tenant_claim!r}, which tells the tenant")
            value["tenant"] = claims[issuer.tenant_claim]
        if issuer.groups_claim in claims and "groups" not in value:
            groups = claims[issuer.groups_claim]
            value["groups"] = [groups] if isinstance(groups, str) else groups
    return read_grant(value)


def check_times(claims: Mapping[str, Any], now: float) -> None:
    """Compare the times of a token, of which ``exp`` must be there, with now. Raises ``Unauthorized``."""
    times = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in times.values()):
        raise Unauthorized("exp, nbf and iat of a token are seconds since 1970")
    if now >= times["exp"] + SKEW_SECONDS:
        raise Unauthorized(f"the token expired {now - times['exp']:.0f} s ago; get a new one")
    if times["exp"] > now + MAX_SECONDS + SKEW_SECONDS:
        raise Unauthorized(f"the token would be valid for longer than {MAX_SECONDS // 3600} hours; exp is in seconds")
    if max(times.get("nbf", now), times.get("iat", now)) > now + SKEW_SECONDS:
        raise Unauthorized("the token is not valid yet; the clocks of its issuer and of this service are apart")
