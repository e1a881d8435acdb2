"""What frameworks keep beside a text: enough to cite it, and to find it again in its document."""

from __future__ import annotations

from typing import Any

from winnow_client.answers import Result

_PLACES = ("page", "slide", "sheet", "row")


def citation_of(result: Result) -> dict[str, Any]:
    """The document's metadata with title, address, scores and place of a result's text.

    ``document.text[start:end]`` is the text, after what a result's ``expanded.prefix`` or ``chunk.prefix`` repeats;
    ``url`` has the anchor of the nearest heading.
    """
    span = result.span
    found: dict[str, Any] = {
        **result.metadata,
        "document_id": result.document_id,
        "title": result.title,
        "url": result.url,
        "start": span.start,
        "end": span.end,
        "chunk": result.chunk.index,
        "headings": list(result.chunk.headings),
        "relevance_score": result.relevance_score,
        "retrieval_score": result.retrieval_score,
    }
    places = {name: getattr(result.chunk, name) for name in _PLACES}
    found |= {name: value for name, value in places.items() if value is not None}
    if result.collection is not None:
        found["collection"] = result.collection
    if result.tokens is not None:
        found["tokens"] = result.tokens
    return found


def identity_of(result: Result) -> str:
    """A name of the result's chunk."""
    place = f"{result.document_id}#{result.chunk.index}"
    return place if result.collection is None else f"{result.collection}/{place}"
