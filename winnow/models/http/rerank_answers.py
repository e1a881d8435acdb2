"""Reads the answers of rerankers: tolerant of every provider's shape, strict about its content.

Shapes that are read::

    {"results": [{"index", "relevance_score", "document"?}], "usage": {"total_tokens"}}    vLLM, DashScope, Jina, DMXAPI
    {"output": {"results": [...]}, "usage": {"total_tokens"}, "request_id"}                 DashScope native, gateways
    {"results": [...], "tokens" or "meta": {"input_tokens", "output_tokens"}}               SiliconFlow
    {"results": [...], "meta": {"tokens": {"input_tokens", "output_tokens"}}}                Cohere
    [{"index", "score", "text"? or "document"?}]                                            TEI, SGLang

The documents that some of them echo are not looked at: an index says which one is meant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from winnow.core.types import FloatArray
from winnow.models.http.model import BadAnswer

Scale = Literal["probability", "cosine"]

_ROUNDING: Final = 1e-6  # by which a score may leave its range


class Scores(NamedTuple):
    """Scores of a call's documents, in their order: shape (n,), float32 in [0, 1]. ``tokens`` as counted there."""

    scores: FloatArray
    tokens: int


def read_scores(answer: Any, count: int, scale: Scale = "probability") -> Scores:
    """The scores of ``count`` documents.

    ``scale`` is what the provider's scores are: probabilities, or cosines in [-1, 1], which become ``(1 + s) / 2``.

    Raises:
        BadAnswer: of another shape; an index is out of range, repeated or missing; a score is out of range.
    """
    scores = np.full(count, np.nan, dtype=np.float32)
    for row in _rows(answer):
        index = row.get("index")
        if type(index) is not int or not 0 <= index < count:
            raise BadAnswer(f"a result has the index {index!r}, {count} documents were sent")
        if not math.isnan(scores[index]):
            raise BadAnswer(f"two results have the index {index}")
        scores[index] = _score(row, scale)
    missing = np.flatnonzero(np.isnan(scores))
    if missing.size:
        raise BadAnswer(
            f"{count} documents were sent, {count - missing.size} scores came back; the first missing is {missing[0]}"
        )
    return Scores(scores, _tokens(answer))


def _rows(answer: Any) -> list[Mapping[str, Any]]:
    rows = answer
    if isinstance(answer, dict):
        output = answer.get("output")
        rows = answer.get("results", output.get("results") if isinstance(output, dict) else None)
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        return rows
    raise BadAnswer("it has no list of results")


def _score(row: Mapping[str, Any], scale: Scale) -> float:
    value = row.get("relevance_score", row.get("score"))
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadAnswer(f"a result has the score {value!r}")
    lowest = 0.0 if scale == "probability" else -1.0
    if not lowest - _ROUNDING <= value <= 1 + _ROUNDING:
        raise BadAnswer(f"a score is {str(value)[:20]}, outside [{lowest:g}, 1]")
    return min(max((value - lowest) / (1 - lowest), 0.0), 1.0)


def _tokens(answer: Any) -> int:
    """Tokens by whatever name; 0 where there are none, or none that make sense."""
    if not isinstance(answer, dict):
        return 0
    meta = answer.get("meta")
    inner = meta.get("tokens") if isinstance(meta, dict) else None
    for place in (answer.get("usage"), answer.get("tokens"), inner, meta):
        if isinstance(place, dict):
            parts = [place.get("input_tokens"), place.get("output_tokens")]
            total = place.get("total_tokens") or sum(part for part in parts if isinstance(part, int))
            if isinstance(total, int) and total > 0:
                return total
    return 0
