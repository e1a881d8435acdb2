"""``winnow eval --from-clicks``: measuring a collection on the clicks of its visitors, through its service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from winnow.cli.command import ask
from winnow.cli.console import note, progress_bar
from winnow.cli.measured_search import search_measured
from winnow.cli.options import collection_path, document_path
from winnow.core.errors import DocumentNotFound, InvalidSource
from winnow.core.text import counted

if TYPE_CHECKING:
    from winnow.cli.remote import Client
    from winnow.core.search import StageReport, StageStatus
    from winnow.core.settings import Settings
    from winnow.evaluation.clicks import ClickJudgments
    from winnow.evaluation.dataset import Questions
    from winnow.evaluation.evaluate import Evaluation
    from winnow.evaluation.runs import AnswerQuery, Mode

_NAMED: Final = 5  # queries with too few clicks that a refusal names
_AT_ONCE: Final = 4


def measure_clicks(
    collection: str, tenant: str | None, save: Path | None, max_queries: int | None, url: str | None, settings: Settings
) -> tuple[Evaluation, ClickJudgments]:
    """Judge by clicks, write the judgments to the folder ``save``, and measure the searches of today on them.

    Raises:
        InvalidSource: no query has enough clicks, or several tenants searched and none is named.
        WinnowError: the service refused or failed.
    """

    async def answer(client: Client) -> tuple[Evaluation, ClickJudgments]:
        from winnow.evaluation.evaluate import measure
        from winnow.evaluation.views import describe_clicks

        found, judged = await _judged(client, collection, tenant)
        gone, questions = await _without_deleted(client, collection, found, judged.questions)
        if gone:
            note(f"left out {counted(gone, 'clicked document')} that {collection} does not have any more")
        if save is not None:
            from winnow.evaluation.dataset import save_questions

            save_questions(questions, save)
            note(f"wrote {counted(len(questions.queries), 'judged query')} to {save}")
        asked = replace(questions, queries=dict(list(questions.queries.items())[:max_queries]))
        documents = (await client.call("GET", collection_path(collection)))["counts"]["documents"]
        with progress_bar(f"evaluating {collection}") as show:
            report = await measure(
                asked,
                name=collection,
                documents=documents,
                answer=_through(client, collection, found),
                progress=lambda run, done, total: show(done, total, run),
            )
        return replace(report, basis=describe_clicks(judged)), judged

    return ask(answer, url, settings)


async def _judged(client: Client, collection: str, tenant: str | None) -> tuple[str, ClickJudgments]:
    """The tenant whose searches were read, and the judgments."""
    from winnow.evaluation.clicks import judge_by_clicks, seen_answer

    tenants: set[str] = set()
    seen = []
    async for line in _exported(client, collection, tenant):
        tenants.add(line["tenant"])
        if (impression := seen_answer(line)) is not None:
            seen.append(impression)
    if len(tenants) > 1:
        several = ", ".join(repr(name) for name in sorted(tenants)[:_NAMED])
        raise InvalidSource(
            f"{counted(len(tenants), 'tenant')} searched in {collection} ({several} …): name one with --tenant"
        )
    judged = await asyncio.to_thread(judge_by_clicks, seen)
    if not judged.judged:
        raise InvalidSource(_too_few(collection, judged))
    return next(iter(tenants)), judged


def _too_few(collection: str, judged: ClickJudgments) -> str:
    from winnow.evaluation.clicks import LEAST_CLICKS

    needed = f"no query of {collection} has {LEAST_CLICKS} distinct clicks yet"
    if not judged.too_few:
        return (
            f"{needed}: of {counted(judged.searches, 'search')} in its analytics none has a click; they are recorded"
            " with WINNOW_ANALYTICS__ENABLED=true, clicks by POST /v1/events"
        )
    most = ", ".join(f"{query.text[:60]!r} ({query.clicks})" for query in judged.too_few[:_NAMED])
    return f"{needed}: of {counted(len(judged.too_few), 'query')} with clicks {most} have most"


async def _exported(client: Client, collection: str, tenant: str | None) -> AsyncIterator[Mapping[str, Any]]:
    """The searches in the analytics, oldest first, with their events."""
    import orjson

    named = {} if tenant is None else {"tenant": tenant}
    async with client.stream("GET", f"{collection_path(collection)}/analytics/export", params=named) as response:
        rest = b""
        async for part in response.content.iter_any():
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                yield orjson.loads(line)


async def _without_deleted(client: Client, collection: str, tenant: str, questions: Questions) -> tuple[int, Questions]:
    """How many documents that were clicked are gone, and the questions without them.

    Raises:
        InvalidSource: all are gone.
    """
    from winnow.evaluation.dataset import Questions

    places = asyncio.Semaphore(_AT_ONCE)

    async def is_gone(document: str) -> bool:
        async with places:
            try:
                await client.call("GET", document_path(collection, document), tenant=tenant)
            except DocumentNotFound:
                return True
            return False

    clicked = sorted({key for found in questions.judgments.values() for key, grade in found.items() if grade})
    gone = {key for key, lost in zip(clicked, await asyncio.gather(*map(is_gone, clicked)), strict=True) if lost}
    judgments = {
        query: {key: grade for key, grade in found.items() if key not in gone}
        for query, found in questions.judgments.items()
    }
    queries = {key: text for key, text in questions.queries.items() if any(judgments[key].values())}
    if not queries:
        raise InvalidSource(f"{collection} has none of the {counted(len(gone), 'document')} any more that were clicked")
    return len(gone), Questions(queries, {key: judgments[key] for key in queries})


def _through(client: Client, collection: str, tenant: str) -> AnswerQuery:
    """Searches as the service answers them, rules of the collection included."""
    from winnow.evaluation.metrics import DEPTH
    from winnow.evaluation.runs import BUDGET_MS, STAGES, Answered

    fixed = {"top_k": DEPTH, "top_n": DEPTH, "group_by": "document", "budget_ms": BUDGET_MS, "tenant": tenant}

    async def answer(query: str, mode: Mode) -> Answered:
        body = {**fixed, "query": query, "mode": mode.mode, "rerank": mode.rerank}
        found = await search_measured(client, collection, body)
        return Answered(
            documents=tuple(dict.fromkeys(result["document_id"] for result in found["results"])),
            ms=found["took_ms"],
            degraded=found["degraded"],
            stages={name: _stage(**found["stages"][name]) for name in STAGES},
        )

    return answer


def _stage(*, status: StageStatus, ms: float, model: str | None = None, **details: Any) -> StageReport:
    from winnow.core.search import StageReport

    return StageReport(status, ms, model=model, details=details)
