"""Finds the few rules that can act on a query among thousands, by the first words of their phrases. Pure."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from winnow.core.exact import folded_name
from winnow.core.letters import UNSPACED
from winnow.core.rules import RuleSet, StopWords

UNSPACED_LETTER: Final = re.compile(f"[{UNSPACED}]")
_REMEMBERED: Final = 64  # sets of rules
_ANYWHERE: Final = ""  # the key of phrases that may begin inside a word

_Rule = TypeVar("_Rule")
_Places = Mapping[str, Sequence[int]]


class _RuleIndex(NamedTuple):
    """The places of rules by the first word of each of their phrases."""

    rules: RuleSet
    synonyms: _Places
    pins: _Places
    hidden: _Places
    stop_words: Mapping[str, Sequence[StopWords]]


_known: OrderedDict[int, _RuleIndex] = OrderedDict()  # by the identity of the rules, which the index keeps alive


def rules_near(rules: RuleSet, folded: str) -> RuleSet:
    """The rules one of whose phrases may be in a folded query, in their order; stop-words one by one."""
    index = _known.get(id(rules))
    if index is None:
        index = _known[id(rules)] = _indexed(rules)
        if len(_known) > _REMEMBERED:
            _known.popitem(last=False)
    words = folded.split()
    return RuleSet(
        _chosen(rules.synonyms, index.synonyms, words),
        _chosen(rules.pins, index.pins, words),
        _chosen(rules.hidden, index.hidden, words),
        tuple(each for word in dict.fromkeys(words) for each in index.stop_words.get(word, ())),
        rules.version,
    )


def _indexed(rules: RuleSet) -> _RuleIndex:
    stops: dict[str, list[StopWords]] = {}
    for each in rules.stop_words:
        for word in each.words:
            stops.setdefault(folded_name(word).partition(" ")[0], []).append(StopWords((word,), each.language))
    return _RuleIndex(
        rules,
        _places((each.words or (each.source,)) for each in rules.synonyms),
        _places((each.query,) for each in rules.pins),
        _places((each.query,) for each in rules.hidden),
        stops,
    )


def _places(phrases: Iterable[Sequence[str]]) -> _Places:
    places: dict[str, list[int]] = {}
    for at, of_rule in enumerate(phrases):
        for phrase in of_rule:
            folded = folded_name(phrase)
            key = _ANYWHERE if UNSPACED_LETTER.search(folded) else folded.partition(" ")[0]
            places.setdefault(key, []).append(at)
    return places


def _chosen(rules: Sequence[_Rule], places: _Places, words: Sequence[str]) -> tuple[_Rule, ...]:
    if not places:
        return ()
    found = {at for word in (_ANYWHERE, *words) for at in places.get(word, ())}
    return tuple(rules[at] for at in sorted(found))
