"""Forged tokens: five hundred, made at random from a fixed seed, of which none is accepted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.access.signing import issuer_key, pem_of, signed
from tests.catalogs import new_catalog
from tests.contracts.catalog_data import FakeClock
from winnow.core.errors import Unauthorized
from winnow.core.principal import OPEN
from winnow.core.token_claims import TokenGrant
from winnow.operations.issuers import IssuerSpec, add_issuer
from winnow.operations.tokens import MAX_SECONDS, SKEW_SECONDS, Tokens

FORGERIES: Final = 500
SHOP: Final = "https://shop.example"
OPENID: Final = "https://login.example"


def packed(value: Any) -> str:
    """JSON in base64url, as the parts of a token are."""
    text = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def unpacked(part: str) -> dict[str, Any]:
    """The JSON of a part of a token."""
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


class Forger:
    """Makes forged tokens out of valid ones, without the private keys of the issuers that are trusted."""

    def __init__(self, clock: FakeClock, valid: list[str], seed: int) -> None:
        self.clock, self.valid, self.chance = clock, valid, random.Random(seed)
        self.own = [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())]
        self.own.append(rsa.generate_private_key(65537, 2048))
        self.public = [pem_of(key) for key in self.own]
        self.kinds: list[Callable[[], str]] = [
            self.other_algorithm,
            self.no_signature,
            self.key_as_secret,
            self.injected_kid,
            self.injected_key,
            self.foreign_issuer,
            self.foreign_key,
            self.edited_claims,
            self.edited_signature,
            self.other_audience,
            self.mixed_parts,
            self.not_a_token,
        ]

    def forge(self) -> str:
        """One of them; parts of two tokens may by chance be those of one."""
        while (token := self.chance.choice(self.kinds)()) in self.valid:
            pass
        return token

    def _parts(self) -> tuple[dict[str, Any], dict[str, Any], str]:
        head, body, signature = self.chance.choice(self.valid).split(".")
        return unpacked(head), unpacked(body), signature

    def other_algorithm(self) -> str:
        head, body, signature = self._parts()
        others = [
            "HS256",
            "HS512",
            "PS256",
            "ES384",
            "ES256K",
            "RS512",
            "eddsa",
            "RS256",
            "ES256",
            "EdDSA",
            "",
            None,
            1,
        ]
        others.remove(head["alg"])
        return f"{packed(head | {'alg': self.chance.choice(others)})}.{packed(body)}.{signature}"

    def no_signature(self) -> str:
        head, body, signature = self._parts()
        named = self.chance.choice(["none", "None", "NONE", "nOnE"])
        return f"{packed(head | {'alg': named})}.{packed(body)}.{self.chance.choice(['', signature])}"

    def key_as_secret(self) -> str:
        head, body, _ = self._parts()
        text = f"{packed(head | {'alg': 'HS256'})}.{packed(body)}"
        secret = self.chance.choice([*self.public, "", "winnow"]).encode()
        return f"{text}.{packed(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"

    def injected_kid(self) -> str:
        _, body, _ = self._parts()
        kids = ["../../dev/null", "' OR 1=1 --", "x", "0", "a" * 500, "winnow"]
        return signed(
            self.chance.choice(self.own), self.clock, body["iss"], aud=body["aud"], kid=self.chance.choice(kids)
        )

    def injected_key(self) -> str:
        head, body, _ = self._parts()
        key = self.chance.choice(self.own)
        token = signed(key, self.clock, body["iss"], aud=body["aud"], kid=head["kid"])
        _, claims, _ = token.split(".")
        added = {
            "jwk": issuer_key(key, head["kid"]),
            "jku": "https://evil.example/keys",
            "x5u": "https://evil.example/x",
        }
        real, text = unpacked(token.split(".")[0]), ""
        text = f"{packed(real | added)}.{claims}"
        return f"{text}.{packed(_sign(key, text.encode()))}"

    def foreign_issuer(self) -> str:
        names = ["https://evil.example", SHOP + "/", SHOP.upper(), "", "winnow ", "WINNOW"]
        return signed(self.chance.choice(self.own), self.clock, self.chance.choice(names))

    def foreign_key(self) -> str:
        head, body, _ = self._parts()
        return signed(
            self.chance.choice(self.own),
            self.clock,
            body["iss"],
            aud=body["aud"],
            kid=head["kid"],
            **{name: body[name] for name in ("winnow", "org") if name in body},
        )

    def edited_claims(self) -> str:
        head, body, signature = self._parts()
        rights = dict(body.get("winnow", {}))
        rights |= self.chance.choice(
            [
                {"tenant": "globex"},
                {"groups": ["admin"]},
                {"collections": ["*"]},
                {"top_n": 100},
                {"scopes": ["documents:read"]},
            ]
        )
        edits = [{"winnow": rights}, {"sub": "root"}, {"exp": body["exp"] + 10**6}, {"aud": "*"}]
        edited = body | self.chance.choice(edits)
        return f"{packed(head)}.{packed(edited)}.{signature}"

    def edited_signature(self) -> str:
        head, body, signature = self.chance.choice(self.valid).split(".")
        raw = bytearray(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)))
        match self.chance.randrange(3):
            case 0:
                raw[self.chance.randrange(len(raw))] ^= 1 << self.chance.randrange(8)
            case 1:
                raw = raw[: self.chance.randrange(len(raw))]
            case _:
                raw = bytearray(len(raw))
        return f"{head}.{body}.{packed(bytes(raw))}"

    def other_audience(self) -> str:
        head, body, signature = self._parts()
        changed = body | {"aud": self.chance.choice(["other", ["other"], [], None])}
        return f"{packed(head)}.{packed(changed)}.{signature}"

    def mixed_parts(self) -> str:
        first, second = self.chance.sample(self.valid, 2)
        head, body, signature = first.split(".")
        other = second.split(".")
        return ".".join(
            self.chance.choice([[other[0], body, signature], [head, other[1], signature], [head, body, other[2]]])
        )

    def not_a_token(self) -> str:
        head, body, signature = self.chance.choice(self.valid).split(".")
        junk = [
            "..",
            f"{head}..",
            f"..{signature}",
            f"{head}.{packed([])}.{signature}",
            f"{packed([])}.{body}.{signature}",
        ]
        junk += [
            f"{head}.{body}",
            f"{head}.{body}.{signature}.{signature}",
            "ey.é.x",
            f"{head}.{packed(b'{')}.{signature}",
        ]
        junk += [
            f"{packed({'crit': ['b64'], 'b64': False} | unpacked(head))}.{body}.{signature}",
            f"{head}.{body}.{signature}" * 40,
        ]
        return self.chance.choice(junk)


def _sign(key: Any, text: bytes) -> bytes:
    algorithm = {"Ed25519PrivateKey": "EdDSA", "ECPrivateKey": "ES256", "RSAPrivateKey": "RS256"}[type(key).__name__]
    made: bytes = jwt.get_algorithm_by_name(algorithm).sign(text, key)
    return made


@pytest.fixture
async def world(tmp_path: Any) -> Any:
    """The verifier with its three kinds of issuers, and valid tokens of each."""
    clock = FakeClock()
    catalog = new_catalog(tmp_path, clock)
    shop, login = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)

    async def fetch(url: str) -> Any:
        return {"keys": [issuer_key(login, "l")]} if url == f"{OPENID}/keys" else {}

    tokens = Tokens(catalog.tokens, catalog.trail, clock, fetch)
    await add_issuer(tokens, OPEN, IssuerSpec(SHOP, pem_of(shop), tenant="acme"))
    await add_issuer(tokens, OPEN, IssuerSpec(OPENID, jwks_url=f"{OPENID}/keys", audience="client", tenant_claim="org"))
    valid = [
        (await tokens.mint(OPEN, f"user{n}", TokenGrant(tenant="acme", groups=("g",), top_n=3))).token for n in range(4)
    ]
    valid += [signed(shop, clock, SHOP, sub=f"shopper{n}") for n in range(4)]
    valid += [signed(login, clock, OPENID, kid="l", aud="client", org="acme", sub=f"member{n}") for n in range(4)]
    yield clock, tokens, valid
    await catalog.close()


async def test_no_forged_token_is_accepted(world: Any) -> None:
    clock, tokens, valid = world
    forger = Forger(clock, valid, seed=15)
    accepted, reasons = [], set()
    for _ in range(FORGERIES):
        token = forger.forge()
        try:
            accepted.append((token, await tokens.principal(token)))
        except Unauthorized as error:
            reasons.add(error.message[:20])
    assert accepted == []
    assert len(reasons) > 8
    for token in valid:  # and those that are not forged still are
        assert (await tokens.principal(token)).tenant == "acme"


async def test_a_token_that_was_valid_is_refused_from_its_end_on(world: Any) -> None:
    clock, tokens, valid = world
    clock.advance(600 + SKEW_SECONDS)
    for token in valid[4:]:
        with pytest.raises(Unauthorized, match="expired"):
            await tokens.principal(token)


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ({"exp": None}, "exp"),
        ({"sub": None}, "sub"),
        ({"aud": None}, "aud"),
        ({"exp": MAX_SECONDS + 3600}, "longer than 24 hours"),
        ({"exp": -61}, "expired"),
        ({"nbf": 120}, "not valid yet"),
        ({"iat": 120}, "not valid yet"),
        ({"sub": ""}, "sub is empty"),
    ],
)
async def test_a_token_of_a_trusted_key_needs_its_claims_and_sound_times(
    tmp_path: Any, times: dict[str, Any], why: str
) -> None:
    clock = FakeClock()
    catalog = new_catalog(tmp_path, clock)
    private = ed25519.Ed25519PrivateKey.generate()
    tokens = Tokens(catalog.tokens, catalog.trail, clock)
    await add_issuer(tokens, OPEN, IssuerSpec(SHOP, pem_of(private)))
    now = int(clock.now.timestamp())
    claims = {name: now + value if isinstance(value, int) else value for name, value in times.items()}
    with pytest.raises(Unauthorized, match=why):
        await tokens.principal(signed(private, clock, SHOP, **claims))
    await catalog.close()
