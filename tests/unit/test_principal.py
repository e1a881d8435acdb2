"""Principals: scopes, patterns of collections, and how a refusal reads."""

from __future__ import annotations

import pytest

from winnow.core.errors import CollectionNotFound, Forbidden
from winnow.core.missing import missing_collection
from winnow.core.principal import LOCAL, OPEN, SCOPES, Principal, fits_pattern

READER = Principal("key", "wnw_abc", frozenset({"search"}), collections=("docs", "shop-*"))


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("docs", "docs", True),
        ("docs2", "docs", False),
        ("anything", "*", True),
        ("shop-de", "shop-*", True),
        ("shop", "shop-*", False),
        ("my-shop-de", "shop-*", False),
        ("a.b", "a*b", True),
        ("axb", "a.b", False),
        ("de-docs", "*-docs", True),
    ],
)
def test_a_star_stands_for_any_characters_and_nothing_else_does(name, pattern, fits):
    assert fits_pattern(name, pattern) is fits


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [("shop-*", "shop-*", True), ("shop-de-*", "shop-*", True), ("shop-*", "shop-de-*", False), ("*", "a*", False)],
)
def test_a_pattern_fits_another_that_stands_for_all_its_names(inner, outer, within):
    assert fits_pattern(inner, outer) is within


def test_a_scope_counts_only_for_the_collections_of_the_principal():
    assert READER.may("search", "docs")
    assert READER.may("search", "shop-de")
    assert not READER.may("search", "secret")
    assert not READER.may("documents:read", "docs")


def test_a_collection_that_is_not_seen_is_reported_as_missing():
    with pytest.raises(CollectionNotFound) as refused:
        READER.require("search", collection="secret")
    assert refused.value.message == missing_collection("secret").message


def test_a_missing_scope_is_named_whatever_the_collection():
    for collection in ("docs", "secret", None):
        with pytest.raises(Forbidden, match="wnw_abc lacks the scope documents:write or operate"):
            READER.require("documents:write", "operate", collection=collection)
    READER.require("operate", "search", collection="docs")  # one of them suffices


def test_without_keys_and_on_the_same_machine_everything_is_allowed():
    for principal in (OPEN, LOCAL):
        principal.require(*SCOPES, collection="any")
        assert principal.sees_everything
    assert not READER.sees_everything
    assert not Principal("key", tenant="acme").sees_everything
