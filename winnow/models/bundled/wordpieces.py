"""The bundled model's tokenizer: token spans for the chunker, token ids and coverage for the model."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
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


_SYMBOLS: Final = ("So", "Sk", "Sm", "Cf")  # with the joiners of emoji
_VARIANT: Final = "\ufe0f"
_ENGLISH: Final = 0.15  # share of function words from which a text is English
_SHORT: Final = 6  # words
_FEW: Final = 30  # letters of so many words
_USUAL_PIECES: Final = 0.2  # that continue a word of an English query
_LETTERS_WEIGHT: Final = 6.0
_STILL_ENGLISH: Final = 0.6
_NOT_ENGLISH: Final = 1.6  # above that


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
        self._is_word = np.zeros(len(vocabulary), dtype=np.bool_)
        self._is_word[[i for token, i in vocabulary.items() if len(token) > 1 and token.isalpha()]] = True
        self._is_function_word = np.zeros(len(vocabulary), dtype=np.bool_)
        self._is_function_word[[vocabulary[word] for word in FUNCTION_WORDS if word in vocabulary]] = True

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Character ranges of the tokens of ``text``, in order, special tokens left out."""
        pieces = list(pieces_of(encodable(text)))
        encodings = self._tokenizer.encode_batch([piece for _, piece in pieces], add_special_tokens=False)
        return [
            (base + start, base + end)
            for (base, _), encoding in zip(pieces, encodings, strict=True)
            for start, end in encoding.offsets
        ]

    def read(self, texts: Sequence[str], instruct: str = "", *, kind: EmbedKind = "document") -> list[Reading]:
        """Read ``texts``, cut to what the model takes; ``instruct`` is put in front and takes at most half of that.

        The coverage is the share of letters in the Latin script, times the share of words in the vocabulary, times how
        English the Latin part is. The vocabulary alone does not tell: it holds single characters of many scripts, and
        pieces of which every word can be made. Symbols and emoji do not count, and a query is read without them: to
        the model they are all one unknown word.
        """
        texts = [text[:_LONGEST] for text in texts]
        if kind == "query":
            texts = [without_symbols(text) for text in texts]
        head = self._ids([instruct])[0][: MAX_TOKENS // 2] if instruct else []
        return [self._reading(text, head, ids) for text, ids in zip(texts, self._ids(texts), strict=True)]

    def telling(self, reading: Reading) -> list[int]:
        """Positions in ``reading.ids`` of the text's own tokens, without function words and punctuation.

        All of its tokens, where there is nothing else.
        """
        own = range(reading.head, len(reading.ids) - 1)
        return [i for i in own if reading.ids[i] not in self._empty] or list(own)

    def count_words(self, texts: Sequence[str]) -> list[tuple[int, int, int]]:
        """Of each text the words of two letters at least, the pieces that continue a word, and the function words."""
        return [self._counts(np.array(ids, dtype=np.int64)) for ids in self._ids(texts)]

    def _counts(self, ids: npt.NDArray[np.int64]) -> tuple[int, int, int]:
        continuing = ~self._starts_word[ids]
        whole = ~np.append(continuing[1:], False)
        words, function = self._is_word[ids].sum(), (self._is_function_word[ids] & whole).sum()
        return int(words), int(continuing.sum()), int(function)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        clean = [encodable(text) for text in texts]
        return [list(e.ids) for e in self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)]

    def _reading(self, text: str, head: list[int], ids: list[int]) -> Reading:
        known = np.array(ids, dtype=np.int64)
        if not text.isascii() and (known == self._unk).any() and (plain := without_symbols(text)) != text:
            known = np.array(self._ids([plain])[0], dtype=np.int64)
        words = int(np.count_nonzero(self._starts_word[known]))
        coverage = latin_share(text) * known_share(words, int(np.count_nonzero(known == self._unk)))
        if coverage and not text.isascii():
            coverage *= english_share(text, words, len(known) - words)
        body = [*head, *ids][:MAX_TOKENS]
        return Reading([self._cls, *body, self._sep], 1 + len(head), coverage)


def without_symbols(text: str) -> str:
    """``text`` with a space for each emoji, star, arrow and other symbol beyond ASCII, unless it has nothing else."""
    if text.isascii():
        return text
    plain = "".join(
        " " if not char.isascii() and (unicodedata.category(char) in _SYMBOLS or char == _VARIANT) else char
        for char in text
    )
    return plain if plain.strip() else text


def english_share(text: str, words: int, continued: int) -> float:
    """How far a text in Latin letters is English, in [0, 1], by its letters, its pieces and its small words.

    Words of other languages fall into more pieces, and have letters that English has not: by pieces alone English with
    scientific terms and code looks like French. In the Declaration of Human Rights a word has this many pieces behind
    its first (in brackets the percentage of letters beyond ASCII): English 0.03 (0), French 0.6 (4), Vietnamese 0.7
    (26), Spanish 0.9 (2), Romanian 1.2 (6), German 1.4 (2), Turkish 2.1 (12); in abstracts of SciFact 0.3.

    Args:
        text: not ASCII alone.
        words: pieces that begin a word.
        continued: pieces that continue one.
    """
    letters = sum(map(str.isalpha, text))
    beyond = sum(char.isalpha() and not char.isascii() for char in text) - len(_FOREIGN_LETTER.findall(text))
    if not beyond or not letters:
        return 1.0
    tokens = text.casefold().split()
    if sum(token in FUNCTION_WORDS for token in tokens) >= _ENGLISH * len(tokens):
        return 1.0
    # a few words more that look like English: a name in a short query is not another language
    foreign = (continued + _USUAL_PIECES * _SHORT) / (words + _SHORT) + _LETTERS_WEIGHT * beyond / (letters + _FEW)
    return min(1.0, max(0.0, 1.0 - (foreign - _STILL_ENGLISH) / _NOT_ENGLISH))


def latin_share(text: str) -> float:
    """Share of the letters of ``text`` that are Latin, in [0, 1]; 1 where it has no letters (digits, code, marks)."""
    if text.isascii():
        return 1.0
    foreign = len(_FOREIGN_LETTER.findall(text))
    return 1.0 - foreign / sum(map(str.isalpha, text)) if foreign else 1.0


def known_share(words: int, unknown: int) -> float:
    """Share of ``words`` that are not ``unknown``, in [0, 1]; 0 for a text without words."""
    return 1.0 - unknown / words if words else 0.0
