"""The shape of the source: one meaning for a public name, rooms of the plan, short functions and files, plain prose."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest

from tests.support.source import Module, modules, modules_of_names

ROOMS: Final = {
    "winnow/__init__",
    "winnow/background",
    "winnow/catalog",
    "winnow/cli",
    "winnow/conversion",
    "winnow/core",
    "winnow/evaluation",
    "winnow/models",
    "winnow/operations",
    "winnow/ports",
    "winnow/runtime",
    "winnow/search",
    "winnow/storage",
    "winnow/testing",
    "winnow/typeahead",
    "winnow/vectors",
    "service",
    "indexer",
}

# Names that several modules define with one meaning.
SHARED: Final = {
    "cancel_job": "a command and a route",
    "create_key": "a command and a route",
    "delete_collection": "a command, a route and the operation behind them",
    "downgrade": "of a migration, as Alembic calls it",
    "evaluate": "a command and what it runs",
    "list_collections": "a command and a route",
    "list_jobs": "a command and a route",
    "limit_key": "a command and a route",
    "list_keys": "a command and a route",
    "main": "the entry point of a process",
    "migrate": "a command and what it runs",
    "parse": "of a parser in the sandbox",
    "revoke_key": "a command and a route",
    "rotate_key": "a command and a route",
    "search": "a command and a route",
    "translate": "an engine's errors or filters, in that engine's module",
    "upgrade": "of a migration, as Alembic calls it",
}

MOST_LINES_OF_A_FUNCTION: Final = 60
MOST_LINES_OF_A_FILE: Final = 400


@pytest.fixture(scope="module")
def product() -> list[Module]:
    return modules()


def test_a_public_name_has_one_meaning() -> None:
    several = {name: paths for name, paths in modules_of_names().items() if len(paths) > 1}
    assert {name: paths for name, paths in several.items() if name not in SHARED} == {}
    assert sorted(set(SHARED) - set(several)) == [], "these are shared no longer"


def test_every_module_is_in_a_room(product: list[Module]) -> None:
    assert {module.room for module in product} == ROOMS


def test_no_room_holds_more_than_a_third(product: list[Module]) -> None:
    lines: Counter[str] = Counter()
    for module in product:
        lines[module.room] += module.lines
    room, most = lines.most_common(1)[0]
    assert most <= lines.total() / 3, room


def test_files_are_short(product: list[Module]) -> None:
    assert {str(module.path): module.lines for module in product if module.lines > MOST_LINES_OF_A_FILE} == {}


def test_functions_are_short(product: list[Module]) -> None:
    long = {
        function.name: module.path
        for module in product
        for function in module.functions()
        if (function.end_lineno or 0) - function.lineno >= MOST_LINES_OF_A_FUNCTION
    }
    assert long == {}


def test_prose_is_plain(product: list[Module]) -> None:
    """`python -m tests.support.source` lists what this finds; `docs/contributing/writing.md` says what to write."""
    assert [f"{module.path}:{line}: {text}" for module in product for line, text in module.phrases()] == []
