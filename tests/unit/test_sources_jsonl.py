"""JSONL: one document a line, and one bad line never stops the rest."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from indexer.sources import rows
from indexer.sources.build import open_source
from tests.sources import count_items, read_all
from winnow.core.types import Document
from winnow.ports.source import Failure


def read(path: Path, *lines: bytes | str | dict[str, Any]) -> list[Document | Failure]:
    encoded = [json.dumps(line) if isinstance(line, dict) else line for line in lines]
    path.write_bytes(b"\n".join(line.encode() if isinstance(line, str) else line for line in encoded))
    return read_all(open_source(str(path)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "corpus.jsonl"


def test_every_key_of_a_document_is_read(path: Path) -> None:
    line = {"id": "a", "text": "T", "title": "Ti", "url": "u", "metadata": {"n": 1}, "version": 2, "format": "html"}
    assert read(path, line) == [Document("a", "T", "html", "Ti", "u", {"n": 1}, 2)]


def test_beir_corpora_are_read_as_they_are(path: Path) -> None:
    assert read(path, {"_id": "4983", "title": "Ti", "text": "T", "metadata": {}}) == [
        Document("4983", "T", title="Ti")
    ]


def test_blank_lines_and_a_byte_order_mark_are_nothing(path: Path) -> None:
    assert read(path, b'\xef\xbb\xbf{"id": "a", "text": "T"}', "", "  ", {"id": "b", "text": "U"}, "") == [
        Document("a", "T"),
        Document("b", "U"),
    ]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ('{"id": "x", "text": ', "invalid_json", "not JSON"),
        ("[" * 100_000, "invalid_json", "deep"),
        (b'{"id": "x", "text": "\xff"}', "not_utf8", "byte 22"),
        ("[1]", "invalid_document", "object"),
        ('{"text": "no id"}', "invalid_document", "id"),
        ('{"id": "x"}', "invalid_document", "text"),
        ('{"id": "x", "text": "T", "metadata": {"n": NaN}}', "invalid_document", "metadata.n"),
        ('{"id": "x", "text": "T", "metadata": {"n": -Infinity}}', "invalid_document", "finite"),
        ('{"id": "x", "text": "T", "contents": "?"}', "invalid_document", "contents"),
        ('{"id": "x", "text": "T", "metadata": {"n": ' + "9" * 5000 + "}}", "invalid_json", "digits"),
        ('{"id": "\\ud800", "text": "T"}', "invalid_document", "surrogates"),
    ],
)
def test_a_bad_line_fails_alone_and_is_named(path: Path, line: bytes | str, code: str, words: str) -> None:
    first, failure, last = read(path, {"id": "a", "text": "T"}, line, {"id": "b", "text": "U"})
    assert (first, last) == (Document("a", "T"), Document("b", "U"))
    assert isinstance(failure, Failure)
    assert (failure.source, failure.code) == (f"{path}:2", code)
    assert words in failure.message


def test_a_failure_names_the_document_where_it_is_known(path: Path) -> None:
    (failure,) = read(path, {"_id": "x", "text": ""})
    assert isinstance(failure, Failure)
    assert failure.document_id == "x"


def test_the_second_document_of_an_id_fails(path: Path) -> None:
    first, second = read(path, {"id": "a", "text": "one"}, {"_id": "a", "text": "two"})
    assert first == Document("a", "one")
    assert isinstance(second, Failure)
    assert (second.source, second.code, second.document_id) == (f"{path}:2", "duplicate_id", "a")


def test_a_line_over_the_limit_is_skipped_without_loading_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_LINE_BYTES", 1024)
    monkeypatch.setattr(rows, "_BLOCK", 1024)
    with path.open("wb") as file:
        file.write(b'{"id": "a", "text": "T"}\n{"id": "x", "text": "')
        for _ in range(20):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n{"id": "b", "text": "U"}\n')
    tracemalloc.start()
    first, failure, last = read_all(open_source(str(path)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (first, last) == (Document("a", "T"), Document("b", "U"))
    assert isinstance(failure, Failure)
    assert (failure.source, failure.code) == (f"{path}:2", "line_too_long")
    assert peak < 2_000_000


def test_a_line_of_just_the_limit_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = b'{"id": "a", "text": "T"}'
    monkeypatch.setattr(rows, "MAX_LINE_BYTES", len(line))
    assert read(path, line, line.replace(b"a", b"b"), line.replace(b'"a"', b'"cc"'))[:2] == [
        Document("a", "T"),
        Document("b", "T"),
    ]


def test_the_count_is_the_number_of_lines(path: Path) -> None:
    read(path, *({"id": str(i), "text": "T"} for i in range(10)), "")
    assert count_items(open_source(str(path))) == 10


def test_the_label_names_the_file_wherever_it_is_read_from(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(path, {"id": "a", "text": "T"})
    monkeypatch.chdir(path.parent)
    assert open_source(path.name).label == f"file:{path.resolve()}"
