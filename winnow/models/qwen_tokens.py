"""Token counts as the models make them: with the vocabulary and rules of Qwen2 and Qwen3, or a ``tokenizer.json``.

The vocabulary is ``qwen.tiktoken.xz`` beside this module (151,643 byte sequences, a line each, in order of rank); the
pattern and the normalisation to NFC are those of Qwen's ``tokenizer.json``. Special tokens are not recognised: user
text never holds any.
"""

from __future__ import annotations

import base64
import hashlib
import lzma
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, chain, pairwise
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
import tiktoken
from cachetools import LRUCache
from tokenizers import Tokenizer as FileTokenizer

from winnow.core.errors import InvalidSettings
from winnow.ports import Tokenizer

Spans = list[tuple[int, int]]

_VOCABULARY: Final = Path(__file__).with_name("qwen.tiktoken.xz")
_PATTERN: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_TOP_BITS: Final = 0xC0
_CONTINUATION: Final = 0x80  # top bits of a byte that continues a character in UTF-8
_REMEMBERED: Final = 65_536  # counts, of some 150 bytes each
_PIECE_LENGTH: Final = 16_384
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# Pieces that are read one by one: the pattern overflows its stack on a run of white space much longer than that. No
# token reaches across the place in front of a space; only where there is none for long may a count be one too high.
_PIECE: Final = re.compile(rf"(?s).{{1,{_PIECE_LENGTH}}}(?<=\S)(?= |\Z)|.{{1,{_PIECE_LENGTH}}}")
_COMPOSED: Final = re.compile("(?s).[\u0300-\u036f\u3099\u309a\u1160-\u11ff]*")


class QwenTokens(Tokenizer):
    """Counts text as Qwen2 and Qwen3 do. Safe to use from several threads."""

    name = "qwen3"

    def __init__(self) -> None:
        self._encoding, self._lengths = _qwen()

    def count(self, text: str) -> int:
        """Number of tokens of ``text``."""
        return len(self._tokens(_normal(text)))

    def beginning(self, text: str, limit: int) -> tuple[str, int]:
        """As much of ``text`` as ``limit`` tokens hold, in whole characters (NFC if cut), and how many these are."""
        tokens = self._tokens(_normal(text))
        if len(tokens) <= limit:
            return text, len(tokens)
        return self._encoding.decode_bytes(tokens[:limit]).decode("utf-8", "ignore"), limit

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Character ranges of the tokens of ``text``, in order; none is empty and none overlaps another.

        Tokens that share a character (a rare one takes several) share one span, so there may be fewer spans than
        ``count`` says. Qwen reads text in NFC: where ``text`` is not, the ranges are those of the characters in
        ``text`` that were composed. Where these cannot be told (some Indic vowels), ``text`` is not composed.
        """
        text, normal = _encodable(text), _normal(text)
        parts = _composed_parts(text, normal) if normal != text else []
        if not parts:
            return self._spans(text)
        return _joined([(parts[start][0], parts[end - 1][1]) for start, end in self._spans(normal)])

    def _tokens(self, text: str) -> list[int]:
        pieces = [text] if len(text) <= _PIECE_LENGTH else _PIECE.findall(text)
        return list(chain.from_iterable(map(self._encoding.encode_ordinary, pieces)))

    def _spans(self, text: str) -> Spans:
        borders = accumulate(map(self._lengths.__getitem__, self._tokens(text)), initial=0)
        if text.isascii():
            return list(pairwise(borders))
        # from bytes to characters; a token that ends within a character ends no span
        ends = np.fromiter(borders, dtype=np.int64)
        octets = np.frombuffer(text.encode(), dtype=np.uint8)
        begins = np.append((octets & _TOP_BITS) != _CONTINUATION, [True])
        return list(pairwise((np.cumsum(begins)[ends[begins[ends]]] - 1).tolist()))


class RememberedTokens(QwenTokens):
    """Remembers its counts, for searches that find the same chunks again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: LRUCache[bytes, int] = LRUCache(_REMEMBERED)
        self._lock = Lock()

    def count(self, text: str) -> int:
        """Number of tokens of ``text``."""
        key = hashlib.blake2b(_encodable(text).encode(), digest_size=16).digest()
        with self._lock:
            known: int | None = self._counts.get(key)
        if known is None:
            known = super().count(text)
            with self._lock:
                self._counts[key] = known
        return known


class FileTokens(Tokenizer):
    """Counts text by a ``tokenizer.json``. Its name holds a digest of the file, so that files are told apart.

    Raises:
        InvalidSettings: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = path.read_bytes()
            self._tokenizer: FileTokenizer = FileTokenizer.from_buffer(content)
        except (OSError, ValueError) as error:
            raise InvalidSettings(
                f"{path} is not a tokenizer ({error}): set WINNOW_EMBEDDING__TOKENIZER to qwen or the path of a "
                "tokenizer.json"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.name = f"tokenizer.json-{hashlib.sha256(content).hexdigest()[:12]}"

    def count(self, text: str) -> int:
        """Number of tokens of ``text``."""
        return len(self._tokenizer.encode(_encodable(text), add_special_tokens=False))

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Character ranges of the tokens of ``text``, in order; tokens that share a character share one."""
        return _joined(self._tokenizer.encode(_encodable(text), add_special_tokens=False).offsets)


def load_tokenizer(name_or_path: str) -> QwenTokens | FileTokens:
    """The tokenizer that a setting names: ``qwen``, or the path of a ``tokenizer.json``.

    Raises:
        InvalidSettings: it is neither.
    """
    return QwenTokens() if name_or_path == "qwen" else FileTokens(Path(name_or_path).expanduser())


@cache
def _qwen() -> tuple[tiktoken.Encoding, bytes]:
    """Qwen's vocabulary, which takes a moment and some 50 MB to load, and the length in bytes of each token.

    Immutable, so one for all. The longest token has 128 bytes.
    """
    with lzma.open(_VOCABULARY) as lines:
        ranks = {base64.b64decode(line.split()[0]): rank for rank, line in enumerate(lines)}
    encoding = tiktoken.Encoding("qwen3", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={})
    return encoding, bytes(map(len, ranks))


def _normal(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", _encodable(text))


def _encodable(text: str) -> str:
    """The text as UTF-8 can hold it, of the same length."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _composed_parts(text: str, normal: str) -> Spans:
    """The part of ``text`` that each character of ``normal``, its NFC, was composed from.

    Nothing where the parts cannot be told apart: a few Indic vowels compose with letters instead of marks.
    """
    parts: Spans = []
    composed: list[str] = []
    for match in _COMPOSED.finditer(text):
        composed.append(unicodedata.normalize("NFC", match.group()))
        parts += [match.span()] * len(composed[-1])
    return parts if "".join(composed) == normal else []


def _joined(spans: Sequence[tuple[int, int]]) -> Spans:
    """The spans without empty ones; those that overlap are one."""
    joined: Spans = []
    for start, end in spans:
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif end > start:
            joined.append((start, end))
    return joined
