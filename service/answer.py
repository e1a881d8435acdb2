"""The answer to a search as plain dictionaries, which the JSON writer takes directly: searches are the hot path.

A test checks them against ``service.schemas.search.SearchView``, which documents them.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from service.facet_answer import render_facets
from service.schemas.packing import render_excerpt, render_totals
from winnow.core.exact import exactness_of
from winnow.core.search import ArmScore, Candidate, Result, SearchAnswer, StageReport
from winnow.core.tenancy import plain_id
from winnow.core.types import Chunk
from winnow.search.merging import ManyAnswers


def render_answer(answer: SearchAnswer) -> dict[str, Any]:
    """The body of a search answer."""
    request = answer.request
    body: dict[str, Any] = {
        "id": answer.id,
        "collection": request.collection,
        "query": request.query,
        "results": [_result(result, with_text=request.return_documents) for result in answer.results],
        **_account(answer),
        "next": answer.next,
    }
    body |= render_totals(answer.packed)
    if answer.answerable is not None:
        body["answerable"] = asdict(answer.answerable)
    if answer.facets is not None:
        body["facets"] = render_facets(answer.facets)
    if request.explain:
        reports = {"embed": answer.embed, "retrieve": answer.retrieve, "rerank": answer.rerank}
        body["explain"] = {
            name: report.details["explain"] for name, report in reports.items() if "explain" in report.details
        }
        if answer.rules is not None:
            body["explain"]["rules"] = answer.rules
    return body


def render_many(answer: ManyAnswers) -> dict[str, Any]:
    """The body of an answer to several searches. Ranks count within the merged list."""
    results = [
        _result(found.result, with_text=found.request.return_documents, several=True)
        | {"collection": found.request.collection, "query": found.request.query}
        for found in answer.results
    ]
    searches = [
        {"id": each.id, "collection": each.request.collection, "query": each.request.query, **_account(each)}
        for each in answer.answers
    ]
    return {
        "id": answer.id,
        "results": results,
        "score_kind": answer.score_kind,
        "degraded": answer.degraded,
        "searches": searches,
        "took_ms": round(answer.took_ms, 3),
        "next": answer.next,
        **({} if answer.facets is None else {"facets": render_facets(answer.facets)}),
        **({} if answer.pack is None else {"pack": _stage(answer.pack)}),
        **render_totals(answer.packed),
    }


def _account(answer: SearchAnswer) -> dict[str, Any]:
    """How the answer came about."""
    return {
        "score_kind": answer.score_kind,
        "speed": answer.speed,
        "degraded": answer.degraded,
        "stages": {
            "embed": _stage(answer.embed, model=answer.embed.model, cached=False),
            "retrieve": _stage(answer.retrieve, engine="", candidates=0),
            "rerank": _stage(
                answer.rerank, model=answer.rerank.model, provider=answer.rerank.provider, scored=0, tokens=0
            ),
            **({} if answer.pack is None else {"pack": _stage(answer.pack)}),
        },
        "took_ms": round(answer.took_ms, 3),
    }


def _result(result: Result, *, with_text: bool, several: bool = False) -> dict[str, Any]:
    candidate, chunk, excerpt = result.candidate, result.candidate.chunk, result.excerpt
    body: dict[str, Any] = {
        "rank": result.rank,
        "document_id": plain_id(candidate.document_id),
        "title": candidate.title,
        "url": address_of(candidate),
        "chunk": _chunk(chunk),
        "text": (chunk if excerpt is None else excerpt).text if with_text else None,
        "highlights": [{"start": span.start, "end": span.end} for span in result.highlights],
        "metadata": candidate.metadata,
        "exact": exactness_of(candidate.level),
        "relevance_score": result.relevance_score,
        "retrieval_score": candidate.fused.score,
        "stages": {
            "dense": _arm(candidate.dense),
            "sparse": _arm(candidate.sparse),
            "fused": _arm(candidate.fused),
            "rerank": _arm(result.rerank),
        },
    }
    if result.boost is not None:
        body["stages"]["boost"] = {**result.boost._asdict(), "parts": [each._asdict() for each in result.boost.parts]}
    if result.pinned:
        body["pinned"] = True
    if excerpt is not None or result.duplicates is not None:
        body |= render_excerpt(result, excerpt, several=several)
    return body


def _chunk(chunk: Chunk) -> dict[str, Any]:
    return {
        "index": chunk.index,
        "start": chunk.start,
        "end": chunk.end,
        "headings": list(chunk.headings),
        "anchor": chunk.anchor,
        "prefix": chunk.prefix,
        "page": None,
        "slide": None,
        "sheet": None,
        "row": None,
        **chunk.place,
    }


def _arm(score: ArmScore | None) -> dict[str, Any] | None:
    return None if score is None else {"rank": score.rank, "score": score.score}


def address_of(candidate: Candidate) -> str:
    """The document's address, with the anchor of the nearest heading if that is known."""
    url, anchor = candidate.url, candidate.chunk.anchor
    return f"{url}#{quote(anchor, safe='-._~!$&()*+,;=:@/?%')}" if url and anchor and "#" not in url else url


def _stage(report: StageReport, **defaults: Any) -> dict[str, Any]:
    """A stage's report: the keys that are always present, then its other details."""
    details = {key: value for key, value in report.details.items() if key != "explain"}
    return {"status": report.status, "ms": round(report.ms, 3), "reason": report.reason, **defaults, **details}
