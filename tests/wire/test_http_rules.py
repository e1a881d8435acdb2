"""Rules of a collection over HTTP: what they do to searches, who may change them, and which changes are refused."""

from __future__ import annotations

import pytest

from tests.wire.test_http_facets import counts
from tests.wire.test_http_keys import Doors, doors  # noqa: F401
from tests.wire.test_http_search import PATH, ask

RULES = "/v1/collections/docs/rules"
FIELDS = {"lang": "keyword"}
DOCUMENTS = [
    {"id": "a", "text": "copy a file", "title": "Alpha", "metadata": {"lang": "en"}},
    {"id": "b", "text": "copy a folder", "title": "Beta", "metadata": {"lang": "en"}},
    {"id": "c", "text": "move a directory", "title": "Gamma", "metadata": {"lang": "de"}},
    {"id": "d", "text": "opening hours", "title": "Visit", "metadata": {"lang": "de"}},
    {"id": "s", "text": "copy for staff", "acl": {"groups": ["staff"]}, "metadata": {"lang": "en"}},
    {"id": "t", "text": "copy of another tenant", "tenant": "t", "metadata": {"lang": "en"}},
]


@pytest.fixture
async def filled(service):
    await service.fill("docs", DOCUMENTS, fields=FIELDS)
    return service.client


async def keep(client, **rules):
    kept = await client.put(RULES, json=rules)
    assert kept.status_code == 200, kept.text
    return kept.json()


def ids(answer):
    return [each["document_id"] for each in answer["results"]]


async def test_synonyms_are_looked_for_as_well(filled):
    words = {"query": "folder", "mode": "sparse", "explain": True}
    assert ids(await ask(filled, **words)) == ["b"]
    await keep(filled, synonyms=[{"words": ["folder", "directory"]}, {"from": "file", "to": ["opening hours"]}])
    answer = await ask(filled, **words, facets=["lang"])
    assert set(ids(answer)) == {"b", "c"}
    assert counts(answer) == {"en": 1, "de": 1}
    assert answer["query"] == "folder"
    assert answer["explain"]["rules"] == [{"kind": "synonym", "words": ["folder"], "added": ["directory"]}]
    assert set(ids(await ask(filled, query="file", mode="sparse"))) == {"a", "d"}
    assert ids(await ask(filled, query="opening hours", mode="sparse")) == ["d"], "one way"
    assert (await ask(filled, query="nothing", explain=True))["explain"]["rules"] == []


async def test_models_read_the_query_as_it_was_typed(filled, service, monkeypatch):
    await keep(filled, synonyms=[{"words": ["folder", "directory"]}], stop_words=["my"])
    embedded, reranked = [], []
    embed, rerank = service.resources.embedder.embed, service.resources.reranker.rerank

    async def note_embed(texts, *args, **options):
        embedded.extend(texts)
        return await embed(texts, *args, **options)

    async def note_rerank(query, *args, **options):
        reranked.append(getattr(query, "text", query))
        return await rerank(query, *args, **options)

    monkeypatch.setattr(service.resources.embedder, "embed", note_embed)
    monkeypatch.setattr(service.resources.reranker, "rerank", note_rerank)
    await ask(filled, query="my folder")
    assert (embedded, reranked) == (["my folder"], ["my folder"])


async def test_stop_words_are_not_looked_for(filled):
    await keep(filled, stop_words=["copy", {"words": ["move"], "language": "en"}])
    answer = await ask(filled, query="copy folder", mode="sparse", explain=True)
    assert ids(answer) == ["b"]
    assert answer["explain"]["rules"] == [{"kind": "stop_words", "words": ["copy"]}]
    assert len(ids(await ask(filled, query="copy", mode="sparse"))) == 3, "a query of stop-words is looked for"
    assert set(ids(await ask(filled, query="move file", mode="sparse"))) == {"a", "c"}
    assert ids(await ask(filled, query="move file", mode="sparse", language="en-GB")) == ["a"]
    got = await filled.get(PATH, params={"q": "move file", "mode": "sparse", "language": "en"})
    assert ids(got.json()) == ["a"], "the query string does as the body"


