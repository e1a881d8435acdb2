"""Facets over HTTP: counts in both forms of a search, a look for values, and what is refused."""

from __future__ import annotations

import json

import pytest

from tests.wire.test_http_search import PATH, ask

FIELDS = {"lang": "keyword", "year": "integer", "price": "float", "published": "datetime", "public": "boolean"}
DOCUMENTS = [
    {"id": "a", "text": "copy a file", "metadata": {"lang": "en", "year": 2001, "public": True}},
    {"id": "b", "text": "copy a folder", "metadata": {"lang": ["en", "de"], "year": 2010, "public": False}},
    {"id": "c", "text": "a file for good", "metadata": {"lang": "de", "year": 2020, "published": "2024-05-01"}},
    {"id": "d", "text": "nothing of it", "metadata": {"lang": "fr", "price": 2}},
    {"id": "e", "text": "copy of staff", "metadata": {"lang": "sv"}, "acl": {"groups": ["staff"]}},
    {"id": "f", "text": "copy of another", "metadata": {"lang": "nl"}, "tenant": "t"},
]


@pytest.fixture
async def filled(service):
    await service.fill("docs", DOCUMENTS, fields=FIELDS)
    return service.client


def counts(answer, key="lang"):
    return {each["value"]: each["count"] for each in answer["facets"][key]["values"]}


async def test_documents_that_match_the_filter_and_a_word_are_counted(filled):
    answer = await ask(filled, query="copy file", facets=["lang", "year"], top_n=1, top_k=1)
    assert answer["facets"]["lang"] == {
        "values": [{"value": "de", "count": 2}, {"value": "en", "count": 2}, {"value": "sv", "count": 1}],
        "exact": True,
    }
    assert counts(answer, "year") == {2001: 1, 2010: 1, 2020: 1}
    dense = await ask(filled, query="copy file", mode="dense", facets=["lang"])
    assert counts(dense) == {"de": 2, "en": 2, "fr": 1, "sv": 1}
    assert "facets" not in await ask(filled, query="copy file")


async def test_ranges_and_values_of_one_field_come_together(filled):
    body = {"facets": ["year"], "facet_ranges": {"year": [2000, 2010, 2020], "published": ["2024-01-01", None]}}
    answer = await ask(filled, query="copy file", **body)
    assert answer["facets"]["year"]["ranges"] == [
        {"from": 2000, "to": 2010, "count": 1},
        {"from": 2010, "to": 2020, "count": 1},
    ]
    assert len(answer["facets"]["year"]["values"]) == 3
    assert answer["facets"]["published"] == {
        "ranges": [{"from": "2024-01-01", "to": None, "count": 1}],
        "exact": True,
    }


async def test_disjunctive_facets_are_not_narrowed_by_their_own_filter(filled):
    condition = {
        "type": "and",
        "filters": [{"type": "eq", "key": "lang", "value": "en"}, {"type": "gt", "key": "year", "value": 2005}],
    }
    narrowed = await ask(filled, query="copy file", filter=condition, facets=["lang", "year"])
    assert (counts(narrowed), counts(narrowed, "year")) == ({"de": 1, "en": 1}, {2010: 1})
    own = await ask(filled, query="copy file", filter=condition, facets=["lang", "year"], disjunctive=True)
    assert (counts(own), counts(own, "year")) == ({"de": 2, "en": 1}, {2001: 1, 2010: 1})


async def test_the_query_string_counts_as_the_body_does(filled):
    ranges = {"facet_ranges": json.dumps({"year": [2000, 2015]})}
    for facets in ({"facets": "lang,public"}, {"facets": ["lang", "public"]}):
        got = await filled.get(PATH, params={"q": "copy file", "facet_limit": "1", **facets, **ranges})
        body = {"facets": ["lang", "public"], "facet_ranges": {"year": [2000, 2015]}, "facet_limit": 1}
        assert got.json()["facets"] == (await ask(filled, query="copy file", **body))["facets"]
        assert got.json()["facets"]["lang"]["omitted"] == 2


