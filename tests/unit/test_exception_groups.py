"""Errors out of groups of exceptions, on every Python that pyproject.toml allows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from winnow.background import running
from winnow.core.errors import CollectionNotFound, WinnowError, first_error

ROOT = Path(__file__).parents[2]


class Idle:
    """A worker that does nothing until it is stopped."""

    async def run(self) -> None:
        return

    def stop(self) -> None:
        return


def test_the_first_error_is_found_in_groups_of_groups() -> None:
    inner = CollectionNotFound("there is no collection 'docs'")
    assert first_error(ExceptionGroup("a", [ExceptionGroup("b", [inner, ValueError()]), KeyError()])) is inner


@pytest.mark.parametrize("error", [CollectionNotFound("there is no collection 'docs'"), ValueError("a defect")])
async def test_one_of_ours_leaves_the_worker_alone_and_others_in_their_group(error: Exception) -> None:
    with pytest.raises(WinnowError if isinstance(error, WinnowError) else ExceptionGroup) as caught:
        async with running(Idle()):  # type: ignore[arg-type]
            raise error
    assert error in (caught.value, *getattr(caught.value, "exceptions", ()))


def test_nothing_is_raised_inside_except_star_which_python_before_3_11_4_wraps_in_a_group() -> None:
    for package in ("winnow", "service", "indexer"):
        for path in (ROOT / package).rglob("*.py"):
            tries = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.TryStar))
            handlers = (handler for each in tries for handler in each.handlers)
            assert not [node for each in handlers for node in ast.walk(each) if isinstance(node, ast.Raise)], path
