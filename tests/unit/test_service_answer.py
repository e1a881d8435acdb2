"""Rendering a domain answer."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import orjson
import pytest

from service.answer import render_answer
from service.schemas.search import SearchBody, SearchOptions, SearchParameters, SearchView, StageView
from service.wire import dumps
from winnow.core.marks import Span
from winnow.core.packing import Duplicate, Excerpt, Packing, PackTotals
from winnow.core.search import ArmScore, Candidate, Result, SearchAnswer, SearchRequest, StageReport
from winnow.core.types import Chunk


def answer(*, url="https://x.example/page", anchor="", **request):
    chunk = Chunk(2, 10, 20, "some text", ("A", "B"), anchor)
    candidate = Candidate("p", "d", 1, chunk, "T", url, {"k": [1, None]}, ArmScore(1, 0.5), None, ArmScore(1, 0.03))
    result = Result(1, candidate, 0.9, ArmScore(1, 0.9), (Span(0, 4),))
    return SearchAnswer(
        id="srch_1",
        request=SearchRequest("docs", "query", **request),
        results=(result,),
        score_kind="relevance",
        degraded=False,
        embed=StageReport("cached", 0.1234567, "m", "p", None, {"cached": True, "coverage": 1.0}),
        retrieve=StageReport("ok", 1.0, details={"engine": "e", "candidates": 7, "explain": {"rrf_k": 60}}),
        rerank=StageReport("ok", 2.0, "r", "p", None, {"scored": 5, "tokens": 9}),
        took_ms=3.4567891,
    )


def test_rendered_answer_fits_the_documented_model():
    SearchView.model_validate(orjson.loads(dumps(render_answer(answer(explain=True)))))


def test_every_documented_field_is_rendered():
    packed = Excerpt(5, 25, "more text", tokens=2), (Duplicate("e", ""),)
    plain = answer(explain=True)
    results = (plain.results[0]._replace(excerpt=packed[0], duplicates=packed[1]),)
    body = render_answer(
        replace(plain, results=results, pack=StageReport("ok"), packed=PackTotals("words", 2, left_out=0))
    )
    elsewhere = {"answerable", "facets", "search_id"}  # of a calibrated collection; asked for; where it is recorded
    assert set(body) == set(SearchView.model_fields) - elsewhere
    for name, model in SearchView.model_fields["stages"].annotation.model_fields.items():
        shape = StageView if name == "pack" else model.annotation
        assert set(shape.model_fields) <= set(body["stages"][name]), name
    result = SearchView.model_fields["results"].annotation.__args__[0]
    assert set(body["results"][0]) == set(result.model_fields) - {"pinned"}  # where a rule put it there


def test_stage_tells_its_details_and_keeps_explanations_apart():
    body = render_answer(answer())
    assert body["stages"]["embed"] == {
        "status": "cached", "ms": 0.123, "reason": None, "model": "m", "cached": True, "coverage": 1.0,
    }  # fmt: skip
    assert "explain" not in body["stages"]["retrieve"]
    assert "explain" not in body
    assert render_answer(answer(explain=True))["explain"] == {"retrieve": {"rrf_k": 60}}


@pytest.mark.parametrize(
    ("url", "anchor", "expected"),
    [
        ("https://x.example/page", "part", "https://x.example/page#part"),
        ("https://x.example/page#top", "part", "https://x.example/page#top"),
        ("https://x.example/page", "", "https://x.example/page"),
        ("", "part", ""),
        ("https://x.example/page", "über uns", "https://x.example/page#%C3%BCber%20uns"),
    ],
)
def test_url_leads_to_the_heading(url, anchor, expected):
    assert render_answer(answer(url=url, anchor=anchor))["results"][0]["url"] == expected


def test_writer_takes_mappings_and_numpy_numbers():
    assert dumps({"a": MappingProxyType({"b": np.float32(0.5)})}) == b'{"a":{"b":0.5}}'
    with pytest.raises(TypeError):
        dumps({"a": object()})


def test_both_forms_of_a_search_mean_the_same():
    by_query = SearchParameters(q="words", filter='{"type": "eq", "key": "a", "value": 1}', rerank=False, top_n=3)
    by_body = SearchBody(query="words", filter={"type": "eq", "key": "a", "value": 1}, rerank=False, top_n=3)
    fields = {"a": "integer"}
    assert by_query.to_body().to_request("docs", fields) == by_body.to_request("docs", fields)


def test_defaults_of_the_wire_are_those_of_the_domain():
    assert SearchBody(query="words").to_request("docs", {}) == SearchRequest("docs", "words")


def test_every_scalar_parameter_reaches_the_request_from_both_forms():
    """A new one is written down in ``SearchOptions`` and ``SearchRequest``, or with the feature that it is of."""
    given = {
        "top_k": 20, "top_n": 5, "mode": "dense", "instruct": "find", "min_relevance": 0.5, "group_by": "chunk",
        "return_documents": False, "highlight": False, "budget_ms": 9.0, "explain": True, "index": "other",
        "tenant": "t", "language": "de",
    }  # fmt: skip
    chains = {"expand": 2, "max_tokens": 90, "tokenizer": "words", "fold_duplicates": False}
    assert {*given, *chains} == set(SearchOptions.model_fields)
    for body in (
        SearchBody(query="words", **given, **chains),
        SearchParameters(q="words", **given, **chains).to_body(),
    ):
        request = body.to_request("docs", {})
        assert {name: getattr(request, name) for name in given} == given | {"index": "beside"}
        assert request.packing == Packing(**chains)


def test_a_limit_of_tokens_alone_asks_for_as_many_results_as_may_fit():
    assert SearchBody(query="words", max_tokens=90).to_request("docs", {}).top_n == 100
    assert SearchBody(query="words", max_tokens=90, top_k=30).to_request("docs", {}, most=20).top_n == 20
    assert SearchBody(query="words", max_tokens=90, expand=1).to_request("docs", {}).top_n == 10
    assert SearchBody(query="words", max_tokens=90, top_n=4).to_request("docs", {}).top_n == 4
