"""Which rules of a collection act on a query, and what they make of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from winnow.core.exact import folded_name
from winnow.core.rules import QueryMatch, QueryRule, RuleSet, SynonymRule
from winnow.core.words import tokens_of
from winnow.search.rule_index import UNSPACED_LETTER, rules_near

MAX_ADDED: Final = 100  # phrases that synonyms add to a query
MAX_WORDINGS: Final = 50  # of a query with synonyms in place of what was typed
MAX_PINNED: Final = 100  # documents that are pinned for a query


class ActingRules(NamedTuple):
    """What rules make of a query.

    Attributes:
        words: what the keyword arm looks for; ``None`` for the query as it was typed.
        wordings: the query with synonyms in place of what was typed, folded: whoever looks for names needs all words.
        stopped: words of the query that are not looked for.
        pins: documents that come first, in this order.
        hidden: documents that are left out.
        acted: the rules on words, and those that hide, in the form that ``explain`` shows.
        pinning: the rules that pin.
    """

    words: str | None
    wordings: tuple[str, ...]
    stopped: tuple[str, ...]
    pins: tuple[str, ...]
    hidden: tuple[str, ...]
    acted: tuple[dict[str, Any], ...]
    pinning: tuple[QueryRule, ...]


class _Words(NamedTuple):
    """What rules make of the words of a query; the attributes are those of ``ActingRules``."""

    words: str | None
    wordings: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    acted: tuple[dict[str, Any], ...] = ()


_AS_TYPED: Final = _Words(None)
_NONE: Final = ActingRules(None, (), (), (), (), (), ())


def acting_rules(rules: RuleSet, query: str, language: str | None = None, *, by_words: bool = True) -> ActingRules:
    """The rules that act on a query.

    Queries and phrases are compared without case, accents' forms and punctuation (``folded_name``); a phrase is found
    where its words follow each other, in scripts without spaces wherever its letters do. Rules of a language act on
    queries of this language alone. Synonyms are added to the query as it was typed, once: what
    was added adds nothing. Without ``by_words`` synonyms and stop-words are left aside.
    """
    folded = folded_name(query)
    if not folded:
        return _NONE
    rules = rules_near(rules, folded)
    found = _words(rules, query, folded, language) if by_words else _AS_TYPED
    hiding = _matching(rules.hidden, folded, language)
    hidden = dict.fromkeys(each for rule in hiding for each in rule.documents)
    pinning = _matching(rules.pins, folded, language)
    pins = dict.fromkeys(each for rule in pinning for each in rule.documents if each not in hidden)
    acted = (*found.acted, *(described_rule("hidden", rule) for rule in hiding))
    return ActingRules(*found[:3], tuple(pins)[:MAX_PINNED], tuple(hidden), acted, tuple(pinning))


def hidden_while_typing(rules: RuleSet, typed: str, language: str | None = None) -> tuple[str, ...]:
    """The documents that are hidden for what was typed so far, or for a query that it may become."""
    folded = folded_name(typed)
    hiding = [*_matching(rules_near(rules, folded).hidden, folded, language), *_begun(rules.hidden, folded, language)]
    return tuple(dict.fromkeys(each for rule in hiding for each in rule.documents))


def hides(rules: RuleSet, query: str, document_id: str, language: str | None = None) -> bool:
    """Whether a document is hidden for a query."""
    if not rules.hidden:
        return False
    folded = folded_name(query)
    return any(document_id in each.documents for each in _matching(rules_near(rules, folded).hidden, folded, language))


def described_rule(kind: str, rule: QueryRule) -> dict[str, Any]:
    """A pin or a hidden rule as ``explain`` names it: without its documents, which not every caller may know."""
    named = {"kind": kind, "query": rule.query, "match": rule.match}
    return named if rule.language is None else {**named, "language": rule.language}


def _words(rules: RuleSet, query: str, folded: str, language: str | None) -> _Words:
    acted: list[dict[str, Any]] = []
    stopping = {_folded(word) for each in rules.stop_words if _speaks(each.language, language) for word in each.words}
    tokens = tokens_of(query) if stopping else []
    kept = [token for token in tokens if _folded(token) not in stopping]
    stops = bool(kept) and len(kept) < len(tokens)  # a query of stop-words alone is looked for as it is
    left_out = tuple(dict.fromkeys(token for token in tokens if _folded(token) in stopping)) if stops else ()
    if stops:
        acted.append({"kind": "stop_words", "words": list(left_out)})
    added: dict[str, None] = {}
    wordings = [folded]
    for rule in rules.synonyms:
        if _speaks(rule.language, language) and (more := _added(rule, folded)):
            added |= dict.fromkeys(more)
            typed = [each for each in rule.words or (rule.source,) if _has(folded, each)]
            acted.append({"kind": "synonym", "words": typed, "added": more})
            others = [_replaced(text, each, other) for text in wordings for each in typed for other in more]
            wordings = list(dict.fromkeys([*wordings, *others]))[: MAX_WORDINGS + 1]
    if not stops and not added:
        return _Words(None, acted=tuple(acted))
    words = " ".join([" ".join(kept) if stops else query, *list(added)[:MAX_ADDED]])
    return _Words(words, tuple(wordings[1:]), left_out, tuple(acted))


def _replaced(folded: str, phrase: str, other: str) -> str:
    """A folded query with another phrase in place of one."""
    wanted, other = _folded(phrase), _folded(other)
    if f" {wanted} " in f" {folded} ":
        return f" {folded} ".replace(f" {wanted} ", f" {other} ").strip()
    between = "" if UNSPACED_LETTER.search(other) else " "
    return " ".join(folded.replace(wanted, f"{between}{other}{between}").split())


def _added(rule: SynonymRule, folded: str) -> list[str]:
    """The phrases that a query does not have and this rule adds."""
    starts, others = (rule.words, rule.words) if rule.words else ((rule.source,), rule.to)
    if not any(_has(folded, each) for each in starts):
        return []
    return [each for each in others if not _has(folded, each)]


def _matching(rules: Iterable[QueryRule], folded: str, language: str | None) -> Sequence[QueryRule]:
    return [each for each in rules if _speaks(each.language, language) and _fits(each.match, each.query, folded)]


def _begun(rules: Iterable[QueryRule], folded: str, language: str | None) -> Iterator[QueryRule]:
    if folded:
        yield from (
            each for each in rules if _speaks(each.language, language) and _folded(each.query).startswith(folded)
        )


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
