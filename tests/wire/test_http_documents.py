"""The document routes: batches and single documents in, states and listings out, deletion."""

from __future__ import annotations

import json
import threading
from urllib.parse import quote

import pytest

from winnow.core.errors import InvalidDocument
from winnow.operations import submit

DOCS = "/v1/collections/docs/documents"
NDJSON = {"content-type": "application/x-ndjson"}
ODD_IDS = [
    "a/b",
    "a/b/c.md",
    "with space",
    "ümläut",
    "日本語/文書",
    "100%",
    "a%2Fb",
    "q?x=1#frag",
    "/leading",
    "end/",
    "..",
]


@pytest.fixture
async def docs(service):
    await service.client.put("/v1/collections/docs", json={"fields": {"lang": "keyword", "year": "integer"}})
    return service.client


def document(id, text="some words to find", **more):
    return {"id": id, "text": text, **more}


# --- batches -------------------------------------------------------------------------------------


async def test_batch_is_accepted_and_searchable_once_its_job_is_done(service, docs):
    response = await docs.post(DOCS, json={"documents": [document("a"), document("b")]})
    assert response.status_code == 202
    answer = response.json()
    assert (answer["accepted"], answer["rejected"], answer["job"]) == (2, [], None)
    assert (await docs.get(f"{DOCS}/a")).json()["state"] == "pending"
    await service.index()
    assert (await docs.get(f"{DOCS}/a")).json()["state"] == "indexed"
    assert (await docs.get(f"/v1/jobs/{answer['job_id']}")).json()["status"] == "done"
    found = await docs.post("/v1/collections/docs/search", json={"query": "words"})
    assert len(found.json()["results"]) == 2


async def test_bad_documents_are_rejected_by_index_and_the_good_ones_accepted(docs):
    batch = [
        document("good-0"),
        document("", "no id"),
        document("late", version=5),
        {"id": "typo", "txt": "x"},
        document("wrong-type", metadata={"year": "2020"}),
        document("good-5"),
        document("good-0", "twice in one batch"),
        "not an object",
    ]
    await docs.post(DOCS, json={"documents": [document("late", version=6)]})
    response = await docs.post(DOCS, json={"documents": batch})
    assert response.status_code == 202
    answer = response.json()
    assert answer["accepted"] == 2
    assert [(item["index"], item["id"], item["code"]) for item in answer["rejected"]] == [
        (1, "", "invalid_document"),
        (2, "late", "version_conflict"),
        (3, "typo", "invalid_document"),
        (4, "wrong-type", "invalid_document"),
        (6, "good-0", "duplicate_id"),
        (7, None, "invalid_document"),
    ]
    assert all(item["message"] for item in answer["rejected"])


async def test_ndjson_reads_each_line_on_its_own(docs):
    lines = [json.dumps(document("a")), "{broken", "", json.dumps(document("b")) + "\r", '{"id": "c", "text": NaN}', ""]
    response = await docs.post(DOCS, content="\n".join(lines).encode() + b'{"id": "\xff"}', headers=NDJSON)
    assert response.status_code == 202
    answer = response.json()
    assert answer["accepted"] == 2
    assert [(item["index"], item["code"]) for item in answer["rejected"]] == [
        (1, "invalid_json"),
        (4, "invalid_json"),
        (5, "invalid_json"),
    ]


async def test_batch_without_one_good_document_is_an_error_that_names_each(docs):
    response = await docs.post(DOCS, json={"documents": [document(""), {"id": "x"}]})
    assert response.status_code == 422
    problem = response.json()
    assert problem["code"] == "invalid_document"
    assert problem["accepted"] == 0
    assert [item["index"] for item in problem["rejected"]] == [0, 1]
    assert [error["loc"] for error in problem["errors"]] == [["documents", 0], ["documents", 1]]


async def test_batch_of_outdated_versions_only_is_409(docs):
    await docs.post(DOCS, json={"documents": [document("a", version=2)]})
    response = await docs.post(DOCS, json={"documents": [document("a", "older", version=1)]})
    assert response.status_code == 409
    assert response.json()["code"] == "version_conflict"


@pytest.mark.parametrize("body", [{"documents": []}, {"docs": []}, [], {"documents": {}}, {"documents": [], "x": 1}, 3])
async def test_body_of_another_shape_is_422(docs, body):
    response = await docs.post(DOCS, json=body)
    assert response.status_code == 422
    assert response.json()["code"] == "invalid_document"


async def test_empty_ndjson_is_422(docs):
    assert (await docs.post(DOCS, content=b"\n\n", headers=NDJSON)).status_code == 422


async def test_unchanged_documents_count_as_accepted_and_are_not_embedded_again(service, docs):
    await docs.post(DOCS, json={"documents": [document("a")]})
    await service.index()
    again = (await docs.post(DOCS, json={"documents": [document("a")]})).json()
    job = (await docs.get(f"/v1/jobs/{again['job_id']}")).json()
    assert again["accepted"] == 1
    assert (job["status"], job["unchanged"], job["chunks_embedded"]) == ("done", 1, 0)


