"""What must hold of everything that is deployed. A policy looks at a rendered overlay and names what is wrong.

The tests assert each of them on each overlay; `mutants` counts how many changes of the manifests one of them notices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.deploy.render import World

Check = Callable[[World], Iterator[bool | str]]


@dataclass(frozen=True)
class Policy:
    """A name that states what holds, and the check: it yields ``True`` for each assertion, or what is wrong."""

    name: str
    check: Check


POLICIES: list[Policy] = []


def policy(check: Check) -> Check:
    """Register a check under its name."""
    POLICIES.append(Policy(check.__name__, check))
    return check


def violations(world: World) -> list[str]:
    """Everything that is wrong; a check that cannot read what it looks for counts as well."""
    found = []
    for each in POLICIES:
        try:
            found += [f"{each.name}: {result}" for result in each.check(world) if result is not True]
        except Exception as error:  # noqa: BLE001 - a missing key is a finding
            found.append(f"{each.name}: {type(error).__name__}: {error}")
    return found


def first_violation(world: World) -> str | None:
    """The first thing that is wrong, which is enough to tell a mutant."""
    for each in POLICIES:
        try:
            for result in each.check(world):
                if result is not True:
                    return f"{each.name}: {result}"
        except Exception as error:  # noqa: BLE001
            return f"{each.name}: {type(error).__name__}: {error}"
    return None


def holds(condition: object, what: str) -> bool | str:
    """``True``, or what is wrong."""
    return True if condition else what
