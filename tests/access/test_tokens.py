"""Tokens over HTTP: minted, signed by a back end, of an OpenID provider; what they may do, and how they end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.access.signing import issuer_key, pem_of, signed
from tests.conftest import Service
from tests.contracts.catalog_data import FakeClock
from winnow.core.api_key import digest_of, id_of, new_key
from winnow.core.principal import SCOPES, Scope
from winnow.operations.token_keys import new_signing_key, public_jwk
from winnow.operations.tokens import KEPT_KEYS, Tokens
from winnow.ports import ApiKey

DOCS = "/v1/collections/docs"
SHOP = "https://shop.example"


class Site:
    """A service with keys, and documents of two tenants."""

    def __init__(self, service: Service) -> None:
        self.service, self.clock = service, FakeClock()
        state = service.app.state.service
        state.callers._access = None
        self.fetched: dict[str, Any] = {}
        self.tokens = state.callers._tokens = Tokens(
            service.resources.catalog.tokens, service.resources.catalog.trail, self.clock, self._fetch
        )

    async def _fetch(self, url: str) -> Any:
        return self.fetched[url]

    async def key(self, *scopes: Scope, **rights: Any) -> str:
        """The secret of a new key."""
        secret = new_key()
        await self.service.resources.catalog.keys.add(
            ApiKey(id_of(secret), digest_of(secret), "", frozenset(scopes or SCOPES), **rights)
        )
        self.service.app.state.service.callers.access.forget()
        return secret

    async def ask(self, credential: str, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """Send a request with a credential."""
        headers = {"Authorization": f"Bearer {credential}", **headers}
        return await self.service.client.request(method, path, json=body, headers=headers)

    async def mint(self, key: str, **body: Any) -> str:
        """A token for alice."""
        answer = await self.ask(key, "POST", "/v1/tokens", {"sub": "alice", **body})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    async def found(self, credential: str, **body: Any) -> list[str]:
        """The ids of the results of a search."""
        answer = await self.ask(credential, "POST", f"{DOCS}/search", {"query": "copy a file", **body})
        assert answer.status_code == 200, answer.text
        return sorted(result["document_id"] for result in answer.json()["results"])

    async def refused(self, credential: str) -> str:
        """Why a search is answered with 401."""
        answer = await self.ask(credential, "POST", f"{DOCS}/search", {"query": "copy a file"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), answer.text
        return str(answer.json()["detail"])

    async def register(self, key: str, **body: Any) -> httpx2.Response:
        """Register an issuer."""
        return await self.ask(key, "POST", "/v1/issuers", {"name": SHOP, **body})


@pytest.fixture
async def site(service: Service) -> AsyncIterator[Site]:
    documents = [
        {"id": "open", "text": "copy a file", "metadata": {"lang": "en"}},
        {"id": "german", "text": "copy a file", "metadata": {"lang": "de"}},
        {"id": "alice's", "text": "copy a file", "acl": {"users": ["alice"]}},
        {"id": "staff's", "text": "copy a file", "acl": {"groups": ["staff"]}},
        {"id": "acme's", "text": "copy a file", "tenant": "acme"},
    ]
    await service.fill("docs", documents, fields={"lang": "keyword"})
    await service.fill("other", [{"id": "x", "text": "copy a file"}])
    return Site(service)


async def test_a_minted_token_is_for_its_user_groups_tenant_filter_and_collections(site: Site) -> None:
    key = await site.key()
    assert await site.found(await site.mint(key)) == ["alice's", "german", "open"]
    assert await site.found(await site.mint(key, groups=["staff"])) == ["alice's", "german", "open", "staff's"]
    assert await site.found(await site.mint(key, tenant="acme")) == ["acme's"]
    locked = {"type": "eq", "key": "lang", "value": "de"}
    assert await site.found(await site.mint(key, filter=locked)) == ["german"]
    assert len(await site.found(await site.mint(key, top_n=1))) == 1
    other = await site.mint(key, collections=["other"])
    missing = await site.ask(other, "POST", f"{DOCS}/search", {"query": "x"}, **{"X-Request-Id": "r"})
    await site.ask(key, "DELETE", DOCS)
    gone = await site.ask(key, "POST", f"{DOCS}/search", {"query": "x"}, **{"X-Request-Id": "r"})
    assert (missing.status_code, missing.content) == (404, gone.content)


async def test_a_token_searches_and_nothing_else_unless_it_may_read(site: Site) -> None:
    key = await site.key()
    token, reader = await site.mint(key), await site.mint(key, scopes=["search", "documents:read"])
    for method, path in (
        ("GET", f"{DOCS}/documents/open"),
        ("GET", f"{DOCS}/documents"),
        ("DELETE", DOCS),
        ("POST", "/v1/tokens"),
    ):
        answer = await site.ask(token, method, path, {"sub": "x"} if method == "POST" else None)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), path
    assert (await site.ask(reader, "GET", f"{DOCS}/documents/alice's")).status_code == 200
    assert (await site.ask(reader, "GET", f"{DOCS}/documents/staff's")).status_code == 404
    assert (await site.ask(reader, "POST", f"{DOCS}/documents:delete", {"ids": ["open"]})).status_code == 403


async def test_a_token_is_used_from_its_origins_alone(site: Site) -> None:
    for origin in ("https://a.example", "https://b.example"):  # of some key: others do not get this far
        await site.key("search", origins=(origin,))
    token = await site.mint(await site.key(), origins=["https://a.example"])
    body = {"query": "copy"}
    assert (await site.ask(token, "POST", f"{DOCS}/search", body, Origin="https://a.example")).status_code == 200
    assert (await site.ask(token, "POST", f"{DOCS}/search", body, Origin="https://b.example")).status_code == 403


async def test_an_origin_that_no_browser_sends_is_refused(site: Site) -> None:
    wish = {"sub": "page", "origins": ["https://a.example/"]}
    answer = await site.ask(await site.key("search", "tokens:create"), "POST", "/v1/tokens", wish)
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["origins"])


@pytest.mark.parametrize(
    ("rights", "wish"),
    [
        ({"collections": ("docs",)}, {"collections": ["other"]}),
        ({"collections": ("docs",)}, {"collections": ["d*"]}),
        ({"tenant": "acme"}, {"tenant": "globex"}),
        ({"tenant": "acme"}, {"tenant": ""}),
        ({"origins": ("https://a.example",)}, {"origins": ["https://b.example"]}),
        ({}, {"tenant": "acme"}),
        ({}, {"scopes": ["documents:read"]}),
        ({}, {"scopes": ["documents:write"]}),
    ],
)
async def test_a_key_gives_no_rights_that_it_lacks(site: Site, rights: dict[str, Any], wish: dict[str, Any]) -> None:
    key = await site.key("search", "tokens:create", **rights)
    answer = await site.ask(key, "POST", "/v1/tokens", {"sub": "alice", **wish})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await site.ask(await site.key("search"), "POST", "/v1/tokens", {"sub": "x"})).status_code == 403


@pytest.mark.parametrize(
    ("wish", "place", "why"),
    [
        ({"filter": {"foo": 1}}, ["filter", "type"], "unknown filter type None"),
        ({"filter": {"type": "eq", "key": "lang"}}, ["filter", "value"], "None is not"),
        ({"filter": {"type": "and", "filters": []}}, ["filter", "filters"], "non-empty list"),
        (
            {"filter": {"type": "not", "filter": {"type": "in", "key": 1, "value": ["x"]}}},
            ["filter", "filter", "key"],
            "",
        ),
        ({"collections": []}, None, "winnow.collections is a list of 1 to 100 strings"),
        ({"tenant": "a\n"}, ["tenant"], "control characters"),
    ],
)
async def test_no_token_is_signed_that_could_not_be_used(
    site: Site, wish: dict[str, Any], place: list[str] | None, why: str
) -> None:
    answer = await site.ask(await site.key(), "POST", "/v1/tokens", {"sub": "alice", **wish})
    assert answer.status_code == 422, answer.text
    assert why in answer.json()["detail"]
    if place is not None:
        assert answer.json()["errors"][0]["loc"] == place


async def test_a_filter_for_any_collection_may_be_locked(site: Site) -> None:
    parts = [{"type": "gte", "key": "year", "value": "2020-01-01"}, {"type": "in", "key": "lang", "value": ["en", 1]}]
    for tree in (*parts, {"type": "or", "filters": [*parts, {"type": "exists", "key": "x"}]}):
        await site.mint(await site.key(), filter=tree)


async def test_a_refusal_names_the_rights_that_are_lacking(site: Site) -> None:
    key = await site.key("search", "tokens:create", collections=("docs",))
    wish = {"sub": "alice", "collections": ["docs", "other"], "tenant": "acme", "scopes": ["documents:write"]}
    said = (await site.ask(key, "POST", "/v1/tokens", wish)).json()["detail"]
    assert said.endswith("cannot give rights that it lacks: collections other; scopes documents:write; tenant acme")


async def test_what_a_key_leaves_out_is_what_it_has_itself(site: Site) -> None:
    key = await site.key("search", "tokens:create", tenant="acme", collections=("docs",))
    token = await site.mint(key)
    assert await site.found(token) == ["acme's"]
    assert (await site.ask(token, "POST", "/v1/collections/other/search", {"query": "x"})).status_code == 404


async def test_a_token_expires_with_a_minute_for_clocks_and_not_after_its_key(site: Site) -> None:
    key = await site.key(expires_at=site.clock.now + timedelta(seconds=60))
    site.service.app.state.service.callers.access._clock = site.clock
    token = await site.mint(key, expires_in=900)
    site.clock.advance(119)
    assert await site.found(token)
    site.clock.advance(2)
    assert "expired" in await site.refused(token)


async def test_key_pairs_are_rotated_and_old_tokens_stay_valid(site: Site) -> None:
    key = await site.key()
    kids: list[str] = []
    for _ in range(KEPT_KEYS + 1):
        site.clock.advance(30 * 86400)
        site.tokens.forget()
        await site.mint(key)
        published = (await site.service.client.get("/.well-known/jwks.json")).json()["keys"]
        kids.insert(0, published[0]["kid"])
        assert [each["kid"] for each in published] == kids[:KEPT_KEYS]
        assert not any("d" in each for each in published)
    assert len(set(kids)) == KEPT_KEYS + 1
    site.clock.advance(30 * 86400 - 60)
    before = await site.mint(key, expires_in=86400)
    site.clock.advance(60)
    site.tokens.forget()
    after = await site.mint(key)
    assert await site.found(before)
    assert await site.found(after)
    assert (await site.ask(key, "DELETE", "/v1/issuers/winnow")).status_code == 204
    assert "does not have" in await site.refused(before)


@pytest.mark.parametrize(
    "make",
    [
        ed25519.Ed25519PrivateKey.generate,
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: rsa.generate_private_key(65537, 2048),
    ],
)
async def test_a_back_end_signs_with_a_key_whose_public_half_it_registered(site: Site, make: Any) -> None:
    key, private = await site.key(), make()
    made = await site.register(key, public_key=pem_of(private), tenant="acme", collections=["docs"])
    assert made.status_code == 201, made.text
    assert await site.found(signed(private, site.clock, SHOP)) == ["acme's"]
    assert await site.found(signed(private, site.clock, SHOP, winnow={"tenant": "acme", "top_n": 5})) == ["acme's"]
    for wish, why in (
        ({"tenant": "globex"}, "bound to the tenant"),
        ({"collections": ["*"]}, "no access to collection"),
        ({"scopes": ["documents:read"]}, "cannot give the scope"),
        ({"top_n": 0}, "winnow.top_n"),
        ({"tenants": "acme"}, "no member 'tenants'"),
    ):
        assert why in await site.refused(signed(private, site.clock, SHOP, winnow=wish))
    listed = (await site.ask(key, "GET", "/v1/issuers")).json()["issuers"]
    assert [(each["name"], each["tenant"]) for each in listed] == [(SHOP, "acme")]
    assert (await site.ask(key, "DELETE", f"/v1/issuers/{SHOP}")).status_code == 204
    assert "not registered" in await site.refused(signed(private, site.clock, SHOP))


async def test_an_issuer_has_two_keys_while_it_changes_them(site: Site) -> None:
    key, old, new = await site.key(), ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    await site.register(key, public_key=pem_of(old), kid="old")
    await site.register(key, public_key=pem_of(new), kid="new")
    for private, kid in ((old, "old"), (new, "new")):
        assert await site.found(signed(private, site.clock, SHOP, kid=kid))
    wider = await site.register(key, public_key=pem_of(new), kid="new", tenant="acme", collections=["docs"])
    assert (wider.status_code, wider.json()["code"]) == (409, "conflict")
    assert "registered already, with collections *, tenant none" in wider.json()["detail"]
    assert "'gone' (kid)" in await site.refused(signed(old, site.clock, SHOP, kid="gone"))
    assert "names no key (kid)" in await site.refused(signed(old, site.clock, SHOP, kid=None))
    assert "not one for" in await site.refused(signed(old, site.clock, SHOP, kid="new"))


async def test_an_openid_provider_maps_claims_to_tenant_and_groups(site: Site) -> None:
    key, private = await site.key(), rsa.generate_private_key(65537, 2048)
    url = f"{SHOP}/keys"
    site.fetched |= {url: {"keys": [issuer_key(private, "a"), {"kty": "oct", "kid": "b", "k": "AAAA"}]}}
    made = await site.register(
        key, openid=True, jwks_url=url, audience="client", tenant_claim="org", groups_claim="roles"
    )
    assert made.status_code == 201, made.text

    def token(**changes: Any) -> str:
        return signed(private, site.clock, SHOP, aud="client", kid="a", org="", roles=["staff"], **changes)

    assert "staff's" in await site.found(token())
    assert await site.found(signed(private, site.clock, SHOP, aud="client", kid="a", org="acme")) == ["acme's"]
    assert "no claim 'org'" in await site.refused(signed(private, site.clock, SHOP, aud="client", kid="a"))
    assert "audience" in await site.refused(signed(private, site.clock, SHOP, aud="another", kid="a", org=""))
    newer = rsa.generate_private_key(65537, 2048)
    site.fetched[url] = {"keys": [issuer_key(newer, "c")]}
    rotated = signed(newer, site.clock, SHOP, aud="client", kid="c", org="")
    assert "does not have" in await site.refused(rotated)  # fetched a moment ago
    site.tokens._fetched.clear()
    assert await site.found(rotated)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"public_key": "nonsense"}, "not a public key"),
        ({"public_key": new_signing_key(FakeClock().now).private_pem}, "private key"),
        ({"public_key": pem_of(rsa.generate_private_key(65537, 1024))}, "not a public key"),
        ({"public_key": pem_of(ec.generate_private_key(ec.SECP384R1()))}, "not a public key"),
        ({}, "give a public key"),
        ({"jwks_url": "http://keys.example/"}, "audience"),
        ({"jwks_url": "http://keys.example/", "audience": "a"}, "over https"),
        ({"jwks_url": "file:///etc/passwd", "audience": "a"}, "over https"),
        ({"public_key": "x", "name": "winnow"}, "not 'winnow'"),
        ({"public_key": "x", "scopes": ["documents:write"]}, "not documents:write"),
        ({"public_key": "x", "audience": ""}, "audience is empty"),
        ({"public_key": "x", "openid": True}, "one of the two"),
    ],
)
async def test_an_issuer_that_cannot_be_trusted_is_refused(site: Site, body: dict[str, Any], why: str) -> None:
    answer = await site.register(await site.key(), **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert why in answer.json()["detail"]
    assert (await site.register(await site.key("search"), public_key="x")).status_code == 403


async def test_only_who_administers_everything_has_keys_fetched_from_the_services_own_machine(site: Site) -> None:
    url = "http://127.0.0.1:8500/keys"
    site.fetched[url] = {"keys": [issuer_key(rsa.generate_private_key(65537, 2048), "a")]}
    provider = {"jwks_url": url, "audience": "client"}
    of_acme = await site.register(await site.key(tenant="acme"), **provider)
    assert (of_acme.status_code, "over https" in of_acme.json()["detail"]) == (422, True)
    assert (await site.register(await site.key(), **provider)).status_code == 201


def test_a_signing_key_does_not_show_itself() -> None:
    key = new_signing_key(FakeClock().now)
    assert "PRIVATE" not in repr(key)
    assert set(public_jwk(key)) == {"kty", "crv", "x", "kid", "alg", "use"}


async def test_keys_that_are_forgotten_while_they_are_read_are_still_used(site: Site) -> None:
    class Forgetful(dict[str, Any]):
        def __contains__(self, name: object) -> bool:
            found = super().__contains__(name)
            self.clear()  # its time is up between two looks
            return found

    await site.mint(await site.key())
    site.tokens._known = Forgetful(site.tokens._known)
    assert await site.tokens.secrets("purpose")
