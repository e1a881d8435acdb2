"""The parts of German compounds: ``versicherung`` and ``beiträge`` of ``Krankenversicherungsbeiträge``. Pure.

There is no dictionary: a noun is split wherever a syllable may begin, and both sides are kept, without an s or n that
links them. Of these, queries only ask for words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

SHORTEST_PART: Final = 4
_UMLAUT: Final = re.compile("[äöüÄÖÜ]")
_NOUN: Final = re.compile(r"(?!.*[aeiousä]tische?[mnrs]?\Z)[A-ZÄÖÜ][a-zäöüß]{7,}\Z")  # not "Politisch", at a beginning
_ONSETS: Final = (
    "bl br chr dr fl fr gl gn gr kl kn kr pf pfl pfr ph pl pr qu sch schl schm schn schr schw sp "
    "spl spr st str th tr zw"
)
_ONSET: Final = _ONSETS.replace(" ", "|")
_BORDER: Final = re.compile(
    rf"(?<=[aeiouyäöü])(?=[bdfghjklmnprstvwz][aeiouyäöü])"  # Auto-bahn
    rf"|(?<=[bcdfghjklmnpqrstvwxzß])(?=(?:{_ONSET}|[bdfghjklmnprstvwz])[aeiouyäöü])"  # Miet-vertrag
    rf"|(?<=[aeiouyäöü])(?=(?:{_ONSET})[aeiouyäöü])"  # Schnee-pflug
    r"|(?<=[bcdfghjklmnpqrstvwxzß][bdfgklmnprstz])(?=[aeiouäöü])|(?<=[sn])(?=[aeiouäöü])"  # Rechts-anwalt
)
_JOINT: Final = re.compile("(?<=ungs|ions|täts|ings|tums)|(?<=heits|keits)|(?<=schafts)")
"""Behind the endings of nouns that a linking s always follows."""


def may_have_compounds(text: str) -> bool:
    """Whether a text has umlauts, as German texts have, so that its nouns are looked into."""
    return not text.isascii() and _UMLAUT.search(text) is not None


def compound_parts(word: str) -> Iterator[str]:
    """What a German noun may be made of, in small letters; nothing of a short word, or one without a capital."""
    if _NOUN.match(word):
        *pieces, last = _JOINT.split(word.lower())
        for piece in (*(piece.removesuffix("s") for piece in pieces), last):
            if SHORTEST_PART <= len(piece) < len(word):
                yield piece
            yield from _sides(piece)


def _sides(word: str) -> Iterator[str]:
    """Both sides of every place where the second part may begin."""
    for at in (found.start() for found in _BORDER.finditer(word)):
        if SHORTEST_PART <= at <= len(word) - SHORTEST_PART and word[at - 1 : at + 1] not in ("ch", "ck"):
            yield word[at:]
            yield word[: at - 1] if word[at - 1] in "sn" and at > SHORTEST_PART else word[:at]
