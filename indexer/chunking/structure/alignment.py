"""Finds the words of a block in the text that it was made from."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

from indexer.chunking.structure.blocks import Block

_WORD: Final = re.compile(r"[A-Za-z0-9_]{1,40}|[^\W_]|[^\w\s]")
_WINDOW: Final = 4000


class Alignment:
    """Maps positions in a block's readable text to positions in the original text.

    Words are looked up one after another, so the mapping never goes backwards and stays inside the block. It is
    exact at every word that the original spells in the same way; beside entities and escapes it is off by a word.
    """

    def __init__(self, block: Block, source: str) -> None:
        self._block = block
        self._read = [0]
        self._original = [block.start]
        cursor = block.start
        for word in _WORD.finditer(block.text):
            found = source.find(word[0], cursor, min(block.end, cursor + _WINDOW))
            if found >= 0:
                self._read.append(word.start())
                self._original.append(found)
                cursor = found + len(word[0])

    def original(self, position: int) -> int:
        """Position in the original of a position in ``block.text``."""
        if position >= len(self._block.text):
            return self._block.end
        at = bisect_right(self._read, position) - 1
        following = self._original[at + 1] if at + 1 < len(self._original) else self._block.end
        return min(self._original[at] + position - self._read[at], following)
