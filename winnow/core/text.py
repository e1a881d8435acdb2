"""Characters that cannot be stored or sent, words that tell nothing about a text, and counts in sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

FUNCTION_WORDS: Final = frozenset(
    "a an and are as at be by can did do does for from had has have how i if in into is it its me my of on or our so "
    "that the their them then there these they this to was we were what when where which who why will with you "
    "your".split()
)
"""English words whose presence in a query tells nothing about its subject. "No", "not", "than" and "but" do."""

STOP_WORDS: Final = FUNCTION_WORDS | frozenset(
    "about above after again against all am any because been before being below between both but during each few "
    "further he her here hers herself him himself just me more most myself no nor not now off once only other "
    "ours ourselves out over own same she should some such than themselves those through too under until up very while "
    "whom yours yourself yourselves dont doesnt didnt isnt arent wasnt werent".split()
)
"""English words that a query is searched without, unless it has no others. Not "re", "ll" and "ve", which are names."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def is_encodable(text: str) -> bool:
    """Whether UTF-8 can encode ``text``: it cannot encode lone surrogates, halves of a character of UTF-16."""
    return text.isascii() or not _SURROGATE.search(text)


def encodable(text: str) -> str:
    """``text`` as UTF-8 can encode it: U+FFFD in place of each lone surrogate, and pairs of surrogates joined."""
    return text if is_encodable(text) else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def token_pieces(text: str, spans: Sequence[tuple[int, int]], limit: int) -> list[str]:
    """``text`` in pieces of ``limit`` tokens at most, cut where a token begins; ``spans`` are those of its tokens."""
    cuts = [0, *(spans[i][0] for i in range(limit, len(spans), limit)), len(text)]
    return [text[start:end] for start, end in pairwise(cuts)]


def has_unprintable(text: str) -> bool:
    """Whether ``text`` has control characters of ASCII or lone surrogates, which a name cannot have."""
    return not is_encodable(text) or any(ord(char) < 32 or ord(char) == 127 for char in text)


def storable(text: str) -> str:
    """A text that every database stores, as what others wrote may not be: PostgreSQL rejects U+0000 and surrogates."""
    return encodable(text.replace("\0", ""))


def counted(number: int, noun: str) -> str:
    """A count with its noun: ``1 document``, ``1,234 documents``, ``2 queries``, ``2 searches``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}{'es' if noun.endswith(('x', 'ch')) else 's'}"
    return f"{number:,} {noun if number == 1 else plural}"
