"""Tokens that the server of LibreChat signs for its RAG API with a secret that it shares with this service.

They are JSON Web Tokens (RFC 7519) signed with HS256, ``{"id": user, "iat", "exp"}``, valid for five minutes
(LibreChat, ``generateShortLivedToken``). LibreChat signs the sessions of its users with the same secret, and those have
further claims: such a token comes from a browser, not from the server, and is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import jwt

from winnow.core.acl import MAX_NAME_CHARS
from winnow.core.clock import Clock, utc_now
from winnow.core.errors import Unauthorized
from winnow.core.principal import Principal, Scope
from winnow.operations.tokens import check_times

_ALGORITHM: Final = "HS256"
_CLAIMS: Final = frozenset({"id", "iat", "exp"})
_SCOPES: Final[frozenset[Scope]] = frozenset({"search", "documents:read", "documents:write"})


@dataclass(frozen=True, slots=True)
class LibreChatTokens:
    """Verifies the tokens of one LibreChat.

    Attributes:
        secret: its ``JWT_SECRET``.
        collection: the only one that its tokens are for.
        clock: the time of day.
    """

    secret: str
    collection: str
    clock: Clock = utc_now

    def principal(self, token: str) -> Principal | None:
        """The principal of a token; ``None`` for one that another issuer signed, by another algorithm.

        Raises:
            Unauthorized: it is not valid; the message says why.
        """
        try:
            if jwt.get_unverified_header(token).get("alg") != _ALGORITHM:
                return None
            claims = jwt.decode(
                token,
                self.secret,
                algorithms=[_ALGORITHM],
                options={"require": ["exp"], "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise Unauthorized(f"the token is not one of this service's LibreChat: {error!s:.200}") from error
        check_times(claims, self.clock().timestamp())
        user = claims.get("id")
        if not isinstance(user, str) or not 0 < len(user) <= MAX_NAME_CHARS or not user.isprintable():
            raise Unauthorized("the token of LibreChat names no user (id)")
        if further := claims.keys() - _CLAIMS:
            named = ", ".join(sorted(further))[:80]
            raise Unauthorized(f"the token is one of a browser's session ({named}); LibreChat's server sends others")
        return Principal(
            "token",
            user,
            _SCOPES,
            (self.collection,),
            "",
            users=frozenset({user}),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )


def is_of_librechat(principal: Principal) -> bool:
    """Whether a principal is that of such a token: no other token may write."""
    return principal.kind == "token" and "documents:write" in principal.scopes


def as_server(principal: Principal) -> Principal:
    """LibreChat's server itself, which decides itself who may read and delete a file; other callers as they are."""
    if not is_of_librechat(principal):
        return principal
    return replace(principal, kind="key", subject=f"librechat/{principal.subject}")


def on_behalf_of(principal: Principal, entity: str) -> Principal:
    """The user of a token, also counted as the agent ``entity`` that LibreChat asks for; other callers as they are."""
    if not entity or not is_of_librechat(principal):
        return principal
    return replace(principal, users=principal.users | {entity})