@pytest.mark.parametrize("mode", ["hybrid", "dense", "sparse"])
async def test_pinned_documents_come_first(filled, mode):
    plain = await ask(filled, query="copy file", mode=mode)
    await keep(filled, pins=[{"query": "copy", "match": "contains", "documents": ["d", "b"]}])
    answer = await ask(filled, query="copy file", mode=mode, min_relevance=0.99, explain=True)
    assert ids(answer)[:2] == ["d", "b"]
    assert [each["rank"] for each in answer["results"]] == list(range(1, len(answer["results"]) + 1))
    assert [each.get("pinned", False) for each in answer["results"]][:3] == [True, True, False][: len(ids(answer))]
    assert answer["explain"]["rules"] == [{"kind": "pin", "query": "copy", "match": "contains"}]
    whole = await ask(filled, query="copy file", mode=mode)
    scores = {each["document_id"]: each["relevance_score"] for each in plain["results"]}
    assert [each["relevance_score"] for each in whole["results"] if each["document_id"] in scores] == [
        scores[each] for each in ids(whole) if each in scores
    ], "no score changes"
    assert ids(await ask(filled, query="file", mode=mode))[:2] != ["d", "b"]


async def test_pages_go_on_behind_the_pinned_ones(filled):
    await keep(
        filled, pins=[{"query": "copy", "documents": ["d", "c"]}], hidden=[{"query": "copy", "documents": ["a"]}]
    )
    for further in ({}, {"sort": [{"key": "lang", "order": "asc"}]}):
        found, cursor = [], None
        for _ in range(9):
            answer = await ask(filled, query="copy", top_n=1, **further, **({"cursor": cursor} if cursor else {}))
            found += [(each["rank"], each["document_id"]) for each in answer["results"]]
            cursor = answer["next"]
            if cursor is None:
                break
        assert [rank for rank, _ in found] == list(range(1, len(found) + 1)), found
        assert found[0] == (1, "d")
        assert sorted(document for _, document in found) == ["b", "c", "d", "s"]


