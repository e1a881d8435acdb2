"""The sentences of a text that make it relevant, by the second stage's scores of tokens, where it has them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from winnow.core.marks import Span
from winnow.operations.model_calls import heads_of
from winnow.operations.resources import Resources
from winnow.ports import EmbeddedQuery, ScoresSpans
from winnow.search.sentences import borders_of
from winnow.search.sound_scores import sound_scores


@dataclass(frozen=True, slots=True)
class SpanRules:
    """Which spans are wanted: those with a score from ``threshold`` on, at most ``most`` of each text."""

    threshold: float = 0.1
    most: int | None = None


class ScoredSpan(NamedTuple):
    """Half-open range of code points, and its relevance in [0, 1]."""

    start: int
    end: int
    score: float


async def relevant_spans(
    resources: Resources,
    query: str,
    texts: Sequence[str],
    rules: SpanRules,
    *,
    instruct: str | None = None,
    max_tokens: int | None = None,
) -> list[list[ScoredSpan]] | None:
    """The relevant sentences of each text, best first; ``None`` where the reranker scores no tokens.

    Args:
        resources: the open parts of the process.
        query: the question.
        texts: those that are shown: their vectors are computed once more.
        rules: which sentences.
        instruct: as of the reranking.
        max_tokens: of each text that are read.

    Raises:
        Upstream: the model failed, or gave scores outside [0, 1].
    """
    reranker = resources.reranker
    if not isinstance(reranker, ScoresSpans):
        return None
    if max_tokens is not None:
        texts = await asyncio.to_thread(heads_of, resources.embedder.tokenizer, texts, max_tokens)
    spans = [sentences_of(text) for text in texts]
    scores = await reranker.score_spans(EmbeddedQuery(query), texts, spans, instruct=instruct)
    return [
        _chosen(part, sound_scores(found, len(part), reranker.info.provider), rules)
        for part, found in zip(spans, scores, strict=True)
    ]


def sentences_of(text: str) -> list[Span]:
    """The sentences of a text without the white space around them."""
    cuts = sorted({0, len(text), *borders_of(text)})
    found = []
    for start, end in pairwise(cuts):
        part = text[start:end]
        if part.strip():
            found.append(Span(start + len(part) - len(part.lstrip()), start + len(part.rstrip())))
    return found


def _chosen(spans: Sequence[Span], scores: Sequence[float], rules: SpanRules) -> list[ScoredSpan]:
    found = [ScoredSpan(*span, score) for span, score in zip(spans, scores, strict=True) if score >= rules.threshold]
    return sorted(found, key=lambda each: (-each.score, each.start))[: rules.most]
