"""Judgments out of the clicks of visitors: how relevant each result of an often clicked query is, whatever its rank."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from winnow.core.analytics import folded_query
from winnow.evaluation.dataset import Questions
from winnow.evaluation.position_bias import PositionBias, Showings, Shown, estimate_bias

LEAST_CLICKS: Final = 30
"""Distinct clicks that make a query a judged one."""

GRADES: Final = 3
"""The grade of the most relevant result of a query; 0 is not relevant."""


@dataclass(frozen=True, slots=True)
class Impression:
    """An answer as a visitor saw it.

    Attributes:
        visitor: whoever searched, or the search where that is unknown; what a visitor repeats is counted once.
        results: document id by rank, from 1.
        clicked: ids of the documents that were clicked.
    """

    query: str
    visitor: str
    results: Mapping[int, str]
    clicked: frozenset[str] = frozenset()


class ClickedQuery(NamedTuple):
    """A query in its most frequent spelling, and its distinct clicks, by visitor and document."""

    text: str
    clicks: int


@dataclass(frozen=True, slots=True)
class ClickJudgments:
    """What the clicks of a collection say.

    Attributes:
        questions: the judged queries by id, most clicked first, and the grades of the documents that they were shown.
        relevance: query id -> document id -> relevance in [0, 1], which the grades are made of.
        judged: the judged queries and their clicks, in the same order.
        too_few: the clicked queries that are not judged, most clicked first.
        searches: the searches that were read.
    """

    questions: Questions
    relevance: Mapping[str, Mapping[str, float]]
    bias: PositionBias
    judged: tuple[ClickedQuery, ...]
    too_few: tuple[ClickedQuery, ...]
    searches: int


def seen_answer(search: Mapping[str, Any]) -> Impression | None:
    """What a visitor saw of a search out of the export of analytics (a line of ``GET …/analytics/export``).

    ``None`` where nothing was shown, and for a search that was still being typed and clicked on nothing of.
    """
    clicked = frozenset(event["document_id"] for event in search["events"] if event["type"] == "click")
    results = {rank: document for rank, document in enumerate(search["shown"], search["first"]) if document}
    if not results or (search["replaced_by"] and not clicked):
        return None
    return Impression(search["query"], search["session"] or search["id"], results, clicked)


def judge_by_clicks(impressions: Iterable[Impression], least: int = LEAST_CLICKS) -> ClickJudgments:
    """Judge every query that has ``least`` distinct clicks; a click is distinct by visitor and document.

    A result's grade is its relevance as a share of that of the most relevant result of its query, in ``GRADES`` steps.
    """
    log = _Log()
    for impression in impressions:
        log.add(impression)
    results = log.results()
    bias = estimate_bias([showings for found in results.values() for showings in found.values()])
    clicked = sorted(
        (ClickedQuery(key, count) for key, found in results.items() if (count := _clicks(found))),
        key=lambda query: (-query.clicks, query.text),
    )
    judged = {f"q{number}": query.text for number, query in enumerate(clicked, 1) if query.clicks >= least}
    relevance = {
        key: {document: bias.relevance(showings) for document, showings in results[query].items()}
        for key, query in judged.items()
    }
    named = tuple(ClickedQuery(log.spelling(query.text), query.clicks) for query in clicked)
    return ClickJudgments(
        Questions(
            {key: log.spelling(query) for key, query in judged.items()},
            {key: _grades(found) for key, found in relevance.items()},
        ),
        relevance,
        bias,
        named[: len(judged)],
        named[len(judged) :],
        log.searches,
    )


def _clicks(results: Mapping[str, Showings]) -> int:
    return sum(shown.clicked for showings in results.values() for shown in showings.values())


def _grades(relevance: Mapping[str, float]) -> dict[str, int]:
    most = max(relevance.values())
    return {document: round(GRADES * value / most) for document, value in relevance.items()}


class _Log:
    """What was shown and clicked, by query and visitor."""

    def __init__(self) -> None:
        self.searches = 0
        self._spellings: dict[str, Counter[str]] = defaultdict(Counter)
        self._seen: dict[str, dict[str, dict[tuple[str, int], bool]]] = defaultdict(lambda: defaultdict(dict))

    def add(self, impression: Impression) -> None:
        """Add an answer; what a visitor sees again at the same rank, or after a click on it, is not counted again."""
        query = folded_query(impression.query)
        self._spellings[query][impression.query] += 1
        self.searches += 1
        seen = self._seen[query][impression.visitor]
        clicked = {document for (document, _), click in seen.items() if click}
        for rank, document in sorted(impression.results.items()):
            if document not in clicked:
                seen[document, rank] = document in impression.clicked
            clicked |= impression.clicked & {document}

    def spelling(self, query: str) -> str:
        """The most frequent spelling of a query."""
        return self._spellings[query].most_common(1)[0][0]

    def results(self) -> dict[str, dict[str, dict[int, Shown]]]:
        """Query -> document -> rank -> by how many visitors it was seen and clicked there."""
        found: dict[str, dict[str, dict[int, Shown]]] = {}
        for query, visitors in self._seen.items():
            counts: dict[str, dict[int, Shown]] = defaultdict(dict)
            for seen in visitors.values():
                for (document, rank), clicked in seen.items():
                    shown, clicks = counts[document].get(rank, Shown(0, 0))
                    counts[document][rank] = Shown(shown + 1, clicks + clicked)
            found[query] = counts
        return found