async def test_large_batch_is_read_off_the_event_loop(docs, monkeypatch):
    threads, parse = [], submit.parse_batch

    def spy(*args, **kwargs):
        threads.append(threading.current_thread())
        return parse(*args, **kwargs)

    monkeypatch.setattr(submit, "parse_batch", spy)
    large = [document(str(number), "word " * 40) for number in range(500)]
    assert (await docs.post(DOCS, json={"documents": large})).json()["accepted"] == 500
    assert threads
    assert threading.main_thread() not in threads


async def test_full_backlog_is_429_with_retry_after(service, docs, monkeypatch):
    async def full():
        return service.resources.settings.indexing.max_backlog

    monkeypatch.setattr(service.resources.catalog.queue, "backlog", full)
    for response in (
        await docs.post(DOCS, json={"documents": [document("a")]}),
        await docs.put(f"{DOCS}/a", json={"text": "x"}),
    ):
        assert response.status_code == 429
        assert response.json()["code"] == "overloaded"
        assert int(response.headers["retry-after"]) > 0
    assert (await docs.get(DOCS)).json()["documents"] == []


async def test_writes_to_an_unknown_collection_are_404(client):
    missing = "/v1/collections/nope/documents"
    answers = [
        await client.post(missing, json={"documents": [document("a")]}),
        await client.put(f"{missing}/a", json={"text": "x"}),
        await client.delete(f"{missing}/a"),
        await client.post(f"{missing}:delete", json={"ids": ["a"]}),
        await client.post(f"{missing}:delete", json={"filter": {"type": "exists", "key": "a"}}),
        await client.get(missing),
        await client.get(f"{missing}/a"),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "collection_not_found")] * 7


# --- waiting -------------------------------------------------------------------------------------


async def test_wait_answers_200_once_searchable(service, docs):
    service.automatic = True
    response = await docs.post(f"{DOCS}?wait=true", json={"documents": [document("a")]})
    assert response.status_code == 200
    assert response.json()["job"]["status"] == "done"
    found = await docs.post("/v1/collections/docs/search", json={"query": "words"})
    assert found.json()["results"][0]["document_id"] == "a"
    put = await docs.put(f"{DOCS}/b?wait=true", json={"text": "more"})
    deleted = await docs.delete(f"{DOCS}/a?wait=true")
    assert (put.status_code, deleted.status_code) == (200, 200)
    assert deleted.json()["job"]["deleted"] == 1


async def test_wait_that_takes_too_long_answers_202_with_the_job(docs, monkeypatch):
    wait_for_job = submit.wait_for_job

    async def impatient(catalog, job_id, *, stopping):
        return await wait_for_job(catalog, job_id, stopping=stopping, limit=0.0)

    monkeypatch.setattr(submit, "wait_for_job", impatient)
    response = await docs.post(f"{DOCS}?wait=true", json={"documents": [document("a")]})
    assert response.status_code == 202
    assert response.json()["job"]["pending"] == 1


async def test_wait_ends_when_the_service_drains(service, docs):
    service.app.state.service.draining = True
    response = await docs.post(f"{DOCS}?wait=true", json={"documents": [document("a")]})
    assert response.status_code == 202


# --- one document --------------------------------------------------------------------------------


async def test_put_then_get_returns_the_document_with_its_state(service, docs):
    body = document("a", title="T", url="https://x.example", metadata={"lang": "en"}, version=3, format="markdown")
    body["text"] = "# Setup\n\nUse **both** [ways](http://x)."
    assert (await docs.put(f"{DOCS}/a?source=mine", json=body)).status_code == 202
    await service.index()
    stored = (await docs.get(f"{DOCS}/a")).json()
    read = {"text": "# Setup\n\nUse both ways.", "source_format": "markdown", "warnings": []}
    assert {key: stored[key] for key in (body | read).keys() - {"format"}} == {
        key: value for key, value in (body | read).items() if key != "format"
    }
    assert (stored["state"], stored["error"], stored["chunks"], stored["revision"]) == ("indexed", None, 1, 1)
    assert stored["source"] == "mine"
    assert stored["content_hash"]


async def test_put_takes_the_id_from_the_path(docs):
    assert (await docs.put(f"{DOCS}/a", json={"text": "x"})).status_code == 202
    assert (await docs.get(f"{DOCS}/a")).json()["id"] == "a"


async def test_put_with_another_id_in_the_body_is_422(docs):
    response = await docs.put(f"{DOCS}/a", json=document("b"))
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == ["id"]


async def test_put_says_what_is_wrong(docs, service):
    await docs.put(f"{DOCS}/a", json=document("a", version=2))
    assert (await docs.put(f"{DOCS}/a", json=document("a", "x", version=1))).json()["code"] == "version_conflict"
    assert (await docs.put(f"{DOCS}/a", json=[])).json()["code"] == "invalid_document"
    long = "x" * (service.resources.settings.indexing.max_document_chars + 1)
    too_large = await docs.put(f"{DOCS}/a", json={"text": long})
    assert (too_large.status_code, too_large.json()["code"]) == (413, "document_too_large")


