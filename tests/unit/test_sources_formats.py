"""PDF, DOCX and tables as sources: what becomes a document, and what is refused by name."""

from __future__ import annotations

import sys
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.chunking.chunker import chunk_document
from indexer.sources import files, formats
from indexer.sources.build import open_source
from indexer.sources.sandbox import Sandbox, SandboxLimits
from tests.files import docx, locked_pdf, pdf, write
from tests.sources import count_items, read_all
from winnow.core.errors import InvalidSource
from winnow.core.types import Chunking, Document
from winnow.ports.source import Failure, SourceOptions
from winnow.testing.models import WordTokenizer

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory hold on Linux only")

FILLER = "of some twenty words or so, which fill a page, or a section, so that it makes one whole chunk."


def read(path: Path, **options: Any) -> list[Document | Failure]:
    return read_all(open_source(str(path), SourceOptions(**options)))


def document(path: Path, **options: Any) -> Document:
    (item,) = read(path, **options)
    assert isinstance(item, Document), item
    return item


def failure(path: Path, **options: Any) -> Failure:
    (item,) = read(path, **options)
    assert isinstance(item, Failure), item
    return item


def chunks_of(item: Document) -> list[tuple[tuple[str, ...], str, str]]:
    chunks = chunk_document(item, WordTokenizer(), Chunking(40, 0), max_tokens=40)
    return [(chunk.headings, chunk.anchor, chunk.text) for chunk in chunks]


# --- PDF -----------------------------------------------------------------------------------------


def test_chunks_of_a_pdf_know_their_page(tmp_path: Path) -> None:
    pages = [f"{name} {FILLER}" for name in ("One", "Two", "Three")]
    item = document(write(tmp_path / "a.pdf", pdf(*([page] for page in pages), title="Grain & mill")))
    assert item.title == "Grain & mill"
    assert chunks_of(item) == [((), f"page={n}", page) for n, page in enumerate(pages, 1)]


def test_bookmarks_of_a_pdf_become_headings(tmp_path: Path) -> None:
    content = pdf(["Mills", FILLER], [FILLER, "Stones", FILLER], bookmarks={"Mills": 0, "Stones": 1})
    assert [(headings, anchor) for headings, anchor, _ in chunks_of(document(write(tmp_path / "a.pdf", content)))] == [
        (("Mills",), "page=1"),
        (("Mills",), "page=2"),
        (("Stones",), "page=2"),
    ]


def test_running_heads_and_words_cut_at_line_ends_are_mended(tmp_path: Path) -> None:
    pages = [["The Handbook", "Winnow-", f"ing, part {chr(97 + n)}", f"{n} of 6"] for n in range(6)]
    text = document(write(tmp_path / "a.pdf", pdf(*pages))).text
    assert "Handbook" not in text
    assert "of 6" not in text
    assert text.count("Winnowing, part") == 6


def test_running_heads_of_left_and_right_pages_and_of_several_lines_are_dropped(tmp_path: Path) -> None:
    heads = [["The Handbook", "Second edition"], ["Chapter 2", "Storage"]]
    pages = [[*heads[n % 2], f"{n} of 8", f"Grain lies in silo {chr(97 + n)}."] for n in range(8)]
    text = document(write(tmp_path / "a.pdf", pdf(*pages))).text
    assert text == "\n\n".join(f"Grain lies in silo {chr(97 + n)}." for n in range(8))


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["The agri-", "cultural show"], "The agricultural show"),
        (["A self-", "contained state-of-the-", "art silo"], "A self-contained state-of-the-art silo"),
        (["The US-", "based e-", "mail and X-", "ray"], "The US-based e-mail and X-ray"),
        (["Getreide-", "und Mehlhandel"], "Getreide- und Mehlhandel"),
        (["See page 10-", "12 of ISO-", "9001"], "See page 10-12 of ISO-9001"),
        (["A long-lived tree is a long-", "lived one"], "A long-lived tree is a long-lived one"),
        (["A list", "1. of oats", "2. of rye"], "A list\n\n1. of oats\n\n2. of rye"),
    ],
)
def test_words_at_the_ends_of_lines_of_a_pdf_are_read_as_they_were_written(
    tmp_path: Path, lines: list[str], text: str
) -> None:
    assert document(write(tmp_path / "a.pdf", pdf(lines))).text == text


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "empty", "empty"),
        (b"no PDF at all", "damaged", "save it again"),
        (pdf(["x"])[:200], "damaged", "save it again"),
        (pdf([]), "no_text", "ocrmypdf"),
        (locked_pdf(), "encrypted", "without a password"),
    ],
)
def test_a_pdf_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, code: str, words: str) -> None:
    item = failure(write(tmp_path / "bad.pdf", content))
    assert (item.code, item.document_id) == (code, "bad.pdf")
    assert words in item.message


