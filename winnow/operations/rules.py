"""Reading and replacing the rules of a collection."""

from __future__ import annotations

from winnow.core.access import require_unbound
from winnow.core.principal import Principal
from winnow.core.rules import NO_RULES, RuleSet, check_rules
from winnow.operations.audit import audited
from winnow.ports import Catalog


async def see_rules(catalog: Catalog, principal: Principal, collection: str) -> RuleSet:
    """The rules of a collection. They name documents of every tenant, so that who may search may not read them.

    Raises:
        CollectionNotFound: the collection does not exist.
        Forbidden: the principal is bound to a tenant.
    """
    principal.require("collections:admin", collection=collection)
    require_unbound(principal)
    return (await catalog.collections.get(collection)).rules


async def keep_rules(
    catalog: Catalog, principal: Principal, collection: str, rules: RuleSet, *, expected: int | None = None
) -> RuleSet:
    """Replace all rules of a collection, and return them with their version.

    Other processes see them within a second (``CollectionLookup``). ``expected`` is the version that is to be replaced,
    0 where there never were rules; ``None`` replaces any.

    Raises:
        CollectionNotFound: the collection does not exist.
        Forbidden: the principal is bound to a tenant.
        InvalidRules: a rule can never act, or a limit is exceeded.
        VersionConflict: the stored rules are of another version than the expected one.
    """
    principal.require("collections:admin", collection=collection)
    require_unbound(principal)
    check_rules(rules)
    async with audited(catalog.trail, principal, "rules.replace", collection=collection) as details:
        kept = (await catalog.collections.replace_rules(collection, rules, expected=expected)).rules
        details.update(version=kept.version, synonyms=len(kept.synonyms), pins=len(kept.pins))
        details.update(hidden=len(kept.hidden), stop_words=sum(len(each.words) for each in kept.stop_words))
    return kept


async def clear_rules(
    catalog: Catalog, principal: Principal, collection: str, *, expected: int | None = None
) -> RuleSet:
    """Remove all rules of a collection; the version counts on. Raises as ``keep_rules``."""
    principal.require("collections:admin", collection=collection)
    require_unbound(principal)
    async with audited(catalog.trail, principal, "rules.clear", collection=collection) as details:
        kept = (await catalog.collections.replace_rules(collection, NO_RULES, expected=expected)).rules
        details.update(version=kept.version)
    return kept
