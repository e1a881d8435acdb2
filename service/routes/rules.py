"""``/v1/collections/{name}/rules``: synonyms, pinned and hidden documents, stop-words."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Response

from service.access import needs
from service.deps import CatalogDep, CollectionName, PrincipalDep, ResourcesDep
from service.door import BODY_PROBLEMS, Door
from service.reading import read_rules_of
from service.schemas.rules import RulesBody, RulesView
from winnow.core.errors import CollectionNotFound, InvalidRules, VersionConflict
from winnow.operations.rules import clear_rules, keep_rules

router = Door(
    "/v1/collections/{name}/rules",
    tag="rules",
    invalid=InvalidRules,
    problems=(CollectionNotFound, InvalidRules),
)
IfMatch = Annotated[
    str | None, Header(description='the version that is to be replaced, as ETag gives it: "3"; others are refused')
]


@router.get("", responses=router.problems(), openapi_extra=needs("collections:admin"))
async def get_rules(
    name: CollectionName, catalog: CatalogDep, principal: PrincipalDep, response: Response
) -> RulesView:
    """The rules of a collection; `ETag` is their version."""
    return _tagged(response, await read_rules_of(catalog, principal, name))


@router.put("", responses=router.problems(*BODY_PROBLEMS, VersionConflict), openapi_extra=needs("collections:admin"))
async def put_rules(
    name: CollectionName,
    body: RulesBody,
    resources: ResourcesDep,
    principal: PrincipalDep,
    response: Response,
    *,
    if_match: IfMatch = None,
) -> RulesView:
    """Replace all rules of a collection. Searches follow them within a second."""
    expected = body.version if if_match is None else _version(if_match)
    kept = await keep_rules(resources.catalog, principal, name, body.to_rules(), expected=expected)
    resources.collections.forget(name)
    return _tagged(response, RulesView.shown(kept))


@router.delete(
    "", status_code=204, responses=router.problems(VersionConflict), openapi_extra=needs("collections:admin")
)
async def remove_rules(
    name: CollectionName, resources: ResourcesDep, principal: PrincipalDep, if_match: IfMatch = None
) -> None:
    """Remove all rules of a collection; the version counts on."""
    await clear_rules(resources.catalog, principal, name, expected=_version(if_match))
    resources.collections.forget(name)


def _version(tag: str | None) -> int | None:
    """The version that an entity tag names; ``None`` for any."""
    if tag is None or tag.strip() == "*":
        return None
    number = tag.strip().removeprefix("W/").strip('"')
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise InvalidRules(f'If-Match is the version of the rules, as "3", not {tag[:40]!r}', location=("If-Match",))
    return int(number)


def _tagged(response: Response, rules: RulesView) -> RulesView:
    response.headers["ETag"] = f'"{rules.version}"'
    return rules