def test_an_unchanged_pdf_is_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "docs" / "a.pdf", pdf(["Some text."]))
    first = document(path.parent, state_dir=tmp_path / "state")
    with monkeypatch.context() as patch:
        patch.setattr(formats, "MAX_PARSED_BYTES", 0)  # parsing it would fail
        assert document(path.parent, state_dir=tmp_path / "state") == first
    write(path, pdf(["Other text."]))
    assert "Other" in document(path.parent, state_dir=tmp_path / "state").text


def test_what_is_kept_goes_with_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "docs" / "a.pdf", pdf(["Some text."]))
    write(tmp_path / "docs" / "b.md", b"Text")
    read(path.parent, state_dir=tmp_path / "state")
    assert [entry for entry in (tmp_path / "state").rglob("*") if entry.is_file()]
    path.unlink()
    read(path.parent, state_dir=tmp_path / "state")
    assert not [entry for entry in (tmp_path / "state").rglob("*") if entry.is_file()]


# --- DOCX ----------------------------------------------------------------------------------------


def test_a_docx_keeps_its_headings(tmp_path: Path) -> None:
    item = document(
        write(
            tmp_path / "a.docx",
            docx(("Heading1", "Mills"), ("Normal", FILLER), ("Heading2", "Stones < iron"), ("Normal", FILLER)),
        )
    )
    assert (item.title, item.source_format) == ("Mills", "docx")
    assert [headings for headings, _, _ in chunks_of(item)] == [("Mills",), ("Mills", "Stones < iron")]


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"no zip", "damaged", "save it again"),
        (b"\xd0\xcf\x11\xe0 old", "encrypted", "without a password"),
        (docx(), "no_text", "no text"),
        (docx(("Normal", "x"), padding=300 * 2**20), "too_large", "unpacks to 300 MiB"),
    ],
)
def test_a_docx_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, code: str, words: str) -> None:
    item = failure(write(tmp_path / "bad.docx", content))
    assert (item.code, item.document_id) == (code, "bad.docx")
    assert words in item.message


# --- tables --------------------------------------------------------------------------------------


def test_columns_of_csv_are_told_by_their_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b'\xef\xbb\xbfID;Body;Name;Link;lang\n1;"A ""b""\nc";T;u;en\n2;D;;;\n')
    assert read(path) == [
        Document("1", 'A "b"\nc', title="T", url="u", metadata={"lang": "en"}),
        Document("2", "D"),
    ]


def test_columns_can_be_chosen_and_rows_without_id_are_numbered(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", b"text\tsummary\nlong\tshort\n")
    assert read(path, columns={"text": "summary"}) == [Document("a.tsv#1", "short", metadata={"text": "long"})]


def test_cells_of_declared_fields_have_their_type(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"id,text,year,price,new,zip\n1,T,2024,1.5,yes,01234\n2,T,soon,x,?,5\n")
    first, second = read(path, fields={"year": "integer", "price": "float", "new": "boolean", "zip": "keyword"})
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert first.metadata == {"year": 2024, "price": 1.5, "new": True, "zip": "01234"}
    assert second.metadata == {"year": "soon", "price": "x", "new": "?", "zip": "5"}


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "empty", "empty"),
        (b"\n\n", "wrong_schema", "header is missing"),
        (b",".join(b"c%d" % n for n in range(1_000_000)), "wrong_schema", "first line"),
        (b",".join(b"c%d" % n for n in range(2_000)), "wrong_schema", "2,000 columns"),
        (b"id,price\n1,2\n", "wrong_schema", "--column text=NAME; columns: id, price"),
        (b"text,text\na,b\n", "wrong_schema", "occurs twice"),
        (b"id,\x00te,xt\n1,2", "binary", "NUL"),
        (b'id,text\n1,"open', "invalid_csv", "quote"),
    ],
)
def test_csv_that_is_no_table_of_documents_is_named(tmp_path: Path, content: bytes, code: str, words: str) -> None:
    item = failure(write(tmp_path / "a.csv", content))
    assert (item.code, item.document_id) == (code, "")
    assert words in item.message


GREEK = "id;text\n1;Το αλεύρι αλέθεται στον μύλο του χωριού.\n2;plain\n3;Ο μυλωνάς δουλεύει από το πρωί.\n"
JAPANESE = "id\ttext\n1\tこむぎを ひいて こなに します。\n"


@pytest.mark.parametrize(
    ("text", "encoding", "guessed"),
    [
        (GREEK, "utf-8", ""),
        (GREEK, "utf-8-sig", ""),
        (GREEK, "utf-16", ""),
        (GREEK, "cp1253", "cp1253"),
        (JAPANESE, "cp932", "cp932"),
        ("id,text\n1,Mühle am Bach\n", "cp1252", "cp1252"),
        ("id,text\n1,Mühle am Bach\n", "utf-16-le", "utf-16-le"),
    ],
)
def test_tables_are_read_in_their_encoding_and_a_guess_is_a_warning(
    tmp_path: Path, text: str, encoding: str, guessed: str
) -> None:
    items = read(write(tmp_path / "a.csv", text.encode(encoding)))
    wanted = [row.replace("\t", ";").replace(",", ";").split(";") for row in text.splitlines()[1:]]
    assert [[item.id, item.text] for item in items if isinstance(item, Document)] == wanted
    said = [[each.message.partition("read as ")[2].partition(";")[0] for each in item.warnings] for item in items]
    assert said == [[] if row[1].isascii() or not guessed else [guessed] for row in wanted]


