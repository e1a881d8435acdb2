"""Finds pages with the same main text: each is folded into the first one, which keeps the other addresses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

MAX_ADDRESSES: Final = 100  # that are kept of one page
AGREEING: Final = 0.97  # share of the sketch that copies have in common

_SKETCH: Final = 128  # hashes that stand for a text
_KEYS: Final = 4  # of these, by which candidates are found
_RUN: Final = 5  # words
_READ: Final = 20_000  # words that are compared
_SHORT: Final = 50  # words: shorter texts are copies only if they are equal
_WORD: Final = re.compile(r"\w+")


class _Sketch(NamedTuple):
    """The smallest hashes of a text's word sequences (A. Broder, 1997), its numbers, and its title."""

    hashes: frozenset[bytes]
    numbers: tuple[str, ...]
    title: str


class Copies:
    """The texts of a walk, and at which further addresses each of them is.

    Two texts are copies if they have the same words in the same order, or, of long ones with the same title and the
    same numbers, nearly so: what differs is a greeting or a list of other pages, not a version or a price.

    Args:
        known: further addresses by address, as the last walk found them.
    """

    def __init__(self, known: Mapping[str, Sequence[str]]) -> None:
        self._known = {url: tuple(others) for url, others in known.items()}
        self._exact: dict[bytes, str] = {}
        self._near: dict[bytes, list[tuple[str, _Sketch]]] = {}
        self._found: dict[str, list[str]] = {}

    def original(self, url: str, title: str, text: str) -> str:
        """The first address with this text, perhaps ``url`` itself."""
        words = _WORD.findall(text.lower())
        digest = hashlib.sha256(" ".join(words or text.split()).encode(errors="replace")).digest()
        first = self._exact.get(digest) or (self._near_original(url, title, words) if len(words) >= _SHORT else url)
        return self._exact.setdefault(digest, first)

    def add(self, original: str, copy: str) -> None:
        """Note a further address."""
        self._found.setdefault(original, []).append(copy)

    def others(self, url: str) -> tuple[str, ...]:
        """The further addresses of a page as the last walk found them: what is known while this one goes on."""
        return self._known.get(url, ())[:MAX_ADDRESSES]

    def found(self, *, complete: bool) -> dict[str, tuple[str, ...]]:
        """The further addresses by address; those of the last walk as well if this one is not ``complete``."""
        urls = self._found.keys() if complete else self._found.keys() | self._known.keys()
        before = {} if complete else self._known
        return {url: tuple(sorted({*before.get(url, ()), *self._found.get(url, ())})) for url in sorted(urls)}

    def changed(self, *, complete: bool) -> Iterable[tuple[str, tuple[str, ...]]]:
        """Pages whose further addresses differ from those of the last walk."""
        now = self.found(complete=complete)
        for url in sorted(now.keys() | self._known.keys()):
            if now.get(url, ())[:MAX_ADDRESSES] != self.others(url):
                yield url, now.get(url, ())[:MAX_ADDRESSES]

    def _near_original(self, url: str, title: str, words: list[str]) -> str:
        runs = {" ".join(words[i : i + _RUN]) for i in range(min(len(words), _READ) - _RUN + 1)}
        hashes = sorted(hashlib.blake2b(run.encode(), digest_size=8).digest() for run in runs)[:_SKETCH]
        numbers = tuple(sorted(word for word in words if word[0].isdigit()))
        ours = _Sketch(frozenset(hashes), numbers, title)
        for key in hashes[:_KEYS]:
            for first, theirs in self._near.get(key, ()):
                same = (theirs.numbers, theirs.title) == (numbers, title)
                if same and len(ours.hashes & theirs.hashes) >= AGREEING * len(hashes):
                    return first
        for key in hashes[:_KEYS]:
            self._near.setdefault(key, []).append((url, ours))
        return url
