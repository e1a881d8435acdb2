"""Tokens as other parties sign them, with PyJWT."""

from __future__ import annotations

from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.contracts.catalog_data import FakeClock
from winnow.operations.token_keys import read_public_key


def pem_of(private: Any) -> str:
    """The public half of a key in PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(private.public_key().public_bytes(serialization.Encoding.PEM, form).decode())


def issuer_key(private: Any, kid: str) -> dict[str, Any]:
    """The public half of a key as a provider publishes it."""
    return {**read_public_key(pem_of(private), kid)}


def algorithm(private: Any) -> str:
    """The algorithm for a key."""
    match private:
        case ed25519.Ed25519PrivateKey():
            return "EdDSA"
        case ec.EllipticCurvePrivateKey():
            return "ES256"
        case _:
            return "RS256"


def signed(
    private: Any, clock: FakeClock, issuer: str, *, kid: str | None = "", alg: str | None = None, **changes: Any
) -> str:
    """A token that is valid for ten minutes; ``kid`` is the key's thumbprint unless another or none is asked for."""
    now = int(clock.now.timestamp())
    claims = {"iss": issuer, "aud": "winnow", "sub": "alice", "iat": now, "exp": now + 600, **changes}
    named = read_public_key(pem_of(private))["kid"] if kid == "" else kid
    headers = {} if named is None else {"kid": named}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, private, alg or algorithm(private), headers=headers)
