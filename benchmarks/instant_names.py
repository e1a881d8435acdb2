"""Whether names are found while they are typed: with one typo, and by their first four letters. No server, no model.

    python benchmarks/instant_names.py [--site FOLDER]

Names are the titles of this Python's own docstrings and, with ``--site``, those of a folder of Markdown pages. Typos
are those of Damerau: a letter replaced, left out, put in, or exchanged with its neighbour, at a place by chance.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from docstring_collection import standard_library

from winnow.core.typed import folded, typed_query
from winnow.ports import NameEntry
from winnow.typeahead.tantivy_index import TantivyNames

TITLE: Final = re.compile(r"^title:\s*(.+?)\s*$", re.MULTILINE)
WANTED_TYPO: Final = 3
WANTED_PREFIX: Final = 10


def with_typo(name: str, chance: random.Random) -> str:
    """``name`` with one letter wrong."""
    while True:
        at, other = (
            chance.choice([i for i, letter in enumerate(name) if letter.isalpha()]),
            chance.choice(string.ascii_lowercase),
        )
        before, letter, after = name[:at], name[at], name[at + 1 :]
        wrong = chance.choice(
            [
                before + other + after,
                before + after,
                before + other + letter + after,
                before + after[:1] + letter + after[1:],
            ]
        )
        if wrong != name:
            return wrong


def pages(folder: Path) -> list[str]:
    """The titles of the pages below a folder."""
    found = (TITLE.search(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.md*")))
    return [match.group(1).strip("'\"") for match in found if match]


def index_of(titles: Sequence[str]) -> TantivyNames:
    """An index in which each title is a document of its own."""
    index = TantivyNames()
    index.replace((), (NameEntry(str(at), f"d{at}", 1, title, True, (), (), {}, {}) for at, title in enumerate(titles)))
    index.publish()
    return index


def place(index: TantivyNames, typed: str, title: str, depth: int) -> bool:
    """Whether a document of this title is among the first."""
    query = typed_query(typed)
    if query is None:
        return False
    found = index.find([query], None, limit=64, wanted=depth, by_document=True)
    return any(each.name == title for each in found.names[:depth])


def measure(name: str, titles: Sequence[str], asked: int) -> None:
    """Print both shares."""
    chance, index = random.Random(7), index_of(titles)  # noqa: S311 - the same typos each time
    long = sorted({title for title in titles if sum(map(str.isalpha, title)) >= 5})
    some = chance.sample(long, min(asked, len(long)))
    missed = [
        (title, wrong) for title in some if not place(index, wrong := with_typo(title, chance), title, WANTED_TYPO)
    ]
    print(f"{name}, one typo, top 3: {1 - len(missed) / len(some):.3f} of {len(some)}; missed {missed[:12]}")
    starts = [folded(title)[:4] for title in set(titles)]
    rare = [title for title in some if starts.count(folded(title)[:4]) <= WANTED_PREFIX]
    late = [title for title in rare if not place(index, title[:4], title, WANTED_PREFIX)]
    print(
        f"{name}, first 4 letters, top 10: {1 - len(late) / max(1, len(rare)):.3f} of {len(rare)}; missed {late[:12]}"
    )


def main() -> None:
    """Measure on both sets of titles."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--site", type=Path, help="a folder of Markdown pages with a title in their front matter")
    given = parser.parse_args()
    measure("standard library", [each.title for each in asyncio.run(standard_library())], 350)
    if given.site:
        measure("site", pages(given.site), 200)


if __name__ == "__main__":
    main()
