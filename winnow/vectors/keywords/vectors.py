"""The names of the sparse vectors that a point has."""

from typing import Final

WORDS: Final = "bm25"
NAMES: Final = "names"
