"""``/v1/keys``: make, list, revoke and rotate API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from service.access import needs
from service.deps import CatalogDep, PrincipalDep, StateDep
from service.door import BODY_PROBLEMS, Door
from service.reading import read_key, read_keys
from service.schemas.keys import KeyBody, KeyList, KeyView, LimitsBody, MadeKeyView, RotationBody
from winnow.core.errors import Conflict, InvalidKey, KeyNotFound
from winnow.operations import keys

router = Door("/v1/keys", tag="keys", invalid=InvalidKey, problems=(InvalidKey,))
KeyId = Annotated[str, Path(description="public beginning of the key", examples=["wnw_AbCdEfGh"])]


@router.get("", responses=router.problems(), openapi_extra=needs("keys:admin"))
async def list_keys(catalog: CatalogDep, principal: PrincipalDep) -> KeyList:
    """The keys for your collections and tenant, oldest first, without their secret parts."""
    return await read_keys(catalog, principal)


@router.post("", status_code=201, responses=router.problems(*BODY_PROBLEMS), openapi_extra=needs("keys:admin"))
async def create_key(body: KeyBody, state: StateDep, principal: PrincipalDep) -> MadeKeyView:
    """Make a key. The answer is the only time that it is shown.

    From the first key on, every request needs one. Whoever may make keys may give them any scope, for collections and
    a tenant of their own.
    """
    made = await keys.add_key(state.resources.catalog, principal, body.to_spec())
    state.callers.access.forget()
    return MadeKeyView.made(made)


@router.post(
    "/{id}:rotate",
    status_code=201,
    responses=router.problems(*BODY_PROBLEMS, KeyNotFound, Conflict),
    openapi_extra=needs("keys:admin"),
)
async def rotate_key(
    id: KeyId, state: StateDep, principal: PrincipalDep, body: RotationBody | None = None
) -> MadeKeyView:
    """Make a key with the same rights; both are valid until the old one ends after ``grace_seconds``."""
    grace = (body or RotationBody()).grace_seconds
    made = await keys.replace_key(state.resources.catalog, principal, id, grace_seconds=grace)
    state.callers.access.forget()
    return MadeKeyView.made(made)


@router.put("/{id}/limits", responses=router.problems(*BODY_PROBLEMS, KeyNotFound), openapi_extra=needs("keys:admin"))
async def limit_key(id: KeyId, body: LimitsBody, state: StateDep, principal: PrincipalDep) -> KeyView:
    """Give a key these limits in place of those that it had."""
    key = await keys.change_limits(state.resources.catalog, principal, id, body.limits)
    state.callers.access.forget()
    return KeyView.shown(key)


@router.get("/{id}", responses=router.problems(KeyNotFound), openapi_extra=needs("keys:admin"))
async def get_key(id: KeyId, catalog: CatalogDep, principal: PrincipalDep) -> KeyView:
    """One key, with its last use."""
    return await read_key(catalog, principal, id)


@router.delete("/{id}", responses=router.problems(KeyNotFound), openapi_extra=needs("keys:admin"))
async def revoke_key(id: KeyId, state: StateDep, principal: PrincipalDep) -> KeyView:
    """Revoke a key: it is refused from now on, by other replicas within two seconds."""
    key = await keys.end_key(state.resources.catalog, principal, id)
    state.callers.access.forget()
    return KeyView.shown(key)
