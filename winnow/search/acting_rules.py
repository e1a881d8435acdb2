"""Which rules of a collection act on a query, and what they make of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from winnow.core.exact import folded_name
from winnow.core.rules import QueryMatch, QueryRule, RuleSet, SynonymRule
from winnow.core.words import tokens_of
from winnow.search.rule_index import UNSPACED_LETTER, rules_near

MAX_ADDED: Final = 100  # phrases that synonyms add to a query
MAX_PINNED: Final = 100  # documents that are pinned for a query


class ActingRules(NamedTuple):
    """What rules make of a query.

    Attributes:
        words: what the keyword arm looks for; ``None`` for the query as it was typed.
        pins: documents that come first, in this order.
        hidden: documents that are left out.
        acted: the rules on words, and those that hide, in the form that ``explain`` shows.
        pinning: the rules that pin.
    """

    words: str | None
    pins: tuple[str, ...]
    hidden: tuple[str, ...]
    acted: tuple[dict[str, Any], ...]
    pinning: tuple[QueryRule, ...]


def acting_rules(rules: RuleSet, query: str, language: str | None = None, *, by_words: bool = True) -> ActingRules:
    """The rules that act on a query.

    Queries and phrases are compared without case, accents' forms and punctuation (``folded_name``); a phrase is found
    where its words follow each other, in scripts without spaces wherever its letters do. Rules of a language act on
    queries of this language alone. Synonyms are added to the query as it was typed, once: what
    was added adds nothing. Without ``by_words`` synonyms and stop-words are left aside.
    """
    folded = folded_name(query)
    if not folded:
        return ActingRules(None, (), (), (), ())
    rules = rules_near(rules, folded)
    words, acted = _words(rules, query, folded, language) if by_words else (None, [])
    hiding = _matching(rules.hidden, folded, language)
    hidden = dict.fromkeys(each for rule in hiding for each in rule.documents)
    pinning = _matching(rules.pins, folded, language)
    pins = dict.fromkeys(each for rule in pinning for each in rule.documents if each not in hidden)
    acted += [described_rule("hidden", rule) for rule in hiding]
    return ActingRules(words, tuple(pins)[:MAX_PINNED], tuple(hidden), tuple(acted), tuple(pinning))


def described_rule(kind: str, rule: QueryRule) -> dict[str, Any]:
    """A pin or a hidden rule as ``explain`` names it: without its documents, which not every caller may know."""
    named = {"kind": kind, "query": rule.query, "match": rule.match}
    return named if rule.language is None else {**named, "language": rule.language}


def _words(rules: RuleSet, query: str, folded: str, language: str | None) -> tuple[str | None, list[dict[str, Any]]]:
    acted: list[dict[str, Any]] = []
    stopping = {_folded(word) for each in rules.stop_words if _speaks(each.language, language) for word in each.words}
    tokens = tokens_of(query) if stopping else []
    kept = [token for token in tokens if _folded(token) not in stopping]
    stops = bool(kept) and len(kept) < len(tokens)  # a query of stop-words alone is looked for as it is
    if stops:
        left_out = dict.fromkeys(token for token in tokens if _folded(token) in stopping)
        acted.append({"kind": "stop_words", "words": list(left_out)})
    added: dict[str, None] = {}
    for rule in rules.synonyms:
        if _speaks(rule.language, language) and (more := _added(rule, folded)):
            added |= dict.fromkeys(more)
            typed = list(rule.words) if rule.words else [rule.source]
            acted.append({"kind": "synonym", "words": [each for each in typed if _has(folded, each)], "added": more})
    if not stops and not added:
        return None, acted
    return " ".join([" ".join(kept) if stops else query, *list(added)[:MAX_ADDED]]), acted


def _added(rule: SynonymRule, folded: str) -> list[str]:
    """The phrases that a query does not have and this rule adds."""
    starts, others = (rule.words, rule.words) if rule.words else ((rule.source,), rule.to)
    if not any(_has(folded, each) for each in starts):
        return []
    return [each for each in others if not _has(folded, each)]


def _matching(rules: Iterable[QueryRule], folded: str, language: str | None) -> Sequence[QueryRule]:
    return [each for each in rules if _speaks(each.language, language) and _fits(each.match, each.query, folded)]


def _fits(match: QueryMatch, phrase: str, folded: str) -> bool:
    return _folded(phrase) == folded if match == "exact" else _has(folded, phrase)


def _has(folded: str, phrase: str) -> bool:
    """Whether a folded query has a phrase."""
    wanted = _folded(phrase)
    return f" {wanted} " in f" {folded} " or (UNSPACED_LETTER.search(wanted) is not None and wanted in folded)


def _speaks(rule: str | None, query: str | None) -> bool:
    """Whether a rule of a language is for a query: ``pt`` is for ``pt-BR``, and ``pt-BR`` not for ``pt``."""
    if rule is None:
        return True
    return query is not None and f"{query.lower()}-".startswith(f"{rule.lower()}-")


@lru_cache(50_000)
def _folded(phrase: str) -> str:
    return folded_name(phrase)
