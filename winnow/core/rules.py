"""Rules of a collection: synonyms, pinned and hidden documents for queries, and stop-words. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from winnow.core.errors import InvalidRules
from winnow.core.exact import folded_name
from winnow.core.text import has_unprintable
from winnow.core.words import tokens_of

QueryMatch: TypeAlias = Literal["exact", "contains"]

MAX_RULES: Final = 5_000
MAX_WORDS: Final = 50  # of a synonym
MAX_PHRASE_CHARS: Final = 200
MAX_DOCUMENTS: Final = 100  # of a pin or a hidden rule
_MAX_ID_CHARS: Final = 512
MAX_RULES_CHARS: Final = 1_000_000  # of all rules, as they are stored

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class SynonymRule:
    """Words or phrases that mean the same.

    Attributes:
        words: each of them adds the others; empty where the rule goes one way.
        source: the phrase that adds those of ``to``; empty where the rule goes both ways.
    """

    words: tuple[str, ...] = ()
    source: str = ""
    to: tuple[str, ...] = ()
    language: str | None = None


@dataclass(frozen=True, slots=True)
class QueryRule:
    """Documents that are pinned or hidden for a query; their ids are those that callers use."""

    query: str
    documents: tuple[str, ...]
    match: QueryMatch = "exact"
    language: str | None = None


@dataclass(frozen=True, slots=True)
class StopWords:
    """Words that the keyword arm does not look for."""

    words: tuple[str, ...]
    language: str | None = None


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules of a collection; ``version`` counts their changes, 0 where there never were any."""

    synonyms: tuple[SynonymRule, ...] = ()
    pins: tuple[QueryRule, ...] = ()
    hidden: tuple[QueryRule, ...] = ()
    stop_words: tuple[StopWords, ...] = ()
    version: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is not one rule."""
        return not (self.synonyms or self.pins or self.hidden or self.stop_words)


NO_RULES: Final = RuleSet()


def check_rules(rules: RuleSet) -> None:
    """Check rules before they are stored.

    Raises:
        InvalidRules: a rule can never act, or a limit is exceeded; the location names the place.
    """
    for name in ("synonyms", "pins", "hidden", "stop_words"):
        if len(getattr(rules, name)) > MAX_RULES:
            raise _refused(f"a collection has at most {MAX_RULES:,} {name}", (name,))
    for at, synonym in enumerate(rules.synonyms):
        _check_synonym(synonym, ("synonyms", at))
    for name, found in (("pins", rules.pins), ("hidden", rules.hidden)):
        for at, rule in enumerate(found):
            _check_language(rule.language, (name, at))
            _check_phrase(rule.query, (name, at, "query"))
            _check_documents(rule.documents, (name, at, "documents"))
    for at, words in enumerate(rules.stop_words):
        _check_stop_words(words, ("stop_words", at))
    if len(stored_rules(rules)) > MAX_RULES_CHARS:
        raise InvalidRules(f"the rules of a collection have at most {MAX_RULES_CHARS:,} characters")


def stored_rules(rules: RuleSet) -> str:
    """The rules as the catalog keeps them: JSON."""
    return json.dumps(asdict(rules), ensure_ascii=False, separators=(",", ":"))


@lru_cache(256)
def read_rules(stored: str) -> RuleSet:
    """The rules that ``stored_rules`` wrote. Remembered: each process reads the row of a collection every second."""
    body: dict[str, Any] = json.loads(stored)
    return RuleSet(
        tuple(SynonymRule(**_tuples(each)) for each in body["synonyms"]),
        tuple(QueryRule(**_tuples(each)) for each in body["pins"]),
        tuple(QueryRule(**_tuples(each)) for each in body["hidden"]),
        tuple(StopWords(**_tuples(each)) for each in body["stop_words"]),
        body["version"],
    )


def replaced_rules(known: RuleSet, wanted: RuleSet) -> RuleSet:
    """The rules that are wanted, as the version that follows the known one."""
    return replace(wanted, version=known.version + 1)


def _tuples(rule: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in rule.items()}


def _phrases(synonym: SynonymRule) -> Iterator[tuple[str, str]]:
    yield from (("words", each) for each in synonym.words)
    if not synonym.words:
        yield "from", synonym.source
    yield from (("to", each) for each in synonym.to)


def _check_synonym(synonym: SynonymRule, place: tuple[str | int, ...]) -> None:
    _check_language(synonym.language, place)
    if bool(synonym.words) == bool(synonym.source or synonym.to):
        raise _refused("a synonym has either words, or from and to", place)
    folded: list[str] = []
    for name, phrase in _phrases(synonym):
        folded.append(_check_phrase(phrase, (*place, name)))
    if synonym.source and not synonym.to:
        raise _refused("to names one word or phrase at least", (*place, "to"))
    if len(folded) > MAX_WORDS:
        raise _refused(f"a synonym has at most {MAX_WORDS} words and phrases", place)
    if len(set(folded)) < 2:
        raise _refused("a synonym needs two different words or phrases", place)


def _check_stop_words(stop: StopWords, place: tuple[str | int, ...]) -> None:
    _check_language(stop.language, place)
    if not stop.words:
        raise _refused("stop-words are one word or more", place)
    for word in stop.words:
        _check_phrase(word, place)
        if len(tokens_of(word)) > 1:
            raise _refused(f"a stop-word is one word; {word[:80]!r} has several", place)


def _check_phrase(phrase: str, place: tuple[str | int, ...]) -> str:
    """The phrase as it is compared."""
    if len(phrase) > MAX_PHRASE_CHARS:
        raise _refused(f"it has {len(phrase):,} characters; the limit is {MAX_PHRASE_CHARS}", place)
    if has_unprintable(phrase) or not (folded := folded_name(phrase)):
        raise _refused(f"there is no word in {phrase[:80]!r}", place)
    return folded


def _check_documents(documents: Sequence[str], place: tuple[str | int, ...]) -> None:
    if not 1 <= len(documents) <= MAX_DOCUMENTS:
        message = f"a rule names 1 to {MAX_DOCUMENTS} documents, not {len(documents)}"
        raise _refused(message, place)
    for at, each in enumerate(documents):
        if not 1 <= len(each) <= _MAX_ID_CHARS or has_unprintable(each):
            raise _refused(f"{each[:80]!r} cannot be the id of a document", (*place, at))
    if len(set(documents)) < len(documents):
        raise _refused("a document is named twice", place)


def _refused(message: str, place: tuple[str | int, ...]) -> InvalidRules:
    """The error that names the place of a rule, from 0."""
    return InvalidRules(f"{'.'.join(map(str, place))}: {message}", location=place)


def _check_language(language: str | None, place: tuple[str | int, ...]) -> None:
    if language is not None and not _LANGUAGE.fullmatch(language):
        message = f"a language is a tag as de or pt-BR, not {language[:40]!r}"
        raise _refused(message, (*place, "language"))
