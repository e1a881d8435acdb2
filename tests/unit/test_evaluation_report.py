from __future__ import annotations

import asyncio
import json

import pytest
from rich.console import Console

from winnow.core.errors import InvalidSource, UpstreamUnavailable
from winnow.core.search import ArmScore, Candidate, Result, SearchAnswer, StageReport
from winnow.core.settings import Settings
from winnow.core.types import Chunk, Document
from winnow.evaluation.dataset import Dataset
from winnow.evaluation.evaluate import evaluate
from winnow.evaluation.runs import MODES, QUERIES_KEPT, for_measurement, in_process, run_queries
from winnow.evaluation.views import render_html, render_table, to_json

DATASET = Dataset(
    name="tiny",
    documents=(Document("a", "apple"), Document("b", "bear"), Document("c", "cat")),
    queries={"q1": "first <b>query</b>", "q2": "second query", "q3": "third query"},
    judgments={"q1": {"a": 1}, "q2": {"b": 1}, "q3": {"c": 1}},
)
FIRST_STAGE = {"q1": ["b", "a"], "q2": ["b", "a"], "q3": ["a", "b", "c"]}
SECOND_STAGE = {"q1": ["a", "b"], "q2": ["b", "a"], "q3": ["a", "c", "b"]}


class ScriptedSearch:
    """Answers from two scripts: with the second stage and without it."""

    def __init__(self, *, degraded=False):
        self.requests = []
        self.degraded = degraded
        self.busy = self.most_busy = 0

    async def run(self, request, principal):
        self.requests.append(request)
        key = next(key for key, text in DATASET.queries.items() if text == request.query)
        order = (SECOND_STAGE if request.rerank.enabled else FIRST_STAGE)[key]
        status = "failed" if self.degraded else "ok" if request.rerank.enabled else "skipped"
        return SearchAnswer(
            id="srch",
            request=request,
            results=tuple(result(rank, document) for rank, document in enumerate(order, start=1)),
            score_kind="retrieval",
            degraded=self.degraded and request.rerank.enabled,
            embed=StageReport("ok", ms=4.0, model="embedder"),
            retrieve=StageReport("ok", ms=2.0, details={"engine": "engine"}),
            rerank=StageReport(status, ms=3.0, model="reranker"),
            took_ms=9.0,
        )


def result(rank, document):
    score = ArmScore(rank, 1 / rank)
    candidate = Candidate(f"p-{document}", document, 1, Chunk(0, 0, 1, "x"), "", "", {}, score, None, score)
    return Result(rank=rank, candidate=candidate, relevance_score=None, rerank=None)


async def index_all(documents):
    assert [item.id for item in documents] == ["a", "b", "c"]
    return {}


async def evaluated(search=None):
    return await evaluate(DATASET, index=index_all, searcher=search or ScriptedSearch(), collection="tiny")


async def test_every_query_runs_in_each_mode_as_a_user_would_search():
    search = ScriptedSearch()
    await evaluated(search)
    asked = {(request.mode, request.rerank.enabled) for request in search.requests}
    assert asked == {("sparse", False), ("dense", False), ("hybrid", False), ("hybrid", True)}
    for request in search.requests:
        assert (request.collection, request.top_k, request.top_n, request.group_by) == ("tiny", 100, 100, "document")
        assert request.budget_ms >= 10_000


async def test_json_has_the_documented_shape():
    report = to_json(await evaluated())
    json.dumps(report, allow_nan=False)
    assert (report["dataset"], report["documents"], report["queries"]) == ("tiny", 3, 3)
    assert list(report["runs"]) == ["sparse", "dense", "hybrid", "two_stage"]
    for run in report["runs"].values():
        assert set(run) == {"ndcg@10", "recall@100", "mrr@10", "ci95", "p50_ms"}
        for metric, (low, high) in run["ci95"].items():
            assert low <= run[metric] <= high
        assert run["p50_ms"] >= 0
    assert report["runs"]["hybrid"]["mrr@10"] == pytest.approx((1 / 2 + 1 + 1 / 3) / 3, abs=1e-4)
    assert report["runs"]["two_stage"]["mrr@10"] == pytest.approx((1 + 1 + 1 / 2) / 3, abs=1e-4)


