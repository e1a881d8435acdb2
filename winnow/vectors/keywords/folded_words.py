"""The tokenizer since version 0.2: words of every script, folded, stemmed by language, with a field for the title.

Weights are BM25's, as Qdrant computes them: a document's are ``tf * (k + 1) / (tf + k * (1 - b + b * length /
avg_length))``, a query's are 1, and the engine multiplies by the inverse document frequency at query time (Robertson
and Zaragoza, 2009). A title's words count once more in a field of their own, with ``TITLE_WEIGHT``.

- Chinese, with traditional characters as simplified ones, and Thai, Lao, Burmese and Khmer are split by the engine's
  dictionaries; Japanese and Korean give pairs of neighbouring characters, and each character.
- A text of another language than English has the English stems as well, for queries that do not tell their language.
- Words of Hebrew, Arabic, Hindi and Ukrainian have further forms (``forms``); a query is looked for in other spellings
  as well. The kaf and yeh of Persian are those of Arabic.
- Numbers with separators are kept without them too, and German nouns in the parts that they may have, as words of a
  kind of their own: what a word weighs does not depend on the compounds that it is in.
- English stop words are stored, but count for the length of no text. A query has them where it has no other word.

How this was chosen: ``docs/decisions/0023-words.md``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache, partial
from itertools import chain, pairwise
from typing import Final, Literal, NamedTuple, TypeAlias
from zlib import crc32

from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, SparseVector, StopwordsSet, TokenizerType

from winnow.core.compounds import SHORTEST_PART, compound_parts
from winnow.core.exact import names_of, spellings_of
from winnow.core.languages import LatinLanguage, languages_of
from winnow.core.letters import KANA, without_marks
from winnow.core.readable import grouped_numbers
from winnow.core.tenancy import plain_id
from winnow.core.text import STOP_WORDS
from winnow.core.types import Chunk, passage_of
from winnow.core.words import Kind, tokens_of, words_of
from winnow.vectors.keywords.chinese import simplified
from winnow.vectors.keywords.forms import asked_spellings, stored_forms, ukrainian_stem
from winnow.vectors.keywords.names import asked_weights, name_weights
from winnow.vectors.keywords.stems import stem
from winnow.vectors.keywords.vectors import NAMES, WORDS

K: Final = 1.2
B: Final = 0.75
AVG_LENGTH: Final = 128  # words without stop words in a chunk of 256 word pieces
TITLE_WEIGHT: Final = 0.3
TITLE_LENGTH: Final = 8  # words of an average title
_IDENTITY: Final = f"bm25:words-%s:names-2:title{TITLE_WEIGHT}:k{K}:b{B}:avg{AVG_LENGTH}"
Version: TypeAlias = Literal[2, 3, 4]
"""2 has the words alone, 3 also ``stored_forms``, 4 all of what is said above."""
EARLIER: Final[Mapping[str, Version]] = {_IDENTITY % 2: 2, _IDENTITY % 3: 3}
IDENTITY: Final = _IDENTITY % 4
PART_WEIGHT: Final = 0.5  # of a part of a compound, against a word

MAX_QUERY_CHARS: Final = 16_384  # of a longer query only the start is searched for
CACHED: Final = 50_000  # tokens of each language whose words are remembered

_JOINER: Final = "\u200c"
_JOINED: Final = re.compile(rf"[\w{_JOINER}]*\w{_JOINER}\w[\w{_JOINER}]*")
_PERSIAN: Final = str.maketrans("کی", "كي")
_CYRILLIC: Final = re.compile("[\u0400-\u052f]")
_UKRAINIAN: Final = re.compile("[іїєґІЇЄҐ]")
_KANA: Final = re.compile(f"[{KANA}]")
_TITLE: Final = 0x9E3779B9  # an odd number: another place for each word


class _Words(NamedTuple):
    """What one token gives: ids of words, with repetitions; words without stop words; whether it says anything; ids of
    the parts that it may be made of.
    """

    ids: tuple[int, ...]
    length: int
    content: bool
    parts: tuple[int, ...] = ()


class _Split(dict[str, _Words]):
    """Takes tokens of one kind of text apart, and remembers them, since words recur.

    Args:
        language: of words in Latin letters.
        pairs: whether runs of Chinese characters are split into pairs, as Japanese, or into words.
        stored: whether it is that of a document, which has each character of a run, for queries of one character. A
            query has each word without its ending taken off, as a text of another language may have it.
        ukrainian: whether Cyrillic words have forms of Ukrainian.
        version: which forms words have.
    """

    def __init__(
        self, language: LatinLanguage, *, pairs: bool, stored: bool, ukrainian: bool, version: Version
    ) -> None:
        self._language = language
        self._pairs = pairs
        self._stored = stored
        self._ukrainian = ukrainian
        self._version = version
        self._dictionary = Bm25(
            Bm25Config(
                k=K,
                b=0.0,
                tokenizer=TokenizerType.Multilingual,
                stemmer=DisabledStemmer(),
                stopwords=StopwordsSet(),
            )
        )

    def __missing__(self, token: str) -> _Words:
        if len(self) >= CACHED:
            self.clear()
        found = self[token] = self._take_apart(token)
        return found

    def _take_apart(self, token: str) -> _Words:
        ids: list[int] = []
        parts_of: list[int] = []
        length, content = 0, False
        for kind, parts, whole in words_of(token):
            for part in parts:
                found, size = self._part(kind, part)
                ids += found
                is_stop = kind == "word" and not whole and part.lower() in STOP_WORDS
                length += 0 if is_stop else size
                content |= not is_stop
                if kind == "word" and self._version > 3:
                    parts_of += self._parts(part)
            if whole:
                ids += self._stems(whole)
        return _Words(tuple(ids), length, content, tuple(parts_of))

    def _part(self, kind: Kind, part: str) -> tuple[list[int], int]:
        """Ids of a part's words, and how many words it counts as."""
        match kind:
            case "word":
                return self._stems(part), 1
            case "symbol":
                return [_id(part)], 1
            case "hangul":
                return self._grams(part), max(1, len(part) - 1)
            case "cjk" if self._pairs:
                return self._grams(simplified(part)), max(1, len(part) - 1)
            case "cjk" | "southeast":
                found = self._of_dictionary(simplified(part))
                return found, len(found)

    def _stems(self, word: str) -> list[int]:
        """Ids of the word's stem, of its English stem where that is another one, and of its further forms."""
        if self._version > 3 and not word.isascii():
            word = word.translate(_PERSIAN)
        stems = [stem(word, self._language), stem(word, "english")]
        bare = without_marks(word.casefold())
        if not self._stored:
            stems.append(bare)
        if self._version > 2 and not word.isascii():
            stems += [stem(each, "english") for each in stored_forms(bare)]
        if self._ukrainian and self._version > 3 and _CYRILLIC.match(word):
            stems.append(ukrainian_stem(bare))
        return [_id(each) for each in dict.fromkeys(stems)]

    def _parts(self, word: str) -> list[int]:
        """Ids of the parts of a German noun, or of what a word of a query may be a part of."""
        if not self._stored:
            return [_part_of(stem(word, "english"))] if len(word) >= SHORTEST_PART and word.isalpha() else []
        if self._language != "german":
            return []
        return [_part_of(each) for each in dict.fromkeys(stem(part, "english") for part in compound_parts(word))]

    def _grams(self, run: str) -> list[int]:
        """Ids of neighbouring characters."""
        pairs = [_id(one + following) for one, following in pairwise(run)]
        return [*pairs, *map(_id, run)] if self._stored or not pairs else pairs

    def _of_dictionary(self, run: str) -> list[int]:
        """Words of a run by the engine's dictionaries. Without ``b`` a weight tells how often each occurs."""
        vector = self._dictionary.embed_document(run)
        often = (round(K * weight / (K + 1 - weight)) for weight in vector.values)
        return [each for each, times in zip(vector.indices, often, strict=True) for _ in range(times)]


