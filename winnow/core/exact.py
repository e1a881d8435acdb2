"""What a document is called: its title, id, headings and identifiers, folded for exact look-ups. Pure.

Folding makes case, compatibility forms (NFKC), white space and punctuation equal: ``json.JSONEncoder`` is
``JSON  jsonencoder``. A ``+`` or ``#`` after a letter stays (C++, C#).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from winnow.core.letters import MARKS, composed
from winnow.core.words import HUMP

Exactness: TypeAlias = Literal["title", "id", "heading", "identifier"]

MAX_KEY: Final = 512  # characters; a longer query is the name of nothing

_ASCII_WORD: Final = re.compile(r"[a-z0-9]+[+#]*")
_WORD: Final = re.compile(rf"(?:[^\W_]|[{MARKS}])+[+#]*|[^\w\s\x00-\x7f]")
_PUNCTUATION: Final = re.compile("[\u00a1-\u00bf\u2010-\u205e\u3001-\u303f\uff01-\uff65]")
_SEPARATOR: Final = re.compile(r"::|[./#:\\]")
_FLAG: Final = re.compile(r"-(?<![\w-]-)-?([A-Za-z][\w-]+)")  # a literal first, for which the engine jumps ahead
_SUFFIXES: Final = frozenset(
    "md mdx txt html htm pdf docx pptx xlsx rst json yaml yml toml csv py js ts ipynb xml".split()
)


class Level(IntEnum):
    """How exactly a query names a result, best last; one more (``VERBATIM``) where it is spelled in the same way.

    ``exactness_of`` gives the name that answers show.
    """

    NONE = 0
    IDENTIFIER = 2
    HEADING = 4
    PART_OF_ID = 6
    ID = 8
    PART_OF_TITLE = 10
    TITLE = 12


VERBATIM: Final = 1


_KINDS: Final[Mapping[Level, Exactness | None]] = {
    Level.NONE: None,
    Level.IDENTIFIER: "identifier",
    Level.HEADING: "heading",
    Level.PART_OF_ID: "id",
    Level.ID: "id",
    Level.PART_OF_TITLE: "title",
    Level.TITLE: "title",
}


def exactness_of(level: int) -> Exactness | None:
    """What a query names a result by; ``None`` where it does not."""
    return _KINDS[Level(level & ~VERBATIM)]


def spelled(text: str) -> str:
    """The form in which spellings are compared: ``random.Random`` is not ``random.random``."""
    return composed(text[:MAX_KEY]).strip()


def spellings_of(document_id: str, title: str) -> set[str]:
    """Title, id and their last parts as they are ``spelled``."""
    texts = (title, document_id, *last_part(title), *last_part(document_id))
    return {form for text in texts if (form := spelled(text))}


def folded_name(text: str) -> str:
    """The form in which names are compared; empty where nothing but punctuation is left, or it is too long."""
    if len(text) > MAX_KEY:
        return ""
    if text.isascii():
        return " ".join(_ASCII_WORD.findall(text.lower()))
    return " ".join(_WORD.findall(_PUNCTUATION.sub(" ", composed(text).casefold())))


def names_of(
    document_id: str, title: str, headings: Sequence[str], text: str, tokens: Iterable[str]
) -> dict[str, Level]:
    """The folded names of a chunk, each with the best level at which it is one.

    Args:
        document_id: of its document.
        title: of its document.
        headings: above the chunk.
        text: the chunk itself.
        tokens: those of title, headings and text, by ``tokens_of``.
    """
    names: dict[str, Level] = {}
    for level, texts in _called(document_id, title, headings, text):
        for each in texts:
            if name := folded_name(each):
                names.setdefault(name, level)
    for token in tokens:
        if name := _identifier(token):
            names.setdefault(name, Level.IDENTIFIER)
    return names


def level_of_name(name: str, document_id: str, title: str, headings: Sequence[str]) -> Level:
    """The best level at which a folded name is one of a chunk, as ``names_of`` gives them without a text."""
    for level, texts in _called(document_id, title, headings, "") if name else ():
        for each in texts:
            if folded_name(each) == name:
                return level
    return Level.NONE


def _called(document_id: str, title: str, headings: Sequence[str], text: str) -> Iterable[tuple[Level, Iterable[str]]]:
    """What a chunk is called, best first."""
    return (
        (Level.TITLE, [title]),
        (Level.PART_OF_TITLE, last_part(title)),
        (Level.ID, [document_id]),
        (Level.PART_OF_ID, last_part(document_id)),
        (Level.HEADING, headings),
        (Level.IDENTIFIER, _flags((title, *headings, text))),
    )


def last_part(name: str) -> list[str]:
    """``SMTP`` of ``smtplib.SMTP``, ``install`` of ``guide/install.md``; nothing of a name with spaces."""
    bare = name.removesuffix("()")
    if len(bare.split()) != 1:
        return []
    parts = [part for part in _SEPARATOR.split(bare) if part]
    if len(parts) > 1 and parts[-1].lower() in _SUFFIXES:
        parts = parts[:-1]
    return parts[-1:] if len(parts) > 1 or parts != [bare] else []


def _flags(texts: Iterable[str]) -> Iterable[str]:
    """Options of commands: ``no-verify`` of ``git commit --no-verify``."""
    return (flag for text in texts if "-" in text for flag in _FLAG.findall(text))


@lru_cache(50_000)
def _identifier(token: str) -> str:
    """The folded name of a word that is written as code and error codes are (``as_file``, ``os.path``, ``E0502``)."""
    return folded_name(token) if _is_identifier(token) else ""


def _is_identifier(token: str) -> bool:
    if token.isalpha():
        return len(token) > 3 and token[1:] != token[1:].lower() and HUMP.search(token) is not None
    if "_" in token or "::" in token:
        return not token.strip("_").isdigit()
    if "." in token:
        return token[0].isalpha() and all(len(piece) > 1 for piece in token.split("."))
    return token[0].isalpha() and any(character.isdigit() for character in token)
