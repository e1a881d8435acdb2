"""Words that say nothing by themselves."""

from __future__ import annotations

from typing import Final

FUNCTION_WORDS: Final = frozenset(
    "a an and are as at be by can did do does for from had has have how i if in into is it its me my of on or our so "
    "that the their them then there these they this to was we were what when where which who why will with you "
    "your".split()
)
"""English words whose presence in a query tells nothing about what is looked for. "No", "not", "than" and "but" do."""