async def test_tenants_have_counts_of_their_own(filled):
    assert counts(await ask(filled, query="copy file", facets=["lang"], tenant="t")) == {"nl": 1}


async def test_access_lists_hold_in_every_count(filled):
    made = await filled.post("/v1/keys", json={"scopes": ["search"]})
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    answer = await filled.post(PATH, json={"query": "copy file", "facets": ["lang"]}, headers=headers)
    assert counts(answer.json()) == {"de": 2, "en": 2}
    found = await filled.get("/v1/collections/docs/facets/lang", headers=headers)
    assert [each["value"] for each in found.json()["values"]] == ["de", "en", "fr"]


async def test_values_are_found_by_how_they_begin(filled):
    async def find(field="lang", **params):
        return await filled.get(f"/v1/collections/docs/facets/{field}", params=params)

    assert (await find(q="D")).json() == {"field": "lang", "values": [{"value": "de", "count": 2}], "exact": True}
    assert (await find(limit=1)).json()["omitted"] == 3
    assert [each["value"] for each in (await find("year", q="20")).json()["values"]] == [2001, 2010, 2020]
    assert (await find("public", q="tr")).json()["values"] == [{"value": True, "count": 1}]
    condition = json.dumps({"type": "eq", "key": "public", "value": True})
    assert (await find(filter=condition)).json()["values"] == [{"value": "en", "count": 1}]
    for params, place in (({"limit": 0}, "limit"), ({"filter": "{"}, "filter"), ({"q": "x" * 300}, "q")):
        refused = await find(**params)
        assert (refused.status_code, refused.json()["errors"][0]["loc"][0]) == (422, place), refused.text
    refused = await find("colour")
    assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, ["field"])
    assert "declared are: lang" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"facets": ["lang", "colour"]}, ["facets", 1]),
        ({"facet_ranges": {"lang": [1, 2]}}, ["facet_ranges", "lang"]),
        ({"facet_ranges": {"year": [2000, "2010"]}}, ["facet_ranges", "year", 1]),
        ({"facet_ranges": {"year": 2000}}, ["facet_ranges", "year"]),
        ({"facets": "lang"}, ["facets"]),
        ({"facets": ["lang"], "facet_limit": 0}, ["facet_limit"]),
    ],
)
async def test_what_cannot_be_counted_is_named(filled, body, place):
    refused = await filled.post(PATH, json={"query": "copy", **body})
    assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, place), refused.text


async def test_ranges_of_a_query_string_that_are_no_lists_are_refused(filled):
    for text in ("{", "[]", '{"year": 1}', '{"year": [{}]}'):
        refused = await filled.get(PATH, params={"q": "copy", "facet_ranges": text})
        assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, ["facet_ranges"]), refused.text


async def test_pages_follow_each_other_in_both_forms(filled):
    seen, body = [], {"query": "copy file", "top_n": 2, "facets": ["lang"]}
    first = answer = await ask(filled, **body)
    while True:
        seen += [each["document_id"] for each in answer["results"]]
        assert counts(answer) == {"de": 2, "en": 2, "sv": 1}
        if answer["next"] is None:
            break
        answer = await ask(filled, **body, cursor=answer["next"])
    assert sorted(seen) == ["a", "b", "c", "d", "e"]
    got = await filled.get(PATH, params={"q": "copy file", "top_n": 2, "cursor": first["next"]})
    assert [each["document_id"] for each in got.json()["results"]] == seen[2:4]
    for changed in ({"cursor": first["next"], "mode": "dense"}, {"cursor": "nonsense"}, {"cursor": "x" * 5000}):
        refused = await filled.post(PATH, json={"query": "copy file", **changed})
        assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, ["cursor"]), refused.text
    refused = await filled.post("/v1/search", json={"collections": ["docs"], "query": "x", "cursor": first["next"]})
    assert refused.status_code == 422


