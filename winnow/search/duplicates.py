"""Near-duplicates among the results of a search: each is folded into the best result of almost the same text. Pure.

Two texts are near-duplicates where the resemblance of their shingles, |A ∩ B| / |A ∪ B| over the sets of all runs of
three words, is 0.8 or more (Broder 1997, "On the resemblance and containment of documents",
https://doi.org/10.1109/SEQUEN.1997.666900; 0.8 as in Lee et al. 2022, "Deduplicating Training Data Makes Language
Models Better", https://doi.org/10.18653/v1/2022.acl-long.577). The sets are compared themselves: for the hundred texts
of a search that costs less than sketches of them. Case, punctuation and white space do not count. In scripts without
spaces each character is a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias, TypeVar

from winnow.core.letters import UNSPACED
from winnow.core.packing import Duplicate
from winnow.core.search import Result

RESEMBLANCE: Final = 0.8
SHINGLE_WORDS: Final = 3

_WORD: Final = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")
_Item = TypeVar("_Item")
_Shingles: TypeAlias = frozenset[tuple[str, ...]]


class Folded(NamedTuple):
    """An item that is kept, and the positions of those that were folded into it, best first."""

    position: int
    duplicates: tuple[int, ...]


def shingles_of(text: str) -> _Shingles:
    """All runs of three words; of a shorter text the one run of its words."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    size = min(SHINGLE_WORDS, len(words))
    return frozenset(zip(*(words[i:] for i in range(size)), strict=False))


def resemble(one: _Shingles, other: _Shingles) -> bool:
    """Whether two texts are near-duplicates. A text without words resembles none."""
    if not one or not other or min(len(one), len(other)) < RESEMBLANCE * max(len(one), len(other)):
        return False
    common = len(one & other)
    return common >= RESEMBLANCE * (len(one) + len(other) - common)


def fold(texts: Sequence[str], owners: Sequence[object], *, keep: int) -> list[Folded]:
    """The first ``keep`` of the texts that resemble none before them, with those that resemble them.

    Args:
        texts: best first.
        owners: whose each text is; texts of one owner are not compared.
        keep: the largest number of texts that are kept; what comes after is still folded into them.
    """
    kept: list[tuple[int, _Shingles, list[int]]] = []
    for position, text in enumerate(texts):
        shingles = shingles_of(text)
        like = (each for each in kept if owners[each[0]] != owners[position] and resemble(each[1], shingles))
        if (original := next(like, None)) is not None:
            original[2].append(position)
        elif len(kept) < keep:
            kept.append((position, shingles, []))
    return [Folded(position, tuple(duplicates)) for position, _, duplicates in kept]


def fold_results(
    items: Iterable[_Item], result_of: Callable[[_Item], Result], collection_of: Callable[[_Item], str], *, keep: int
) -> list[tuple[_Item, tuple[Duplicate, ...]]]:
    """The best ``keep`` items without near-duplicates, each with those of other documents that were folded into it.

    What was folded into an item before stays with it.
    """
    every = list(items)
    results = [result_of(each) for each in every]
    owners = [(collection_of(item), result.candidate.document_id) for item, result in zip(every, results, strict=True)]
    folded = fold([each.candidate.chunk.text for each in results], owners, keep=keep)

    def duplicates(one: Folded) -> tuple[Duplicate, ...]:
        found = dict.fromkeys(results[one.position].duplicates or ())
        for position in one.duplicates:
            candidate = results[position].candidate
            found[Duplicate(candidate.document_id, candidate.url, owners[position][0])] = None
            found |= dict.fromkeys(results[position].duplicates or ())
        return tuple(found)

    return [(every[one.position], duplicates(one)) for one in folded]
