"""Files uploaded as a form: every format, what is said of them, what is refused."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from tests.conftest import Service
from tests.files import docx, pdf

DOCS = "/v1/collections/docs/documents"
JSON = "application/json"
REPORT = pdf(["Amber is a fossil resin."], ["Copal is a young resin."], title="Resins")
BOOKLET = docx(("Heading1", "Wax"), ("Normal", "Beeswax is made by bees."))


EMPTY_FORM: dict[str, Any] = {
    "content": b"--x--\r\n",
    "headers": {"Content-Type": "multipart/form-data; boundary=x"},
}


@pytest.fixture
async def docs(service: Service) -> httpx2.AsyncClient:
    await service.client.put("/v1/collections/docs", json={"fields": {"lang": "keyword", "year": "integer"}})
    return service.client


def form(*parts: tuple[str, bytes] | dict[str, Any]) -> dict[str, Any]:
    """The body of a form: files as (name, content), and what is said of them as mappings."""
    sent = [
        ("document", (None, json.dumps(part), JSON)) if isinstance(part, dict) else ("file", (part[0], part[1]))
        for part in parts
    ]
    return {"files": sent}


async def test_files_are_read_stored_as_canonical_text_and_found(service: Service, docs: httpx2.AsyncClient) -> None:
    answer = await docs.post(DOCS, **form(("report.pdf", REPORT), ("wax.docx", BOOKLET)))
    assert answer.status_code == 202, answer.text
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, [])
    await service.index()
    report = (await docs.get(f"{DOCS}/report.pdf")).json()
    assert (report["text"], report["source_format"], report["title"], report["state"]) == (
        "Amber is a fossil resin.\n\nCopal is a young resin.",
        "pdf",
        "Resins",
        "indexed",
    )
    found = await docs.post("/v1/collections/docs/search", json={"query": "beeswax"})
    assert found.json()["results"][0]["document_id"] == "wax.docx"


async def test_a_chunk_of_an_uploaded_pdf_names_its_page(service: Service, docs: httpx2.AsyncClient) -> None:
    pages = [[f"Page {n} tells of {word}."] for n, word in enumerate(["amber " * 150, "copal " * 150], 1)]
    await docs.post(DOCS, **form(("long.pdf", pdf(*pages))))
    await service.index()
    search = {"query": "copal", "group_by": "chunk", "top_n": 20}
    results = (await docs.post("/v1/collections/docs/search", json=search)).json()["results"]
    pages_found = {"copal" in each["text"] and each["chunk"]["page"] for each in results}
    assert 2 in pages_found


async def test_what_is_said_of_a_file_goes_before_what_it_says(docs: httpx2.AsyncClient) -> None:
    said = {"id": "r/1", "title": "My report", "url": "https://e.org/r", "metadata": {"year": 2026}, "version": 3}
    answer = await docs.post(DOCS, **form(("report.pdf", REPORT), said, ("wax.docx", BOOKLET), {}))
    assert answer.status_code == 202, answer.text
    report = (await docs.get(f"{DOCS}/r/1")).json()
    assert {key: report[key] for key in said} == said
    assert (await docs.get(f"{DOCS}/wax.docx")).json()["title"] == "Wax"


async def test_a_file_is_put_under_an_id_and_replaced(service: Service, docs: httpx2.AsyncClient) -> None:
    put = await docs.put(f"{DOCS}/r/1", **form(("report.pdf", REPORT), {"metadata": {"year": 2026}}))
    assert (put.status_code, put.json()["accepted"]) == (202, 1)
    stored = (await docs.get(f"{DOCS}/r/1")).json()
    assert (stored["title"], stored["source_format"], stored["metadata"]) == ("Resins", "pdf", {"year": 2026})
    assert (await docs.put(f"{DOCS}/r/1", **form(("wax.docx", BOOKLET)))).status_code == 202
    stored = (await docs.get(f"{DOCS}/r/1")).json()
    assert (stored["title"], stored["source_format"]) == ("Wax", "docx")


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([("a.md", b"A"), ("b.md", b"B")], "PUT takes one file, not 2"),
        ([], "not 0"),
        ([("a.csv", b"id,text\n1,One\n2,Two\n")], "rows of the file are documents of their own"),
        ([("a.md", b"A"), {"id": "other"}], "differs from the path's"),
        ([("a.xyz", b"A")], ".xyz are not read"),
        ([("a.pdf", b"nothing")], "not a readable PDF"),
    ],
)
async def test_what_cannot_be_put_under_one_id_is_refused(docs: httpx2.AsyncClient, parts: Any, reason: str) -> None:
    answer = await docs.put(f"{DOCS}/r1", **form(*parts)) if parts else await docs.put(f"{DOCS}/r1", **EMPTY_FORM)
    assert (answer.status_code, reason in answer.text) == (422, True), answer.text
    assert (await docs.get(f"{DOCS}/r1")).status_code == 404


async def test_headers_of_a_mail_are_kept_beside_the_metadata_of_its_uploader(docs: httpx2.AsyncClient) -> None:
    mail = b"From: ada@e.org\nSubject: Resin\nMIME-Version: 1.0\nContent-Type: text/plain\n\nAmber burns.\n"
    await docs.post(DOCS, **form(("m.eml", mail), {"metadata": {"year": 2025}}))
    stored = (await docs.get(f"{DOCS}/m.eml")).json()
    assert (stored["title"], stored["metadata"]) == ("Resin", {"from": "ada@e.org", "year": 2025})


async def test_a_bad_file_is_rejected_by_index_and_the_good_ones_accepted(docs: httpx2.AsyncClient) -> None:
    files = [
        ("good.md", b"# Amber\n\nA resin."),
        ("half.pdf", REPORT[:200]),
        ("blank.txt", b"  \n"),
        ("scan.pdf", pdf([], [])),
        ("what.xyz", b"words"),
        ("old.md", b"new words"),
    ]
    await docs.post(DOCS, json={"documents": [{"id": "old.md", "text": "x", "version": 9}]})
    said = [{}, {}, {}, {}, {"id": "w"}, {"version": 3}]
    answer = await docs.post(DOCS, **form(*files, *said))
    assert answer.status_code == 202, answer.text
    rejected = [(each["index"], each["id"], each["code"]) for each in answer.json()["rejected"]]
    assert answer.json()["accepted"] == 1
    assert rejected == [
        (1, "half.pdf", "damaged"),
        (2, "blank.txt", "empty"),
        (3, "scan.pdf", "no_text"),
        (4, "w", "unknown_type"),
        (5, "old.md", "version_conflict"),
    ]


async def test_if_no_file_can_be_read_the_answer_is_an_error_that_names_each(docs: httpx2.AsyncClient) -> None:
    answer = await docs.post(DOCS, **form(("half.pdf", REPORT[:200])))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_document")
    (rejected,) = answer.json()["rejected"]
    assert (rejected["id"], rejected["code"]) == ("half.pdf", "damaged")


async def test_a_page_in_another_encoding_is_read_and_what_was_guessed_is_said(docs: httpx2.AsyncClient) -> None:
    cyrillic = "<p>" + "Янтарь — ископаемая смола, её находят на берегу моря. " * 5
    parts = [
        ("file", ("named.html", cyrillic.encode("cp1251", "replace"), "text/html; charset=windows-1251")),
        ("file", ("guessed.html", cyrillic.encode("cp1251", "replace"), "text/html")),
    ]
    answer = await docs.post(DOCS, files=parts)
    assert answer.status_code == 202, answer.text
    named, guessed = [(await docs.get(f"{DOCS}/{name}.html")).json() for name in ("named", "guessed")]
    assert "ископаемая смола" in named["text"]
    assert named["text"] == guessed["text"]
    assert [each["code"] for each in named["warnings"]] == []
    assert [each["code"] for each in guessed["warnings"]] == ["encoding_detected"]


async def test_the_format_is_named_or_told_by_suffix_or_by_media_type(docs: httpx2.AsyncClient) -> None:
    parts = [
        ("file", ("report", REPORT, "application/pdf")),
        ("file", ("notes", b"# Wax\n\nIt melts.", "application/octet-stream")),
        ("document", (None, "{}", JSON)),
        ("document", (None, '{"format": "md"}', JSON)),
    ]
    assert (await docs.post(DOCS, files=parts)).json()["accepted"] == 2
    assert (await docs.get(f"{DOCS}/report")).json()["source_format"] == "pdf"
    assert (await docs.get(f"{DOCS}/notes")).json()["source_format"] == "markdown"


async def test_each_row_of_a_table_is_a_document(docs: httpx2.AsyncClient) -> None:
    table = b"sku,details,year\nA1,Amber ring,2020\nA2,,2021\nA3,Copal bead,2022\n"
    said = {"columns": {"text": "details"}, "id": "shop", "metadata": {"lang": "en"}}
    answer = await docs.post(DOCS, **form(("shop.csv", table), said))
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2), answer.text
    (rejected,) = answer.json()["rejected"]
    assert (rejected["index"], rejected["id"]) == (0, "shop#2")
    assert rejected["message"].startswith("shop.csv:2: ")
    row = (await docs.get(f"{DOCS}/shop%233")).json()
    assert (row["text"], row["metadata"]) == ("Copal bead", {"lang": "en", "sku": "A3", "year": 2022})


@pytest.mark.parametrize(
    ("parts", "status", "says"),
    [
        ([], 422, "no file"),
        ([("file", (None, "text"))], 422, "unknown part 'file'"),
        ([("upload", ("a.txt", b"x"))], 422, "unknown part 'upload'"),
        ([("file", ("a.txt", b"x")), ("document", (None, "{}")), ("document", (None, "{}"))], 422, "2 document parts"),
        ([("file", ("a.txt", b"x")), ("document", (None, "[]"))], 422, "JSON object"),
        ([("file", ("a.txt", b"x")), ("document", (None, "{"))], 400, "not JSON"),
        ([("file", ("a.txt", b"x")), ("document", (None, '{"text": "y"}'))], 422, "'text' cannot be given"),
        ([("file", ("a.txt", b"x")), ("document", (None, '{"colour": "red"}'))], 422, "unknown key 'colour'"),
        ([("file", ("a.csv", b"text\nx")), ("document", (None, '{"columns": {"x": "y"}}'))], 422, "a column cannot be"),
        ([("file", ("a.txt", b"x")), ("document", (None, '{"metadata": 3}'))], 422, "metadata is an object"),
    ],
)
async def test_a_wrong_form_is_refused_with_the_reason(
    docs: httpx2.AsyncClient, parts: list[Any], status: int, says: str
) -> None:
    boundary = {"content-type": "multipart/form-data; boundary=x"}
    sent = {"files": parts} if parts else {"content": b"--x--\r\n", "headers": boundary}
    answer = await docs.post(DOCS, **sent)
    assert (answer.status_code, says in answer.text) == (status, True), answer.text


async def test_a_body_that_is_not_a_form_is_400(docs: httpx2.AsyncClient) -> None:
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = await docs.post(DOCS, content=b"nothing of the kind", headers={"content-type": kind})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_form")


async def test_a_form_of_another_origins_page_is_refused(service: Service, docs: httpx2.AsyncClient) -> None:
    sent = form(("a.txt", b"words"))
    foreign = await docs.post(DOCS, **sent, headers={"origin": "https://evil.example"})
    assert (foreign.status_code, foreign.json()["code"]) == (403, "cross_site")
    assert (await docs.post(DOCS, **sent, headers={"origin": "http://127.0.0.1"})).status_code == 202


async def test_a_form_over_the_limit_of_bodies_is_413(service: Service, docs: httpx2.AsyncClient) -> None:
    limit = service.resources.settings.server.max_body_mb
    answer = await docs.post(DOCS, **form(("a.txt", b"x" * (limit + 1) * 2**20)))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_text_over_the_limit_of_documents_is_rejected(service: Service, docs: httpx2.AsyncClient) -> None:
    limit = service.resources.settings.indexing.max_document_chars
    answer = await docs.post(DOCS, **form(("a.txt", b"x " * limit)))
    assert (answer.status_code, answer.json()["rejected"][0]["code"]) == (413, "document_too_large")


async def test_a_text_in_json_is_in_any_format_that_is_text(docs: httpx2.AsyncClient) -> None:
    texts = {
        "rst": "Wax\n===\n\nIt ``melts``.",
        "asciidoc": "== Wax\n\nIt `melts`.",
        "org": "* Wax\n\nIt melts.",
        "vtt": "WEBVTT\n\n00:01.000 --> 00:02.000\nIt melts.",
        "ipynb": json.dumps({"cells": [{"cell_type": "markdown", "source": "# Wax\n\nIt melts."}]}),
    }
    batch = [{"id": name, "text": text, "format": name} for name, text in texts.items()]
    assert (await docs.post(DOCS, json={"documents": batch})).json()["accepted"] == len(texts)
    for name in texts:
        stored = (await docs.get(f"{DOCS}/{name}")).json()
        assert (stored["text"].endswith("It melts."), stored["source_format"]) == (True, name)


@pytest.mark.parametrize(("format", "text", "says"), [("pdf", "x", "as a form"), ("ipynb", "{", "not valid ipynb")])
async def test_a_text_that_is_not_in_its_format_is_rejected(
    docs: httpx2.AsyncClient, format: str, text: str, says: str
) -> None:
    answer = await docs.post(DOCS, json={"documents": [{"id": "a", "text": text, "format": format}]})
    assert (answer.status_code, answer.json()["rejected"][0]["code"]) == (422, "invalid_document")
    assert says in answer.json()["detail"]


async def test_losses_in_reading_are_in_the_document_and_in_the_metrics(docs: httpx2.AsyncClient) -> None:
    half_scanned = pdf(["Amber is a fossil resin."], [], ["Copal is young."])
    await docs.post(DOCS, **form(("a.pdf", half_scanned)))
    (warning,) = (await docs.get(f"{DOCS}/a.pdf")).json()["warnings"]
    assert (warning["code"], warning["pages"], warning["count"]) == ("pages_without_text", [2], 1)
    metrics = (await docs.get("/metrics")).text
    assert 'winnow_document_warnings_total{code="pages_without_text"} 1.0' in metrics