def test_a_table_that_changes_its_encoding_is_named(tmp_path: Path) -> None:
    rows = "".join(f"{number},Mühle am Bach\n" for number in range(9_000))
    *_, last = read(write(tmp_path / "a.csv", b"id,text\n" + rows.encode() + b"x,M\xfchle\n"))
    assert isinstance(last, Failure)
    assert (last.code, "utf-8" in last.message) == ("not_utf8", True)


def test_the_encoding_of_a_table_is_found_beyond_its_plain_rows(tmp_path: Path) -> None:
    rows = [f"{number},plain words in row {number}" for number in range(20_000)] + ["last,Mühle am Bach über Düne"]
    items = read(write(tmp_path / "a.csv", "\n".join(["id,text", *rows]).encode("cp1252")))
    assert isinstance(items[-1], Document)
    assert (len(items), items[-1].text) == (20_001, "Mühle am Bach über Düne")


def test_one_bad_row_does_not_stop_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"id,text\n1,a\n2,b,c\n3,\n\n1,d\n5,e\n")
    items = read(path)
    assert [item.id for item in items if isinstance(item, Document)] == ["1", "5"]
    assert [(item.source, item.code, item.document_id) for item in items if isinstance(item, Failure)] == [
        (f"{path}:2", "wrong_row", ""),
        (f"{path}:3", "invalid_document", "3"),
        (f"{path}:4", "duplicate_id", "1"),
    ]


def test_rows_of_parquet_keep_their_types_but_not_vectors(tmp_path: Path) -> None:
    table = pa.table(
        {
            "doc_id": [1, 2],
            "content": ["a", "b"],
            "year": [2024, None],
            "day": pa.array([date(2024, 2, 29), None]),
            "tags": [["x", "y"], []],
            "vector": [[0.1, 0.2], [0.3, 0.4]],
            "picture": [b"\x00", b"\x01"],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [
        Document("1", "a", metadata={"year": 2024, "day": "2024-02-29", "tags": ["x", "y"]}),
        Document("2", "b", metadata={"tags": []}),
    ]
    assert count_items(open_source(str(tmp_path / "a.parquet"))) == 2


def test_parquet_of_the_wrong_schema_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"price": [1.5], "picture": [b""]}), tmp_path / "a.parquet")
    item = failure(tmp_path / "a.parquet")
    assert item.code == "wrong_schema"
    assert "columns: price" in item.message


def test_a_damaged_parquet_file_is_named_and_counted_as_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", b"PAR1 nonsense PAR1")
    assert failure(path).code == "damaged"
    assert count_items(open_source(str(path))) == 1


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    item = failure(write(tmp_path / "a.csv", b"id,text\n1,a\n"), columns={"title": "Titel"})
    assert item.code == "wrong_schema"
    assert "'Titel' (for title); columns: id, text" in item.message


def test_a_role_that_documents_do_not_have_is_refused() -> None:
    with pytest.raises(InvalidSource, match="'texts'"):
        open_source("python", SourceOptions(columns={"texts": "a"}))


# --- together ------------------------------------------------------------------------------------


@linux
def test_every_bad_file_is_named_and_the_rest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "Sandbox", partial(Sandbox, SandboxLimits(memory_mib=512)))
    write(tmp_path / "a.pdf", b"no PDF")
    write(tmp_path / "b.docx", docx(("Normal", "x"), padding=300 * 2**20))
    write(tmp_path / "c.csv", b",".join(b"c%d" % n for n in range(1_000_000)))
    write(tmp_path / "d.html", b"<div>" * 100_000 + b"<p>Deep down.</p>")
    write(tmp_path / "e.pdf", pdf(["x"], stream=b"BT (a) Tj ET" + b" " * 2**29))
    pq.write_table(pa.table({"price": [1.5]}), tmp_path / "f.parquet")
    write(tmp_path / "g.pdf", pdf(["Fine."]))
    items = read(tmp_path)
    failures = {Path(item.source).name: item.code for item in items if isinstance(item, Failure)}
    assert failures.pop("e.pdf") in {"parser_died", "too_complex"}
    assert failures == {
        "a.pdf": "damaged",
        "b.docx": "too_large",
        "c.csv": "wrong_schema",
        "f.parquet": "wrong_schema",
    }
    found = {item.id: item for item in items if isinstance(item, Document)}
    assert list(found) == ["d.html", "g.pdf"]
    assert [text for _, _, text in chunks_of(found["d.html"])] == ["Deep down."]


def test_files_that_are_no_pages_keep_their_suffix_in_the_address(tmp_path: Path) -> None:
    write(tmp_path / "a b.pdf", pdf(["Text."]))
    assert document(tmp_path, base_url="https://x.org/").url == "https://x.org/a%20b.pdf"
