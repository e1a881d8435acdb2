"""Reading a document: what is accepted, and which key is named when it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from winnow.core.documents import MAX_ID_CHARS, hash_content, parse_document
from winnow.core.errors import DocumentTooLarge, InvalidDocument
from winnow.core.marks import Mark, wire_warnings


def parse(**changes: Any) -> Any:
    raw = {"id": "a", "text": "hello", **changes}
    return parse_document(raw, fields={"year": "integer", "tags": "keyword"}, max_chars=1000)


def test_a_full_document_comes_through_whole() -> None:
    document = parse(title="T", url="/t", format="markdown", metadata={"year": 2020, "tags": ["x", "y"]}, version=3)
    assert (document.id, document.text, document.title, document.url) == ("a", "hello", "T", "/t")
    assert document.metadata == {"year": 2020, "tags": ["x", "y"]}
    assert (document.source_format, document.version, document.canonical) == ("markdown", 3, False)


@pytest.mark.parametrize(
    ("changes", "location"),
    [
        ({"id": None}, ("id",)),
        ({"id": ""}, ("id",)),
        ({"id": 7}, ("id",)),
        ({"id": "x" * (MAX_ID_CHARS + 1)}, ("id",)),
        ({"id": "a\nb"}, ("id",)),
        ({"text": None}, ("text",)),
        ({"text": " \n"}, ("text",)),
        ({"text": 5}, ("text",)),
        ({"text": "\ud800"}, ("text",)),
        ({"title": ["x"]}, ("title",)),
        ({"format": "pdf"}, ("format",)),
        ({"format": "html", "source_format": "pdf"}, ("format",)),
        ({"source_format": "../x"}, ("source_format",)),
        ({"warnings": [{"code": "x", "message": "y"}]}, ("source_format",)),
        ({"source_format": "pdf", "warnings": [{"code": "x"}]}, ("warnings", 0)),
        ({"source_format": "pdf", "warnings": "x"}, ("warnings",)),
        ({"source_format": "pdf", "marks": [[3, "page", 2], [1, "page", 1]]}, ("marks", 1)),
        ({"source_format": "pdf", "marks": [[3, "place", 2]]}, ("marks", 0)),
        ({"source_format": "pdf", "marks": [[99, "page", 2]]}, ("marks", 0)),
        ({"version": -1}, ("version",)),
        ({"version": True}, ("version",)),
        ({"metadata": [1]}, ("metadata",)),
        ({"metadata": {"a": {"b": float("nan")}}}, ("metadata", "a", "b")),
        ({"metadata": {"a": 2**70}}, ("metadata", "a")),
        ({"metadata": {"year": "2020"}}, ("metadata", "year")),
        ({"metadata": {"big": "x" * 70_000}}, ("metadata",)),
        ({"titel": "typo"}, ("titel",)),
    ],
)
def test_a_bad_document_names_the_key(changes: dict[str, Any], location: tuple[object, ...]) -> None:
    with pytest.raises(InvalidDocument) as caught:
        parse(**changes)
    assert caught.value.location == location


def test_a_text_that_was_converted_elsewhere_comes_with_its_marks_and_warnings() -> None:
    warnings = [{"code": "pages_without_text", "message": "1 of 2", "pages": [2], "count": 1}]
    document = parse(source_format="pdf", marks=[[0, "page", 1], [2, "anchor", "x"]], warnings=warnings)
    assert (document.source_format, document.canonical) == ("pdf", True)
    assert document.marks == (Mark(0, "page", 1), Mark(2, "anchor", "x"))
    assert wire_warnings(document.warnings) == warnings
    assert hash_content(document) != hash_content(replace(document, marks=()))
    assert hash_content(document) == hash_content(replace(document, warnings=()))


def test_a_text_over_the_limit_has_a_code_of_its_own() -> None:
    with pytest.raises(DocumentTooLarge) as caught:
        parse(text="x" * 1001)
    assert caught.value.code == "document_too_large"


@pytest.mark.parametrize("raw", [None, "text", [1], 3.5])
def test_what_is_not_an_object_is_refused(raw: object) -> None:
    with pytest.raises(InvalidDocument, match="JSON object"):
        parse_document(raw, fields={}, max_chars=10)


def test_nul_is_replaced_by_one_character() -> None:
    assert parse(text="a\x00b").text == "a\ufffdb"