async def test_stages_are_those_of_the_two_stage_run():
    stages = to_json(await evaluated())["stages"]
    assert stages == {
        "embed": {"model": "embedder", "ms": 4.0, "statuses": {"ok": 3}},
        "retrieve": {"engine": "engine", "ms": 2.0, "statuses": {"ok": 3}},
        "rerank": {"model": "reranker", "ms": 3.0, "statuses": {"ok": 3}},
        "degraded": 0.0,
    }


async def test_degraded_answers_are_counted_and_shown():
    report = await evaluated(ScriptedSearch(degraded=True))
    assert to_json(report)["stages"]["degraded"] == 1.0
    assert "100.0% of the answers degraded" in text_of(render_table(report))


async def test_the_two_stages_are_compared_with_the_first_query_by_query():
    report = await evaluated()
    assert [(change.query_id, change.gain > 0) for change in report.comparison.changes] == [
        ("q1", True),
        ("q3", True),
        ("q2", False),
    ]
    found = to_json(report)["comparisons"]["two_stage-hybrid"]
    assert (found["helped"], found["hurt"], found["unchanged"]) == (2, 0, 1)
    runs = to_json(report)["runs"]
    assert found["ndcg@10"]["difference"] == pytest.approx(
        runs["two_stage"]["ndcg@10"] - runs["hybrid"]["ndcg@10"], abs=2e-4
    )


async def test_documents_that_were_not_indexed_stop_the_evaluation():
    async def index_badly(documents):
        return {"b": "too large"}

    with pytest.raises(InvalidSource, match=r"1 of 3 documents of tiny were not indexed, the first is 'b': too large"):
        await evaluate(DATASET, index=index_badly, searcher=ScriptedSearch(), collection="tiny")


async def test_progress_is_told_of_every_query():
    told = []
    await evaluate(
        DATASET,
        index=index_all,
        searcher=ScriptedSearch(),
        collection="tiny",
        progress=lambda name, done, total: told.append((name, done, total)),
    )
    assert told == [(mode.name, done, 3) for mode in MODES for done in (1, 2, 3)]


async def test_no_more_searches_run_at_once_than_asked_for():
    class Slow(ScriptedSearch):
        async def run(self, request, principal):
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
            await asyncio.sleep(0)
            self.busy -= 1
            return await super().run(request, principal)

    for concurrency in (1, 2):
        search = Slow()
        await run_queries(in_process(search, "tiny"), DATASET.queries, MODES[0], concurrency=concurrency)
        assert search.most_busy == concurrency


async def test_a_search_that_fails_stops_the_evaluation_with_its_own_error():
    class Failing(ScriptedSearch):
        async def run(self, request, principal):
            if request.query == "third query":
                raise UpstreamUnavailable("the model is down")
            return await super().run(request, principal)

    queries = {**{f"again {number}": "first <b>query</b>" for number in range(5)}, "q3": "third query"}
    with pytest.raises(UpstreamUnavailable, match="the model is down"):
        await run_queries(in_process(Failing(), "tiny"), queries, MODES[0], concurrency=2)


async def test_the_table_names_each_run_and_fits_a_terminal():
    text = text_of(render_table(await evaluated()))
    for word in ("sparse", "dense", "hybrid", "two_stage", "ndcg@10", "2 queries better, 0 worse, 1 unchanged"):
        assert word in text


async def test_the_page_is_complete_in_itself_and_escapes_queries():
    page = render_html(await evaluated())
    assert "first &lt;b&gt;query&lt;/b&gt;" in page
    assert "<b>query" not in page
    assert "http" not in page
    assert "<script" not in page
    assert page.count("<rect") == 12


async def test_the_page_is_drawn_without_a_change_too():
    search = ScriptedSearch()
    subset = Dataset("one", DATASET.documents, {"q2": "second query"}, DATASET.judgments)
    page = render_html(await evaluate(subset, index=index_all, searcher=search, collection="tiny"))
    assert "Helped most" not in page


def test_measurement_keeps_too_few_queries_to_answer_a_later_run_from_the_cache():
    assert for_measurement(Settings()).search.embed_cache == QUERIES_KEPT


def text_of(renderable):
    console = Console(width=80)
    with console.capture() as capture:
        console.print(renderable)
    return " ".join(capture.get().split())