@pytest.mark.parametrize("id", ODD_IDS)
async def test_any_id_can_be_put_read_found_and_deleted(service, docs, id):
    path = f"{DOCS}/{quote(id, safe='')}".replace("..", "%2E%2E")
    assert (await docs.put(path, json={"text": "some words"})).status_code == 202
    await service.index()
    assert (await docs.get(path)).json()["id"] == id
    found = await docs.post("/v1/collections/docs/search", json={"query": "words"})
    assert [result["document_id"] for result in found.json()["results"]] == [id]
    assert (await docs.delete(path)).status_code == 202
    assert (await docs.get(path)).status_code == 404


async def test_slashes_need_not_be_escaped(docs):
    await docs.put(f"{DOCS}/guide/start.md", json={"text": "x"})
    assert (await docs.get(f"{DOCS}/guide%2Fstart.md")).json()["id"] == "guide/start.md"


async def test_failed_document_says_why(service, docs, monkeypatch):
    async def fail(*args, **kwargs):
        raise InvalidDocument("cannot be embedded")

    monkeypatch.setattr(service.resources.embedder, "embed", fail)
    await docs.put(f"{DOCS}/a", json={"text": "x"})
    await service.index()
    stored = (await docs.get(f"{DOCS}/a")).json()
    assert stored["state"] == "failed"
    assert stored["error"] == {"code": "invalid_document", "message": "cannot be embedded"}
    assert (await docs.get(f"{DOCS}?state=failed")).json()["documents"][0]["id"] == "a"


async def test_unknown_document_is_404(docs):
    for response in (await docs.get(f"{DOCS}/nope"), await docs.delete(f"{DOCS}/nope")):
        assert (response.status_code, response.json()["code"]) == (404, "document_not_found")


# --- listings ------------------------------------------------------------------------------------


async def test_listing_goes_page_by_page(docs):
    await docs.post(f"{DOCS}?source=s1", json={"documents": [document(name) for name in "abc"]})
    await docs.post(f"{DOCS}?source=s2", json={"documents": [document(name) for name in "de"]})
    seen, after, pages = [], "", 0
    while after is not None:
        page = (await docs.get(DOCS, params={"after": after, "limit": 2})).json()
        seen += [item["id"] for item in page["documents"]]
        after, pages = page["next"], pages + 1
    assert (seen, pages) == (list("abcde"), 3)
    exactly_full = (await docs.get(DOCS, params={"limit": 5})).json()
    assert (len(exactly_full["documents"]), exactly_full["next"]) == (5, None)
    only = (await docs.get(f"{DOCS}?source=s2")).json()
    assert [item["id"] for item in only["documents"]] == ["d", "e"]
    assert set(only["documents"][0]) == {"id", "state", "revision", "content_hash", "source"}
    assert only["next"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "state=gone"])
async def test_wrong_listing_parameter_is_422(docs, query):
    assert (await docs.get(f"{DOCS}?{query}")).status_code == 422


# --- deletion ------------------------------------------------------------------------------------


async def test_delete_by_ids_counts_those_that_were_there(service, docs):
    await docs.post(DOCS, json={"documents": [document(name) for name in "abc"]})
    await service.index()
    response = await docs.post(f"{DOCS}:delete", json={"ids": ["a", "c", "nope"]})
    assert response.status_code == 202
    assert response.json()["deleted"] == 2
    await service.index()
    found = await docs.post("/v1/collections/docs/search", json={"query": "words"})
    assert [result["document_id"] for result in found.json()["results"]] == ["b"]


async def test_delete_by_filter(docs):
    batch = [document("a", metadata={"lang": "en"}), document("b", metadata={"lang": "de"}), document("c")]
    await docs.post(DOCS, json={"documents": batch})
    response = await docs.post(f"{DOCS}:delete", json={"filter": {"type": "ne", "key": "lang", "value": "en"}})
    assert response.json()["deleted"] == 2
    assert [item["id"] for item in (await docs.get(DOCS)).json()["documents"]] == ["a"]


async def test_filter_that_matches_nothing_deletes_nothing(docs):
    await docs.post(DOCS, json={"documents": [document("a")]})
    response = await docs.post(f"{DOCS}:delete", json={"filter": {"type": "eq", "key": "lang", "value": "en"}})
    assert (response.status_code, response.json()["deleted"]) == (202, 0)
    assert (await docs.get(f"/v1/jobs/{response.json()['job_id']}")).json()["status"] == "done"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_document"),
        ({"ids": ["a"], "filter": {"type": "exists", "key": "lang"}}, "invalid_document"),
        ({"ids": []}, "invalid_document"),
        ({"id": "a"}, "invalid_document"),
        ({"filter": {"type": "eq", "key": "nope", "value": 1}}, "invalid_filter"),
        ({"filter": {}}, "invalid_filter"),
    ],
)
async def test_unclear_deletion_is_422_and_deletes_nothing(docs, body, code):
    await docs.post(DOCS, json={"documents": [document("a")]})
    response = await docs.post(f"{DOCS}:delete", json=body)
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert len((await docs.get(DOCS)).json()["documents"]) == 1
