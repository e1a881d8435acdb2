"""How many changes of the manifests a policy notices: `make deploy-mutants`.

A mutant is one overlay as it renders with one thing changed: a field left out, a number doubled, a switch turned, a
word or a list entry altered. The policies that hold of the overlay are asked again; a mutant that none of them notices
survived.
"""

from __future__ import annotations

import argparse
import copy
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.deploy import policies_network, policies_pods, policies_scaling, policies_settings  # noqa: F401 - they register
from tests.deploy.policies import first_violation
from tests.deploy.render import OVERLAYS, Object, World, owner_name, render

Path = tuple[str | int, ...]
REMOVED = object()
COSMETIC = {("metadata", "labels")}  # of objects; those of pods are part of a template's `metadata`
SAMPLE, SEED = 1200, 20261128
REACH = 0.95


@dataclass(frozen=True)
class Mutant:
    """One change of one object of one overlay."""

    overlay: str
    index: int
    path: Path
    value: Any
    what: str

    def __str__(self) -> str:
        return f"{self.overlay}: {self.what} at {'.'.join(str(part) for part in self.path)}"

    def apply(self) -> World:
        """The overlay with the change."""
        world = render(self.overlay)
        world.objects[self.index] = changed = copy.deepcopy(world.objects[self.index])
        place: Any = changed
        for part in self.path[:-1]:
            place = place[part]
        if self.value is REMOVED:
            del place[self.path[-1]]
        else:
            place[self.path[-1]] = self.value
        world.changed = changed
        return world


def mutations(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value may be changed to, with a word for it."""
    match value:
        case bool():
            yield "turned", not value
        case int():
            yield "doubled", value * 2 if value else 1
            yield "less one", value - 1
        case str() if value:
            yield "altered", f"{value}-x"
            if value.removesuffix("Gi").isdigit():
                yield "doubled", f"{int(value.removesuffix('Gi')) * 2}{'Gi' if value.endswith('Gi') else ''}"
        case list() if value:
            yield "shortened", value[:-1]
        case dict() | list() | str() | None | float():
            return


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every place in an object with what is there, the object itself not."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key), inner
        yield from walk(inner, (*path, key))


def is_cosmetic(each: Object, path: Path) -> bool:
    """What may be changed without a change of what runs."""
    if path[:2] in COSMETIC or path == ("metadata",) or (each["kind"], path) == ("NetworkPolicy", ("metadata", "name")):
        return True
    return path[0] in {"apiVersion", "kind"} and each["kind"] not in {"Deployment", "StatefulSet"}


def mutants(overlay: str) -> Iterator[Mutant]:
    """Every mutant of one overlay."""
    for index, each in enumerate(render(overlay).objects):
        for path, value in walk(each):
            if is_cosmetic(each, path):
                continue
            where = f"{owner_name(each)}"
            yield Mutant(overlay, index, path, REMOVED, f"{where} removed")
            for word, changed in mutations(value):
                yield Mutant(overlay, index, path, changed, f"{where} {word}")


def sample(size: int, seed: int = SEED) -> list[Mutant]:
    """Mutants of all overlays, the same ones for the same seed; all of them for size 0."""
    everything = [mutant for overlay in OVERLAYS for mutant in mutants(overlay)]
    return everything if not size else random.Random(seed).sample(everything, min(size, len(everything)))


def survivors(chosen: list[Mutant]) -> list[Mutant]:
    """Those that no policy noticed."""
    return [mutant for mutant in chosen if first_violation(mutant.apply()) is None]


def main() -> int:
    """Print the survivors and the share that was caught; 1 below the goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=SAMPLE, help="how many; 0 for all of them")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    chosen = sample(options.mutants, options.seed)
    left = survivors(chosen)
    for mutant in left:
        print(f"survived  {mutant}")
    caught = 1 - len(left) / len(chosen)
    print(f"{len(chosen)} mutants, {len(chosen) - len(left)} caught ({caught:.1%}), goal {REACH:.0%}")
    return int(caught < REACH)


if __name__ == "__main__":
    sys.exit(main())
