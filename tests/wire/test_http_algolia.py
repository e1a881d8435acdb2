"""Algolia's search API as its clients use it, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.doors.algolia_bodies import AlgoliaOptions
from service.doors.algolia_filters import filter_of
from winnow.core.errors import InvalidFilter

FIELDS: dict[str, Any] = {"lang": "keyword", "year": "integer", "draft": "boolean", "on": "datetime", "price": "float"}
DOCUMENTS: list[dict[str, Any]] = [
    {
        "id": f"page-{at:02}",
        "title": f"Chapter {at:02}",
        "url": f"https://example.org/{at}",
        "text": f"Some text <b>of</b> chapter {at}.",
        "metadata": {"lang": "en" if at % 3 else "de", "year": 2000 + at, "draft": at == 1},
    }
    for at in range(12)
]
DOCUMENTS.append(
    {
        "id": "guide",
        "title": "Installation & setup",
        "url": "https://example.org/guide",
        "format": "markdown",
        "text": "# Installation & setup\n\nFirst steps. "
        + "More words here. " * 60
        + "\n\n## Environment variables\n\n"
        "Set <script>alert(1)</script> variables before you begin.",
        "metadata": {"lang": "en", "year": 1999},
    }
)


@pytest.fixture
async def filled(service):
    await service.fill("site", DOCUMENTS, fields=FIELDS)
    return service


async def asked(service, *queries: dict[str, Any], **body: Any) -> list[dict[str, Any]]:
    content = json.dumps({"requests": [{"indexName": "site", **query} for query in queries], **body})
    answer = await service.client.post(
        "/1/indexes/*/queries?x-algolia-agent=test", content=content, headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


async def test_an_empty_query_lists_documents_with_facets(filled) -> None:
    (found,) = await asked(filled, {"query": "", "facets": ["lang", "year"], "hitsPerPage": 5})
    assert (found["nbHits"], found["nbPages"], found["page"], found["exhaustiveNbHits"]) == (13, 3, 0, True)
    assert [each["objectID"] for each in found["hits"]] == [f"page-{at:02}" for at in range(5)]
    assert found["facets"]["lang"] == {"en": 9, "de": 4}
    assert found["facets_stats"]["year"]["min"] == 1999


async def test_pages_hold_every_hit_once(filled) -> None:
    pages = await asked(filled, *({"query": "chapter", "hitsPerPage": 5, "page": page} for page in range(4)))
    assert [len(each["hits"]) for each in pages] == [5, 5, 2, 0]
    assert {hit["objectID"] for each in pages for hit in each["hits"]} == {f"page-{at:02}" for at in range(12)}
    assert {each["nbHits"] for each in pages} == {12}


async def test_hits_have_the_members_that_docsearch_reads(filled) -> None:
    (found,) = await asked(
        filled, {"query": "environ", "attributesToSnippet": ["content:8"], "highlightPreTag": "<mark>"}
    )
    (hit,) = found["hits"]
    assert hit["objectID"] == "guide"
    assert hit["hierarchy"]["lvl0"] == hit["hierarchy"]["lvl1"] == "Installation & setup"
    assert hit["url"].startswith("https://example.org/guide")
    assert set(hit["hierarchy"]) == {f"lvl{at}" for at in range(7)}
    assert hit["type"] in ("lvl2", "content")
    assert hit["_snippetResult"]["content"]["value"]


async def test_everything_but_the_tags_of_the_client_is_escaped(filled) -> None:
    tags = {"highlightPreTag": "<mark>", "highlightPostTag": "</mark>"}
    (found,) = await asked(filled, {"query": "chapter 03", **tags})
    hit = found["hits"][0]
    assert hit["_highlightResult"]["title"]["value"] == "<mark>Chapter</mark> <mark>03</mark>"
    assert hit["_highlightResult"]["title"]["matchLevel"] == "full"
    assert hit["_highlightResult"]["title"]["fullyHighlighted"]
    assert "&lt;b&gt;of&lt;/b&gt;" in hit["_highlightResult"]["content"]["value"]
    (plain,) = await asked(filled, {"query": "chapter 03", "highlightPreTag": "__a__", "highlightPostTag": "__/a__"})
    assert "<b>of</b>" in plain["hits"][0]["_highlightResult"]["content"]["value"]  # such a client escapes it itself


async def test_only_what_is_asked_for_is_returned(filled) -> None:
    (found,) = await asked(filled, {"query": "chapter 03", "attributesToRetrieve": ["title", "hierarchy.lvl0"]})
    assert set(found["hits"][0]) == {"objectID", "title", "hierarchy", "_highlightResult"}


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ({"filters": "lang:de"}, 4),
        ({"filters": "NOT lang:de"}, 9),
        ({"filters": 'lang:"de" AND year > 2003'}, 2),
        ({"filters": "lang:de OR draft:true"}, 5),
        ({"filters": "year:2001 TO 2003"}, 3),
        ({"filters": "(lang:de OR year = 2001) AND NOT draft:true"}, 4),
        ({"facetFilters": ["lang:de"]}, 4),
        ({"facetFilters": [["lang:de", "lang:en"], "year:2001"]}, 1),
        ({"facetFilters": "lang:-de"}, 9),
        ({"numericFilters": ["year>=2009"]}, 3),
        ({"numericFilters": [["year=2001", "year=2002"]]}, 2),
        ({"params": "query=&hitsPerPage=3&facetFilters=%5B%22lang%3Ade%22%5D"}, 4),
    ],
)
async def test_filters_are_understood(filled, options: dict[str, Any], number: int) -> None:
    (found,) = await asked(filled, options)
    assert found["nbHits"] == number


@pytest.mark.parametrize(
    "options",
    [
        {"filters": "lang"},
        {"filters": "lang:"},
        {"filters": "(lang:de"},
        {"filters": "lang:de)"},
        {"filters": ":de"},
        {"filters": "(" * 20},
        {"facetFilters": ["lang"]},
        {"facetFilters": [[1]]},
        {"numericFilters": ["year~3"]},
        {"numericFilters": ["year>soon"]},
        {"tagFilters": ["a"]},
    ],
)
def test_filters_that_cannot_be_read_are_errors(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidFilter):
        filter_of(AlgoliaOptions(**options), FIELDS)


async def test_errors_are_algolias(filled) -> None:
    answer = await filled.client.post("/1/indexes/nothing/query", json={"query": "a"})
    assert (answer.status_code, answer.json()["status"]) == (404, 404)
    assert "nothing" in answer.json()["message"]
    answer = await filled.client.post("/1/indexes/site/query", json={"filters": "unknown:1"})
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


async def test_values_of_a_facet_are_found(filled) -> None:
    answer = await filled.client.post("/1/indexes/site/facets/lang/query", json={"facetQuery": "d"})
    assert answer.json()["facetHits"] == [{"value": "de", "highlighted": "<em>d</em>e", "count": 4}]
    (found,) = await asked(filled, {"type": "facet", "facet": "lang", "facetQuery": ""})
    assert [each["value"] for each in found["facetHits"]] == ["en", "de"]


async def test_one_index_is_searched_under_its_own_path(filled) -> None:
    answer = await filled.client.post("/1/indexes/site/query", json={"query": "instalation"})
    assert [each["objectID"] for each in answer.json()["hits"]] == ["guide"]


async def test_a_key_in_the_address_may_search_and_nothing_else(filled) -> None:
    made = await filled.client.post("/v1/keys", json={"label": "admin", "scopes": ["keys:admin", "search"]})
    admin = made.json()["key"]
    held = {"Authorization": f"Bearer {admin}"}
    site = (await filled.client.post("/v1/keys", json={"label": "site", "scopes": ["search"]}, headers=held)).json()[
        "key"
    ]
    body = json.dumps({"query": "chapter 03"})
    url = "/1/indexes/site/query"
    assert (await filled.client.post(url, content=body)).status_code == 401
    for sent in ({"params": {"x-algolia-api-key": site}}, {"headers": {"X-Algolia-API-Key": site}}):
        answer = await filled.client.post(url, content=body, **sent)
        assert answer.status_code == 200, answer.text
    refused = await filled.client.post(url, content=body, params={"x-algolia-api-key": admin})
    assert (refused.status_code, refused.json()["status"]) == (403, 403)
    elsewhere = await filled.client.get("/v1/collections", params={"x-algolia-api-key": admin})
    assert elsewhere.status_code == 401
