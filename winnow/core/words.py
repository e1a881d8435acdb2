"""The words of a text, in every script, as the keyword arm counts them and highlights mark them. Pure.

A *token* is a run of letters, combining marks and digits, with the joiners of identifiers inside it: ``os.path``,
``as_file``, ``no-verify``, ``don't``, ``C++``. Its *parts* are the words in it; of a token of several parts the whole
is a word as well, without the joiners, so that ``utf-8``, ``UTF8`` and ``utf_8`` meet. Scripts that put no spaces
between words give runs, and so does Hangul, whose words carry endings. A symbol or an emoji is a token.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, TypeAlias, cast

from winnow.core.letters import HAN, HANGUL, KANA, MARKS, SOUTHEAST_ASIAN, UNSPACED, composed

Kind: TypeAlias = Literal["word", "cjk", "hangul", "southeast", "symbol"]

_LETTER: Final = rf"[\w{MARKS}]"
SYMBOL: Final = (
    "\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2900-\u2bff\u3297\u3299\U0001f000-\U0001faff\u20a0-\u20cf\u2200-\u22ff"
)
_TOKEN: Final = re.compile(rf"{_LETTER}+(?:(?:[._'’\-]|::){_LETTER}+)*(?:\+\+|\#(?!\w))?|[{SYMBOL}]")
_ASCII_TOKEN: Final = re.compile(r"\w+(?:(?:[._'\-]|::)\w+)*(?:\+\+|\#(?!\w))?", re.ASCII)
_RUN: Final = re.compile(
    rf"(?P<cjk>[{HAN}{KANA}]+)|(?P<hangul>[{HANGUL}]+)|(?P<southeast>[{SOUTHEAST_ASIAN}]+)|(?P<symbol>[{SYMBOL}])"
    rf"|(?P<word>(?:(?![{UNSPACED}{HANGUL}{SYMBOL}]).)+)"
)
_JOINER: Final = re.compile(r"[._'’\-:]+")
HUMP: Final = re.compile(r"(?<=[^\W\d_])(?=[A-ZÀ-ÖØ-Þ])(?:(?<![A-ZÀ-ÖØ-Þ])|(?=.[^\W\d_A-ZÀ-ÖØ-Þ]))")
_CLITIC: Final = re.compile(r"['’](?:s|re|ll|ve|d|m)\Z", re.IGNORECASE)
_NOT: Final = re.compile(r"n['’]t\Z", re.IGNORECASE)


class TokenWords(NamedTuple):
    """The words of a token, not folded.

    Attributes:
        parts: the words in it; a run of an unspaced script is one part.
        whole: the token without its joiners, where it has several parts; else "".
    """

    kind: Kind
    parts: tuple[str, ...]
    whole: str = ""


def tokens_of(text: str) -> list[str]:
    """The tokens of any text, in order, ``composed``."""
    if text.isascii():
        return _ASCII_TOKEN.findall(text)
    return _TOKEN.findall(composed(text))


def words_of(token: str) -> list[TokenWords]:
    """Take a token apart: into runs of one script, and those with spaces into words."""
    if token.isascii():
        return _spaced(token)
    return [
        each
        for run in _RUN.finditer(token)
        for each in (
            _spaced(run.group())
            if run.lastgroup == "word"
            else [TokenWords(cast("Kind", run.lastgroup), (run.group(),))]
        )
    ]


def _spaced(token: str) -> list[TokenWords]:
    bare = _CLITIC.sub("", token.strip("_"))
    if _NOT.search(bare):
        return [TokenWords("word", (re.sub("['’]", "", bare),))]
    if bare.endswith(("+", "#")):
        return [TokenWords("word", (bare,))]
    pieces = [piece for piece in _JOINER.split(bare) if piece]
    parts = tuple(part for piece in pieces for part in (HUMP.split(piece) if _has_hump(piece) else (piece,)))
    if len(parts) < 2:
        return [TokenWords("word", parts)] if parts else []
    return [TokenWords("word", parts, _whole(pieces))]


def _has_hump(piece: str) -> bool:
    return not (piece.islower() or piece.isupper() or piece[1:].islower())


def _whole(pieces: list[str]) -> str:
    """Pieces without joiners; a point stays between digits, since 3.11 is not 311."""
    joined = pieces[0]
    for piece in pieces[1:]:
        joined += f".{piece}" if joined[-1].isdigit() and piece[0].isdigit() else piece
    return joined