async def test_boosts_reorder_and_are_shown_in_both_forms(filled):
    plain = await ask(filled, query="copy file")
    boosts = [{"key": "year", "half_life": 1, "origin": 2020, "weight": 10}, {"key": "lang", "values": ["de"]}]
    answer = await ask(filled, query="copy file", boosts=boosts, top_n=2)
    scores = [each["stages"]["boost"] for each in answer["results"]]
    assert [each["rank"] for each in scores] == [1, 2]
    assert scores[0]["score"] >= scores[1]["score"]
    for each in answer["results"]:
        boost = each["stages"]["boost"]
        assert boost["score"] == each["relevance_score"] * boost["factor"]
        assert boost["factor"] == 1 + sum(part["adds"] for part in boost["parts"])
        assert [part["key"] for part in boost["parts"]] == ["year", "lang"]
    relevance = {each["document_id"]: each["relevance_score"] for each in plain["results"]}
    assert all(relevance[each["document_id"]] == each["relevance_score"] for each in answer["results"])
    assert not any("boost" in each["stages"] for each in plain["results"])
    params = {"q": "copy file", "boosts": json.dumps(boosts), "top_n": 2}
    got = (await filled.get(PATH, params=params)).json()
    assert [each["document_id"] for each in got["results"]] == [each["document_id"] for each in answer["results"]]
    rest = await ask(filled, query="copy file", boosts=boosts, cursor=answer["next"])
    assert [each["stages"]["boost"]["rank"] for each in rest["results"]] == [3, 4, 5]
    refused = await filled.post(PATH, json={"query": "copy file", "boosts": boosts[:1], "cursor": answer["next"]})
    assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, ["cursor"])


async def test_results_come_in_the_order_that_is_asked_for_in_both_forms(filled):
    def found(answer):
        return [each["document_id"] for each in answer["results"]]

    keys = [{"key": "year", "order": "desc"}, {"key": "lang"}]
    answer = await ask(filled, query="copy file", sort=keys, top_n=3)
    assert found(answer) == ["c", "b", "a"]
    got = await filled.get(PATH, params={"q": "copy file", "sort": "year:desc,lang", "top_n": 3})
    assert found(got.json()) == ["c", "b", "a"]
    rest = await ask(filled, query="copy file", sort=keys, top_n=3, cursor=answer["next"])
    assert (sorted(found(rest)), rest["next"]) == (["d", "e"], None)
    one = await filled.get(PATH, params={"q": "copy file", "max_per": "lang:1", "mmr": 0.3})
    assert len(found(one.json())) < 5
    for body, place in (
        ({"sort": [{"key": "colour"}]}, ["sort", 0, "key"]),
        ({"sort": [{"key": "year", "order": "up"}]}, ["sort", 0, "order"]),
        ({"max_per": {"key": "lang", "count": 0}}, ["max_per", "count"]),
        ({"mmr": 2}, ["mmr"]),
        ({"mmr": 0.5, "mode": "instant"}, ["mode"]),
        ({"boosts": [{"key": "lang", "values": ["en"]}], "mode": "instant"}, ["mode"]),
        ({"boosts": [{"key": "colour", "values": ["red"]}]}, ["boosts", 0, "key"]),
        ({"boosts": [{"key": "lang", "values": [1]}]}, ["boosts", 0, "values", 0]),
        ({"boosts": [{"key": "lang"}]}, ["boosts", 0]),
        ({"boosts": [{"key": "year", "pivot": 1, "half_life": 1}]}, ["boosts", 0]),
        ({"boosts": [{"key": "year", "pivot": 0}]}, ["boosts", 0, "pivot"]),
        ({"boosts": [{"key": "year", "pivot": 1, "weight": 11}]}, ["boosts", 0, "weight"]),
    ):
        refused = await filled.post(PATH, json={"query": "copy", **body})
        assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, place), refused.text
    for params in ({"sort": "year:up"}, {"max_per": "lang"}, {"sort": ""}, {"boosts": "[{}]"}, {"boosts": "year"}):
        refused = await filled.get(PATH, params={"q": "copy", **params})
        assert refused.status_code == 422, refused.text