async def test_a_pin_shows_nothing_that_the_caller_may_not_see(doors: Doors):  # noqa: F811
    await doors.send("PUT", "/v1/collections/docs", doors.admin, json={"fields": FIELDS})
    sent = await doors.send("POST", "/v1/collections/docs/documents", doors.admin, json={"documents": DOCUMENTS})
    assert sent.status_code == 202, sent.text
    await doors.service.index()
    pins = [{"query": "copy", "documents": ["t", "s", "a"]}]
    assert (await doors.send("PUT", RULES, doors.admin, json={"pins": pins})).status_code == 200

    async def found(key, **body):
        answer = await doors.send("POST", PATH, key, json={"query": "copy", "explain": True, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    plain = (await doors.make("search"))["key"]
    assert ids(await found(plain))[0] == "a"
    assert not {"t", "s"} & set(ids(await found(plain)))
    tenant = (await doors.make("search", tenant="t"))["key"]
    assert [(each["document_id"], each["pinned"]) for each in (await found(tenant))["results"]] == [("t", True)]
    condition = {"type": "eq", "key": "lang", "value": "de"}
    narrowed = await found(plain, filter=condition)
    assert not any(each.get("pinned") for each in narrowed["results"]), "the filter of the search holds for pins"
    assert narrowed["explain"]["rules"] == []
    trusted = ids(await found(doors.admin))
    assert trusted[:2] == ["s", "a"]


async def test_hidden_documents_are_in_no_result_and_no_count(filled):
    await keep(filled, hidden=[{"query": "alpha", "documents": ["a"]}, {"query": "copy file", "documents": ["a"]}])
    answer = await ask(filled, query="copy file", facets=["lang"], explain=True)
    assert "a" not in ids(answer)
    assert counts(answer) == {"en": 2}
    assert answer["explain"]["rules"] == [{"kind": "hidden", "query": "copy file", "match": "exact"}]
    instant = await ask(filled, query="alpha", mode="instant")
    assert "a" not in ids(instant)
    assert ids(await ask(filled, query="alph", mode="instant")) == ["a"]
    assert "a" in ids(await ask(filled, query="copy a file"))


async def test_instant_searches_follow_the_rules_without_a_model(filled, service, monkeypatch):
    await keep(
        filled,
        synonyms=[{"words": ["start", "alpha"]}, {"from": "beginning", "to": ["beta"], "language": "en"}],
        pins=[{"query": "alp", "documents": ["d", "b"]}, {"query": "gamma", "documents": ["c", "a"]}],
        hidden=[{"query": "beta", "documents": ["b"]}],
        stop_words=["kindly"],
    )

    async def fail(*_, **__):
        raise AssertionError("a model was called")

    monkeypatch.setattr(type(service.resources.embedder), "embed", fail)
    monkeypatch.setattr(type(service.resources.reranker), "rerank", fail)

    async def typed(query, **options):
        return await ask(filled, query=query, mode="instant", explain=True, **options)

    answer = await typed("start")
    assert ids(answer) == ["a"]
    assert answer["explain"]["rules"] == [{"kind": "synonym", "words": ["start"], "added": ["alpha"]}]
    assert ids(await typed("beginning", language="en")) == ["b"]
    assert ids(await typed("beginning")) == []
    answer = await typed("kindly alph")
    assert ids(answer) == ["a"]
    assert answer["explain"]["rules"] == [{"kind": "stop_words", "words": ["kindly"]}]
    answer = await typed("alp", facets=["lang"])
    assert [(each["document_id"], each["rank"], each.get("pinned")) for each in answer["results"]] == [
        ("d", 1, True),
        ("b", 2, True),
        ("a", 3, None),
    ]
    assert answer["next"] is None
    assert answer["explain"]["rules"] == [{"kind": "pin", "query": "alp", "match": "exact"}]
    assert ids(await typed("alp", top_n=1)) == ["d"]
    assert ids(await typed("alp", filter={"type": "eq", "key": "lang", "value": "en"})) == ["b", "a"]
    assert ids(await typed("gamma")) == ["c", "a"], "a result that is pinned comes once"
    answer = await typed("beta")
    assert "b" not in ids(answer)
    assert answer["explain"]["rules"] == [{"kind": "hidden", "query": "beta", "match": "exact"}]


async def test_every_step_of_a_stream_has_the_pins(filled):
    from tests.wire.test_http_instant import events

    class Service:
        client = filled

    await keep(filled, pins=[{"query": "copy file", "documents": ["d", "a"]}])
    steps = await events(Service, {"query": "copy file"})
    assert [name for name, _ in steps] == ["instant", "retrieved", "final"]
    for _, answer in steps:
        assert [(each["document_id"], each.get("pinned")) for each in answer["results"]][:2] == [
            ("d", True),
            ("a", True),
        ]
        assert [each["rank"] for each in answer["results"]] == list(range(1, len(answer["results"]) + 1))


async def test_hidden_documents_are_not_suggested(filled):
    async def suggested(query, **options):
        answer = await filled.get("/v1/collections/docs/suggest", params={"q": query, **options})
        return [each["text"] for each in answer.json()["suggestions"]]

    assert await suggested("be") == ["Beta"]
    assert await suggested("vist") == ["Visit"]
    await keep(
        filled,
        hidden=[
            {"query": "the first", "documents": ["a"]},
            {"query": "gam", "match": "contains", "documents": ["c"]},
            {"query": "visit", "match": "contains", "documents": ["d"]},
            {"query": "beta", "documents": ["b"], "language": "en"},
        ],
        synonyms=[{"from": "first", "to": ["alpha"]}],
    )
    assert await suggested("be") == ["Beta"], "the rule is of a language"
    assert await suggested("be", language="en") == await suggested("beta", language="en") == []
    assert await suggested("gamma") == ["Gamma"]
    assert await suggested("g") == await suggested("gam") == []
    assert await suggested("vist") == [], "the text that would be suggested is of a query that hides it"
    assert await suggested("alph") == await suggested("first") == ["Alpha"]
    assert await suggested("the first") == []


async def test_pins_that_cannot_be_read_are_reported(filled, service, monkeypatch):
    from winnow.core.errors import UpstreamUnavailable

    async def down(*_, **__):
        raise UpstreamUnavailable("down")

    await keep(filled, pins=[{"query": "copy", "documents": ["d"]}])
    monkeypatch.setattr(service.resources.embedder, "embed", down)
    answer = await ask(filled, query="copy")
    assert answer["degraded"]
    assert "pinned documents could not be read" in answer["stages"]["retrieve"]["reason"]
    assert "d" not in ids(answer)


async def test_several_searches_follow_the_rules(filled):
    await keep(filled, hidden=[{"query": "copy", "documents": ["a"]}])
    answer = await filled.post("/v1/search", json={"collections": ["docs"], "queries": ["copy", "file"]})
    found = [(each["query"], each["document_id"]) for each in answer.json()["results"]]
    assert ("copy", "a") not in found
    assert "a" in [document for _, document in found]


async def test_versions_count_and_guard(filled):
    first = await filled.get(RULES)
    empty = {"synonyms": [], "pins": [], "hidden": [], "stop_words": []}
    assert (first.json(), first.headers["etag"]) == ({**empty, "version": 0}, '"0"')
    body = {
        "synonyms": [{"words": ["a", "b"], "language": "de"}, {"from": "c", "to": ["d"]}],
        "pins": [{"query": "x", "match": "contains", "documents": ["a"]}],
        "hidden": [{"query": "y", "match": "exact", "documents": ["b"], "language": "pt-BR"}],
        "stop_words": ["the", {"words": ["der", "die"], "language": "de"}],
    }
    kept = await filled.put(RULES, json=body, headers={"If-Match": '"0"'})
    assert (kept.json(), kept.headers["etag"]) == ({**body, "version": 1}, '"1"')
    for refused in (
        await filled.put(RULES, json=empty, headers={"If-Match": '"0"'}),
        await filled.put(RULES, json={**empty, "version": 0}),
        await filled.delete(RULES, headers={"If-Match": '"2"'}),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "version_conflict")
        assert "version 1" in refused.json()["detail"]
    assert (await filled.put(RULES, json=empty, headers={"If-Match": "new"})).status_code == 422
    assert (await filled.get(RULES)).json() == {**body, "version": 1}
    assert (await filled.delete(RULES)).status_code == 204
    assert (await filled.get(RULES)).json() == {**empty, "version": 2}
    assert (await filled.get("/v1/collections/gone/rules")).status_code == 404


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"synonyms": [{"words": ["a"]}]}, ["synonyms", 0]),
        ({"synonyms": [{"word": ["a", "b"]}]}, ["synonyms", 0, "word"]),
        ({"pins": [{"query": "a", "documents": ["x"]}, {"query": "b"}]}, ["pins", 1, "documents"]),
        ({"pins": [{"query": "a", "documents": [], "match": "exact"}]}, ["pins", 0, "documents"]),
        ({"hidden": [{"query": "a", "match": "regex", "documents": ["x"]}]}, ["hidden", 0, "match"]),
        ({"stop_words": ["the", "of the"]}, ["stop_words", 1]),
        ({"rules": []}, ["rules"]),
    ],
)
async def test_wrong_rules_are_refused_with_their_place(filled, body, place):
    refused = await filled.put(RULES, json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_rules"), refused.text
    assert any(each["loc"][-len(place) :] == place for each in refused.json()["errors"]), refused.text
    assert (await filled.get(RULES)).json()["version"] == 0


async def test_who_administers_changes_rules_and_it_is_recorded(doors: Doors):  # noqa: F811
    body = {"pins": [{"query": "x", "documents": ["a"]}], "stop_words": ["the", "of"]}
    searcher, bound = (await doors.make("search"))["key"], await doors.make("collections:admin", tenant="t")
    for method in ("GET", "PUT", "DELETE"):
        options = {"json": body} if method == "PUT" else {}
        assert (await doors.send(method, RULES, searcher, **options)).status_code == 403
        assert (await doors.send(method, RULES, bound["key"], **options)).status_code == 403, "rules are of all tenants"
    assert (await doors.send("PUT", RULES, doors.admin, json=body)).status_code == 200
    assert (await doors.send("PUT", RULES, doors.admin, json={**body, "version": 0})).status_code == 409
    assert (await doors.send("DELETE", RULES, doors.admin)).status_code == 204
    events = (await doors.send("GET", "/v1/audit", doors.admin)).json()["events"]
    recorded = [(each["action"], each["outcome"]) for each in events if each["action"].startswith("rules.")]
    assert recorded == [("rules.clear", "ok"), ("rules.replace", "version_conflict"), ("rules.replace", "ok")]
    details = next(each for each in events if each["action"] == "rules.replace" and each["outcome"] == "ok")["details"]
    assert details == {"version": 1, "synonyms": 0, "pins": 1, "hidden": 0, "stop_words": 2}
