"""What every catalog does with rules of a collection: they are replaced as a whole, and their version counts up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from winnow.core.errors import CollectionNotFound, VersionConflict
from winnow.core.rules import NO_RULES, QueryRule, RuleSet, StopWords, SynonymRule
from winnow.ports import Catalog

RULES = RuleSet(
    (SynonymRule(("sofa", "canapé")), SynonymRule(source="js", to=("JavaScript",), language="en")),
    (QueryRule("öffnungszeiten", ("a/b",), "contains", "de"),),
    (QueryRule("x", ("y",)),),
    (StopWords(("the",)),),
)


class RulesContract:
    """Rules of collections."""

    async def test_rules_are_kept_with_the_collection_and_counted(self, docs: Catalog) -> None:
        collections = docs.collections
        assert (await collections.get("docs")).rules == NO_RULES
        first = await collections.replace_rules("docs", RULES, expected=0)
        assert first.rules == replace(RULES, version=1)
        assert await collections.get("docs") == first
        await collections.update(replace(first, metadata={"x": 1}, rules=NO_RULES))
        assert (await collections.get("docs")).rules == first.rules, "an update leaves them"
        assert (await collections.replace_rules("docs", NO_RULES)).rules == RuleSet(version=2)

    async def test_an_update_of_another_version_is_refused(self, docs: Catalog) -> None:
        await docs.collections.replace_rules("docs", RULES, expected=0)
        for expected in (0, 2):
            with pytest.raises(VersionConflict, match="version 1"):
                await docs.collections.replace_rules("docs", NO_RULES, expected=expected)
        assert (await docs.collections.get("docs")).rules.version == 1
        with pytest.raises(CollectionNotFound):
            await docs.collections.replace_rules("gone", RULES)
