"""Rules of a collection on the wire."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from service.schemas.common import Body, View
from winnow.core.rules import MAX_RULES, QueryRule, RuleSet, StopWords, SynonymRule

_LANGUAGE = Field(None, description="as de or pt-BR: the rule acts on searches that name this language")


class SynonymBody(Body):
    """Words or phrases that mean the same: `words` each way, or `from` one of them to others."""

    words: list[str] | None = None
    from_: str | None = Field(None, alias="from")
    to: list[str] | None = None
    language: str | None = _LANGUAGE

    def to_rule(self) -> SynonymRule:
        """The domain's form."""
        return SynonymRule(tuple(self.words or ()), self.from_ or "", tuple(self.to or ()), self.language)


class QueryRuleBody(Body):
    """Documents for a query, by id."""

    query: str
    match: Literal["exact", "contains"] = Field("exact", description="contains: the query has these words in a row")
    documents: list[str]
    language: str | None = _LANGUAGE

    def to_rule(self) -> QueryRule:
        """The domain's form."""
        return QueryRule(self.query, tuple(self.documents), self.match, self.language)


class StopWordsBody(Body):
    """Stop-words of one language."""

    words: list[str]
    language: str | None = _LANGUAGE


class RulesBody(Body):
    """All rules of a collection."""

    synonyms: list[SynonymBody] = Field(default_factory=list, max_length=MAX_RULES)
    pins: list[QueryRuleBody] = Field(default_factory=list, max_length=MAX_RULES)
    hidden: list[QueryRuleBody] = Field(default_factory=list, max_length=MAX_RULES)
    stop_words: list[str | StopWordsBody] = Field(default_factory=list, max_length=MAX_RULES)
    version: int | None = Field(
        None, ge=0, description="the version that is to be replaced, 0 where there are no rules yet; null: any"
    )

    def to_rules(self) -> RuleSet:
        """The domain's form, of no version."""
        return RuleSet(
            tuple(each.to_rule() for each in self.synonyms),
            tuple(each.to_rule() for each in self.pins),
            tuple(each.to_rule() for each in self.hidden),
            tuple(
                StopWords((each,)) if isinstance(each, str) else StopWords(tuple(each.words), each.language)
                for each in self.stop_words
            ),
        )


class RulesView(View):
    """All rules of a collection, in the form in which they are sent; `version` counts their changes."""

    synonyms: list[dict[str, Any]]
    pins: list[dict[str, Any]]
    hidden: list[dict[str, Any]]
    stop_words: list[Any] = Field(description="words, and `{words, language}` for those of a language")
    version: int

    @classmethod
    def shown(cls, rules: RuleSet) -> Self:
        """The wire form of rules."""
        return cls(
            synonyms=[_synonym(each) for each in rules.synonyms],
            pins=[_query_rule(each) for each in rules.pins],
            hidden=[_query_rule(each) for each in rules.hidden],
            stop_words=[
                each.words[0]
                if each.language is None and len(each.words) == 1
                else _with({"words": list(each.words)}, each.language)
                for each in rules.stop_words
            ],
            version=rules.version,
        )


def _synonym(rule: SynonymRule) -> dict[str, Any]:
    body = {"words": list(rule.words)} if rule.words else {"from": rule.source, "to": list(rule.to)}
    return _with(body, rule.language)


def _query_rule(rule: QueryRule) -> dict[str, Any]:
    return _with({"query": rule.query, "match": rule.match, "documents": list(rule.documents)}, rule.language)


def _with(body: dict[str, Any], language: str | None) -> dict[str, Any]:
    return body if language is None else {**body, "language": language}