class FoldedWords:
    """See ``KeywordEncoder``. Remembers words: one for a process.

    Args:
        version: that of the identity.
    """

    def __init__(self, version: Version = 4) -> None:
        self._version = version
        self._split = lru_cache(partial(_Split, version=version))

    def document(self, document_id: str, title: str, chunk: Chunk) -> Mapping[str, SparseVector]:
        """See the protocol."""
        text = passage_of(title, chunk)
        tokens = Counter(tokens_of(text))
        names = names_of(plain_id(document_id), title, chunk.headings, chunk.text, tokens)
        language = languages_of(text, tokens, ahead=2)[0]
        pairs, ukrainian = _KANA.search(text) is not None, _UKRAINIAN.search(text) is not None
        split = self._split(language, pairs=pairs, stored=True, ukrainian=ukrainian)
        tokens.update(self._further(text))
        weights = _weights(split, tokens, AVG_LENGTH)
        if title:
            of_title = _weights(split, Counter(tokens_of(title)), TITLE_LENGTH)
            weights |= {_of_title(each): TITLE_WEIGHT * weight for each, weight in of_title.items()}
        own_id = plain_id(document_id)
        return {WORDS: _sparse(weights), NAMES: _sparse(name_weights(names, spellings_of(own_id, title)))}

    def query(self, text: str | None) -> SparseVector | None:
        """See the protocol. The languages that the query may be in give their stems, and so does English."""
        if text is None:
            return None
        tokens = Counter(tokens_of(text[:MAX_QUERY_CHARS]))
        languages = languages_of(text, tokens, ahead=1)
        ways = (False,) if text.isascii() else (False, True)
        splits = [self._split(each, pairs=pairs, stored=False, ukrainian=True) for each in languages for pairs in ways]
        other = chain.from_iterable(map(asked_spellings, tokens))
        spellings = dict.fromkeys(chain(tokens, grouped_numbers(text), self._further(text), other))
        found = [split[token] for split in splits for token in spellings]
        said = [words for words in found if words.content] or found
        ids = dict.fromkeys(each for words in said for each in (*words.ids, *words.parts))
        return _sparse(dict.fromkeys([*ids, *map(_of_title, ids)], 1.0)) if ids else None

    def _further(self, text: str) -> list[str]:
        """Tokens beside those of ``tokens_of``: numbers without separators, and what a joiner of Persian joins."""
        if self._version < 4:
            return []
        joined = _JOINED.findall(text) if _JOINER in text else ()
        return [*grouped_numbers(text), *(half for each in joined for half in each.split(_JOINER) if half)]

    def name(self, text: str | None) -> SparseVector | None:
        """See the protocol."""
        asked = asked_weights(text or "")
        return _sparse(asked) if asked else None


