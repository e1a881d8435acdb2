"""Keys of tokens: pairs that the installation makes, public keys that issuers register, and key sets at an address.

PyJWT and cryptography do the work. An algorithm follows from the kind of a key, never from a token.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from winnow.core.base64url import to_base64url
from winnow.core.errors import InvalidInput, UpstreamUnavailable
from winnow.ports import Algorithm, Jwk, SigningKey

MIN_RSA_BITS: Final = 2048
FETCH_SECONDS: Final = 5.0
_THUMBPRINT: Final = {"OKP": ("crv", "kty", "x"), "EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}  # RFC 7638
_ALGORITHM_OF: Final[dict[tuple[str, str], Algorithm]] = {
    ("OKP", "Ed25519"): "EdDSA",
    ("EC", "P-256"): "ES256",
    ("RSA", ""): "RS256",
}


def new_signing_key(now: datetime) -> SigningKey:
    """A fresh Ed25519 pair."""
    private = ed25519.Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return SigningKey(str(_jwk(private.public_key())["kid"]), pem, now)


def public_jwk(key: SigningKey) -> Jwk:
    """The public half of a pair."""
    private = serialization.load_pem_private_key(key.private_pem.encode(), None)
    return {**_jwk(private.public_key()), "kid": key.kid}


def read_public_key(pem: str, kid: str = "") -> Jwk:
    """A public key in PEM (SubjectPublicKeyInfo) as a JWK; without a ``kid`` its RFC 7638 thumbprint is one.

    Raises:
        InvalidInput: it is not a public key, or not of a kind that tokens may be signed with.
    """
    if "PRIVATE KEY" in pem:
        message = "this is a private key: keep it where tokens are signed, and register the public key alone"
        raise InvalidInput(message, location=("public_key",))
    try:
        found = _jwk(serialization.load_pem_public_key(pem.encode()))
    except (ValueError, UnsupportedAlgorithm) as error:
        message = (
            "it is not a public key that tokens may be signed with: use one in PEM, -----BEGIN PUBLIC KEY-----, of "
            "Ed25519, P-256, or RSA of 2048 bits or more"
        )
        raise InvalidInput(message, location=("public_key",)) from error
    return {**found, "kid": kid} if kid else found


def algorithm_of(jwk: Jwk) -> Algorithm | None:
    """The algorithm that a key is for; ``None`` for a key that tokens may not be signed with."""
    kind = str(jwk.get("kty", ""))
    known = _ALGORITHM_OF.get((kind, str(jwk.get("crv", "")) if kind != "RSA" else ""))
    return known if jwk.get("alg") in (None, known) and jwk.get("use") in (None, "sig") else None


async def fetch_json(url: str) -> Any:
    """The JSON at an address: a key set, or an OpenID provider's description.

    Raises:
        UpstreamUnavailable: it does not answer with JSON in time.
    """
    try:
        return await asyncio.to_thread(jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_SECONDS).fetch_data)
    except (jwt.PyJWTError, ValueError, OSError) as error:
        raise UpstreamUnavailable(f"the keys at {url} cannot be read: {error!s:.200}") from error


def usable_keys(key_set: Any) -> Sequence[Jwk]:
    """The keys of a fetched set that tokens may be signed with; those of other kinds are passed over."""
    keys = key_set.get("keys") if isinstance(key_set, dict) else None
    return [key for key in keys or () if isinstance(key, dict) and key.get("kid") and algorithm_of(key) is not None]


def _jwk(key: Any) -> dict[str, Any]:
    match key:
        case ed25519.Ed25519PublicKey():
            found = OKPAlgorithm.to_jwk(key, as_dict=True)
        case ec.EllipticCurvePublicKey() if key.curve.name == "secp256r1":
            found = ECAlgorithm.to_jwk(key, as_dict=True)
        case rsa.RSAPublicKey() if key.key_size >= MIN_RSA_BITS:
            found = RSAAlgorithm.to_jwk(key, as_dict=True)
            found.pop("key_ops", None)
        case _:
            raise ValueError("a key of another kind")
    members = {name: found[name] for name in _THUMBPRINT[found["kty"]]}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    kid = to_base64url(digest)
    return {**members, "use": "sig", "alg": algorithm_of(members), "kid": kid}
