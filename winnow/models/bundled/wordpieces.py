"""The bundled model's tokenizer: token spans for the chunker, token ids and coverage for the model."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from tokenizers import Tokenizer as WordPieceTokenizer

from winnow.core.text import FUNCTION_WORDS, encodable
from winnow.models.bundled.reading import Reading, pieces_of
from winnow.ports import EmbedKind

_FILE: Final = Path(__file__).with_name("tokenizer.json")
MAX_TOKENS: Final = 254  # 256 with [CLS] and [SEP]: what the model was trained on
_LONGEST: Final = 256 * MAX_TOKENS  # characters; only white space could hide the 254th token behind them
# Latin-1, extended A to E, IPA, additional and the forms with marks composed; × and ÷ do not count as letters
_LATIN: Final = "A-Za-zªº\u00c0-\u02af\u1e00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff\uab30-\uab6f"
_FOREIGN_LETTER: Final = re.compile(rf"[^\W\d_{_LATIN}]")


class WordPieces:
    """Uncased English wordpieces. Safe to use from several threads at once."""

    name = "bert-uncased"

    def __init__(self) -> None:
        self._tokenizer = WordPieceTokenizer.from_file(str(_FILE))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True  # "[SEP]" inside a text is text
        vocabulary = self._tokenizer.get_vocab()
        self._cls, self._sep, self._unk = (vocabulary[token] for token in ("[CLS]", "[SEP]", "[UNK]"))
        self._empty = {vocabulary[word] for word in (*FUNCTION_WORDS, *string.punctuation) if word in vocabulary}
        self._starts_word = np.ones(len(vocabulary), dtype=np.bool_)
        self._starts_word[[i for token, i in vocabulary.items() if token.startswith("##")]] = False

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Character ranges of the tokens of ``text``, in order, special tokens left out."""
        pieces = list(pieces_of(encodable(text)))
        encodings = self._tokenizer.encode_batch([piece for _, piece in pieces], add_special_tokens=False)
        return [
            (base + start, base + end)
            for (base, _), encoding in zip(pieces, encodings, strict=True)
            for start, end in encoding.offsets
        ]

    def read(self, texts: Sequence[str], instruct: str = "", *, kind: EmbedKind = "document") -> list[Reading]:  # noqa: ARG002 - the model reads both alike
        """Read ``texts``, cut to what the model takes; ``instruct`` is put in front and takes at most half of that.

        The coverage is the share of letters in the Latin script times the share of words in the vocabulary. The
        vocabulary alone does not tell: it holds single characters of many scripts, so that a Chinese sentence is mostly
        "known" words that the model cannot put together.
        """
        texts = [text[:_LONGEST] for text in texts]
        head = self._ids([instruct])[0][: MAX_TOKENS // 2] if instruct else []
        return [self._reading(text, head, ids) for text, ids in zip(texts, self._ids(texts), strict=True)]

    def telling(self, reading: Reading) -> list[int]:
        """Positions in ``reading.ids`` of the text's own tokens, without function words and punctuation.

        All of its tokens, where there is nothing else.
        """
        own = range(reading.head, len(reading.ids) - 1)
        return [i for i in own if reading.ids[i] not in self._empty] or list(own)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        clean = [encodable(text) for text in texts]
        return [list(e.ids) for e in self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)]

    def _reading(self, text: str, head: list[int], ids: list[int]) -> Reading:
        known = np.array(ids, dtype=np.int64)
        words = int(np.count_nonzero(self._starts_word[known]))
        coverage = latin_share(text) * known_share(words, int(np.count_nonzero(known == self._unk)))
        body = [*head, *ids][:MAX_TOKENS]
        return Reading([self._cls, *body, self._sep], 1 + len(head), coverage)


def latin_share(text: str) -> float:
    """Share of the letters of ``text`` that are Latin, in [0, 1]; 1 where it has no letters (digits, code, marks)."""
    if text.isascii():
        return 1.0
    foreign = len(_FOREIGN_LETTER.findall(text))
    return 1.0 - foreign / sum(map(str.isalpha, text)) if foreign else 1.0


def known_share(words: int, unknown: int) -> float:
    """Share of ``words`` that are not ``unknown``, in [0, 1]; 0 for a text without words."""
    return 1.0 - unknown / words if words else 0.0
