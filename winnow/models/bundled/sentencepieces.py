"""The tokenizer of multilingual-e5-small: SentencePiece over the vocabulary that its file holds."""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from sentencepiece import SentencePieceNormalizer, SentencePieceProcessor

from winnow.core.text import FUNCTION_WORDS, encodable
from winnow.models.bundled.e5 import Vocabulary, load_vocabulary
from winnow.models.bundled.reading import Reading, pieces_of
from winnow.ports import EmbedKind

PREFIXES: Final[dict[EmbedKind, str]] = {"query": "query: ", "document": "passage: "}  # the model was trained with them
MAX_TOKENS: Final = 507  # 512 with <s>, </s> and the pieces of a prefix
_LONGEST: Final = 64 * MAX_TOKENS  # characters: few pieces have more than 16, and none could hide the last one
_MARK: Final = "\u2581"  # in front of a piece that begins a word
_PUNCTUATION: Final = (*string.punctuation, *"、。，．・：；？！「」『』《》〈〉（）【】“”‘’…—–·«»¿¡।؟،")

# Fields of SentencePiece's ModelProto, https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
_PIECE, _TRAINER = 1, 2
_TEXT, _SCORE, _KIND = b"\x0a", b"\x15", b"\x18"
_UNKNOWN, _CONTROL = b"\x02", b"\x03"


class SentencePieces:
    """The pieces of XLM-RoBERTa's vocabulary: NFKC and the rules of ``nmt_nfkc``, then the likeliest pieces.

    Safe to use from several threads at once. Another process that gets one reads the vocabulary for itself.

    Args:
        folder: that holds the model's file; None: an installed package.

    Raises:
        InvalidSettings: the file is missing or not the expected one.
    """

    name = "xlm-roberta"

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        vocabulary = load_vocabulary(folder)
        self._pieces = SentencePieceProcessor(model_proto=model_proto(vocabulary))
        self._begin, self._end, self._unknown = vocabulary.begin, vocabulary.end, vocabulary.unknown
        words = (*FUNCTION_WORDS, *(word.capitalize() for word in FUNCTION_WORDS), *_PUNCTUATION, "")
        ids = {self._pieces.piece_to_id(mark + word) for word in words for mark in ("", _MARK) if mark + word}
        self._empty = ids - {vocabulary.unknown}
        self._mark = self._pieces.piece_to_id(_MARK)
        self._prefixes = {kind: self._pieces.encode(prefix) for kind, prefix in PREFIXES.items()}

    def __reduce__(self) -> tuple[type[Self], tuple[Path | None]]:
        return type(self), (self._folder,)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Character ranges of the tokens of ``text``, in order, special tokens left out.

        Of tokens that normalisation makes of one character the first one has it.
        """
        found: list[tuple[int, int]] = []
        for base, piece in pieces_of(encodable(text)):
            offsets: list[tuple[int, int]] = self._pieces.encode(piece, return_type="offset_mapping")["offsets"]
            for start, end in offsets:
                word = len(piece[start:end].lstrip())  # the space in front of it is a part of the piece
                if start < end:
                    found.append((base + (end - word if word else start), base + end))
        return found

    def read(self, texts: Sequence[str], instruct: str = "", *, kind: EmbedKind = "document") -> list[Reading]:
        """Read ``texts``, cut to what the model takes; ``instruct`` is put in front and takes at most half of that."""
        given = self._ids([instruct])[0][: MAX_TOKENS // 2] if instruct else []
        prefix = self._prefixes[kind]
        head = [self._begin, *prefix, *given]
        room = MAX_TOKENS - len(given)
        return [
            Reading([*head, *ids[:room], self._end], len(head), self._known(ids), len(prefix))
            for ids in self._ids(texts)
        ]

    def telling(self, reading: Reading) -> list[int]:
        """Positions in ``reading.ids`` of the text's own tokens, without English function words and punctuation.

        All of its tokens, where there is nothing else.
        """
        own = range(reading.head, len(reading.ids) - 1)
        return [i for i in own if reading.ids[i] not in self._empty] or list(own)

    def _ids(self, texts: Sequence[str]) -> list[Any]:
        found: list[Any] = self._pieces.encode([encodable(text[:_LONGEST]) for text in texts], num_threads=1)
        return found

    def _known(self, ids: list[int]) -> float:
        """The share of the tokens that are in the vocabulary; 0 where there are none."""
        own = np.array(ids, np.int64)
        words = own[own != self._mark]
        return 1.0 - float(np.count_nonzero(words == self._unknown)) / len(words) if len(words) else 0.0


def model_proto(vocabulary: Vocabulary) -> bytes:
    """The vocabulary as a model of SentencePiece's own format, with its rules of normalisation."""
    kinds = dict.fromkeys((vocabulary.begin, vocabulary.pad, vocabulary.end, len(vocabulary.ends) - 1), _CONTROL)
    kinds[vocabulary.unknown] = _UNKNOWN
    scores, parts, start = vocabulary.scores.tobytes(), [], 0
    for number, end in enumerate(vocabulary.ends.tolist()):
        text = vocabulary.text[start:end]
        kind = _KIND + kinds[number] if number in kinds else b""
        parts.append(
            _field(_PIECE, _TEXT + _varint(len(text)) + text + _SCORE + scores[4 * number : 4 * number + 4] + kind)
        )
        start = end
    special = {40: vocabulary.unknown, 41: vocabulary.begin, 42: vocabulary.end, 43: vocabulary.pad}
    trainer = b"".join(_varint(number << 3) + _varint(value) for number, value in special.items())
    rules: bytes = SentencePieceNormalizer(rule_name="nmt_nfkc").serialized_model_proto()
    return b"".join([*parts, _field(_TRAINER, trainer), rules])


def _field(number: int, value: bytes) -> bytes:
    """A field of the wire format of protocol buffers, of a kind with a length."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
