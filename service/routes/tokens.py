"""``/v1/tokens``, ``/v1/issuers`` and ``/.well-known/jwks.json``: credentials for pages and users."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from service.access import needs
from service.deps import PrincipalDep, StateDep
from service.door import BODY_PROBLEMS, Door
from service.schemas.tokens import IssuerBody, IssuerList, IssuerView, KeySetView, TokenBody, TokenView
from winnow.core.errors import Conflict, InvalidInput, NotFound, UpstreamUnavailable
from winnow.operations import issuers

router = Door(tag="tokens")
IssuerName = Annotated[str, Path(description="the iss of its tokens", examples=["https://shop.example"])]


@router.post(
    "/v1/tokens",
    status_code=201,
    responses=router.problems(*BODY_PROBLEMS, InvalidInput),
    openapi_extra=needs("tokens:create"),
)
async def create_token(body: TokenBody, state: StateDep, principal: PrincipalDep, response: Response) -> TokenView:
    """Sign a short-lived token for a user or a page, with at most the rights of the key that asks."""
    minted = await state.callers.tokens.mint(principal, body.sub, body.to_grant(), seconds=body.expires_in)
    response.headers["Cache-Control"] = "no-store"
    return TokenView(token=minted.token, expires_in=minted.expires_in)


@router.get("/.well-known/jwks.json", responses=router.problems(), openapi_extra=needs())
async def get_key_set(state: StateDep) -> KeySetView:
    """The public keys of the installation's own tokens."""
    return KeySetView(**await state.callers.tokens.jwks())


@router.get("/v1/issuers", responses=router.problems(), openapi_extra=needs("keys:admin"))
async def list_issuers(state: StateDep, principal: PrincipalDep) -> IssuerList:
    """The issuers whose tokens are accepted besides the installation's own."""
    found = await issuers.see_issuers(state.callers.tokens, principal)
    return IssuerList(issuers=[IssuerView.of(each) for each in found])


@router.post(
    "/v1/issuers",
    status_code=201,
    responses=router.problems(*BODY_PROBLEMS, InvalidInput, Conflict, UpstreamUnavailable),
    openapi_extra=needs("keys:admin"),
)
async def register_issuer(body: IssuerBody, state: StateDep, principal: PrincipalDep) -> IssuerView:
    """Accept the tokens of a back end that registers its public key, or of an OpenID provider."""
    return IssuerView.of(await issuers.add_issuer(state.callers.tokens, principal, body.to_spec()))


@router.delete(
    "/v1/issuers/{issuer:path}",
    status_code=204,
    responses=router.problems(NotFound, InvalidInput),
    openapi_extra=needs("keys:admin"),
)
async def unregister_issuer(issuer: IssuerName, state: StateDep, principal: PrincipalDep) -> None:
    """Accept no token of an issuer any more; `winnow` discards the installation's own keys and so all its tokens."""
    await issuers.remove_issuer(state.callers.tokens, principal, issuer)
