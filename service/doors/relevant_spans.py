"""``relevant_spans`` of Cohere's rerank API, version 2, as its SDK 7.3 has them: offsets in code points with scores."""

from __future__ import annotations

from typing import Any, NamedTuple

from service.doors.rerank_bodies import FlatRerankBody
from winnow.operations.model_calls import Ranking
from winnow.operations.relevant_spans import ScoredSpan, relevant_spans
from winnow.operations.resources import Resources

WITHOUT_SCORES = "relevant_spans: the reranker scores whole texts, not tokens; none are given"
JOINED_FIELDS = "relevant_spans: the documents are joined out of rank_fields and have no offsets; none are given"


class SpanReport(NamedTuple):
    """Spans by the position of their document, and why there are none."""

    spans: dict[int, list[dict[str, Any]]]
    warnings: list[str]


async def spans_of(resources: Resources, body: FlatRerankBody, ranking: Ranking) -> SpanReport:
    """The spans of the documents in a ranking, as far as they are asked for. Raises as ``relevant_spans``."""
    rules = body.relevant_spans.rules
    if rules is None:
        return SpanReport({}, [])
    if body.rank_fields:
        return SpanReport({}, [JOINED_FIELDS])
    asked = body.scoring()
    places = [place for place, _ in ranking.scores]
    texts = [asked.texts[place] for place in places]
    found = await relevant_spans(
        resources, asked.query, texts, rules, instruct=asked.instruct, max_tokens=asked.max_tokens
    )
    if found is None:
        return SpanReport({}, [WITHOUT_SCORES])
    shown = zip(places, texts, found, strict=True)
    return SpanReport({place: _wire(spans, _shift(body, place, text)) for place, text, spans in shown if spans}, [])


def _shift(body: FlatRerankBody, place: int, text: str) -> int:
    """Where the text that was scored begins in the one that was sent, which may wear a model's template."""
    sent = body.documents[place]
    return max(0, (sent if isinstance(sent, str) else sent["text"]).find(text))


def _wire(spans: list[ScoredSpan], shift: int) -> list[dict[str, Any]]:
    return [{"start": start + shift, "end": end + shift, "score": score} for start, end, score in spans]