def _weights(split: _Split, tokens: Mapping[str, int], average: int) -> dict[int, float]:
    """BM25 weights of the words of tokens, given how often each token occurs."""
    counts: dict[int, int] = {}
    parts: dict[int, int] = {}
    length = 0
    for token, times in tokens.items():
        ids, size, _, parts_of = split[token]
        length += size * times
        for each in ids:
            counts[each] = counts.get(each, 0) + times
        for each in parts_of:
            parts[each] = parts.get(each, 0) + times
    norm = K * (1 - B + B * length / average)
    weights = {times: times * (K + 1) / (times + norm) for times in {*counts.values(), *parts.values()}}
    found = {each: PART_WEIGHT * weights[times] for each, times in parts.items()}
    return found | {each: weights[times] for each, times in counts.items()}


def _sparse(weights: Mapping[int, float]) -> SparseVector:
    ids = sorted(weights)  # the order in which the engines keep them
    return SparseVector(ids, [weights[each] for each in ids])


def _id(word: str) -> int:
    return crc32(word.encode())


def _part_of(word: str) -> int:
    """The id of a word as a part of others."""
    return _id(f"-{word}")


def _of_title(word: int) -> int:
    """The id of a word in the title's field."""
    return word * _TITLE & 0xFFFFFFFF
