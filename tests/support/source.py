"""Reads the product's source: its modules, public names, lengths, and the prose in strings and docstrings.

``python -m tests.support.source`` lists the phrases that `docs/contributing/writing.md` advises against.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("winnow", "service", "indexer")
PHRASES: Final = re.compile(
    r"(?<!there )\b(?:is|are) no(?= (?!longer)[a-z])|\b(?:so many|as many as|anew|stands|in hand|nobody|what came of"
    r"|let(?:s|ting)? go of|gets lost|though it be|by now|is a lie|at rest|the house)\b",
    re.IGNORECASE,
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A file of the product.

    Attributes:
        path: relative to the root of the project.
        text: its source.
    """

    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        """``service``, ``indexer``, or a package or module directly in ``winnow``."""
        parts = self.path.with_suffix("").parts
        return "/".join(parts[:2]) if parts[0] == "winnow" else parts[0]

    @property
    def lines(self) -> int:
        """Number of lines, blank ones and docstrings included."""
        return self.text.count("\n")

    def public_names(self) -> Iterator[str]:
        """Classes and functions at module level whose name has no leading underscore."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
                yield node.name

    def functions(self) -> Iterator[Function]:
        """All functions and methods."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def phrases(self) -> Iterator[tuple[int, str]]:
        """Line and text of each string that contains a discouraged phrase."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for found in PHRASES.finditer(" ".join(node.value.split())):
                    start = max(0, found.start() - 30)
                    yield node.lineno, found.string[start : found.end() + 30]


def modules() -> list[Module]:
    """All modules of the product."""
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return [Module(path.relative_to(ROOT), path.read_text("utf-8")) for path in paths]


def modules_of_names() -> dict[str, list[str]]:
    """Modules by the public name that they define."""
    found: dict[str, list[str]] = defaultdict(list)
    for module in modules():
        for name in module.public_names():
            found[name].append(str(module.path))
    return found


if __name__ == "__main__":
    for each in modules():
        for line, text in each.phrases():
            print(f"{each.path}:{line}: …{text}…")
