"""Files of a kind that is read, written in a way that is seldom: books, messages, tables, notebooks."""

from __future__ import annotations

import io
import json
import zipfile
from email.message import EmailMessage
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.sources import csv, epub, mail, parquet
from winnow.conversion.notebook import convert_notebook

MANY = 1_000_000


def read_mail(message: EmailMessage | bytes) -> dict[str, Any]:
    data = message if isinstance(message, bytes) else message.as_bytes()
    (found,) = mail.parse(io.BytesIO(data), max_chars=MANY)
    return found


def message_with(subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message.set_content(text)
    return message


def test_messages_inside_of_a_message_are_read_with_their_attachments() -> None:
    inner = message_with("Inner", "The inner text.")
    inner.add_attachment(b"a;b\n1;2\n", maintype="text", subtype="csv", filename="t.csv")
    outer = message_with("Outer", "See below.")
    outer.add_attachment(inner)
    found = read_mail(outer)
    assert found["text"].split("\n\n") == [
        *("See below.", "## Inner", "The inner text.", "## t.csv"),
        "| a | b |\n| --- | --- |\n| 1 | 2 |",
    ]
    assert found["warnings"] == []


def test_messages_inside_of_each_other_end_somewhere_and_say_so() -> None:
    message = message_with("0", "the deepest")
    for number in range(1, 6):
        outer = message_with(str(number), f"text {number}")
        outer.add_attachment(message)
        message = outer
    found = read_mail(message)
    assert "text 2" in found["text"]
    assert "text 1" not in found["text"]
    assert [warning["code"] for warning in found["warnings"]] == ["attachment_left_out"]


def test_a_part_without_a_name_is_read_by_its_media_type() -> None:
    message = message_with("Parts", "One.")
    message.add_attachment("Two, of a mailing list.", disposition="inline")
    message.add_attachment(b"<p>Three</p>", maintype="text", subtype="html", filename="page")
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="p.png")
    found = read_mail(message)
    assert found["text"] == "One.\n\nTwo, of a mailing list.\n\n## page\n\nThree"
    assert ["p.png" in warning["message"] for warning in found["warnings"]] == [True]


def test_what_was_lost_of_an_attachment_is_said_of_the_message() -> None:
    message = message_with("Old", "See.")
    message.add_attachment("Grüße, schöne Straße".encode("latin-1"), maintype="text", subtype="x", filename="a.txt")
    found = read_mail(message)
    assert [(warning["code"], "a.txt" in warning["message"]) for warning in found["warnings"]] == [
        ("encoding_detected", True)
    ]


def test_flowed_lines_are_joined_and_others_are_not() -> None:
    head = b"Subject: x\r\nContent-Type: text/plain; format=flowed\r\n\r\n"
    flowed = head + b"One \r\nline.\r\nTwo.\r\n-- \r\nSig \r\n> quoted \r\n> so\r\n"
    assert read_mail(flowed)["text"] == "One line.\nTwo.\n-- \nSig \n> quoted \n> so"
    assert "One \nline." in read_mail(flowed.replace(b"; format=flowed", b""))["text"]


def book(chapters: dict[str, str], spine: list[str], **properties: str) -> io.BytesIO:
    data = io.BytesIO()
    items = "".join(
        f'<item id="{name}" href="{name}" media-type="text/html" properties="{properties.get(name, "")}"/>'
        for name in chapters
    )
    package = f"""<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
      <dc:title>Grain</dc:title></metadata><manifest>{items}</manifest>
      <spine>{"".join(f'<itemref idref="{name}"/>' for name in spine)}</spine></package>"""
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="o/p.opf"/></rootfiles></container>',
        )
        archive.writestr("o/p.opf", package)
        for name, body in chapters.items():
            archive.writestr(f"o/{name}", f"<html><body>{body}</body></html>")
    return data


def test_a_book_is_read_in_the_order_of_its_spine_without_its_table_of_contents() -> None:
    chapters = {"b": '<h1 id="h">Two</h1>b', "a": '<h1 id="h">One</h1>a', "n": "<nav><ol><li>One</li></ol></nav>"}
    (found,) = epub.parse(book(chapters, ["n", "a", "missing", "b"], n="nav scripted"), max_chars=MANY)
    assert (found["title"], found["text"]) == ("Grain", "# One\n\na\n\n# Two\n\nb")


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ("\n\nid,text\n1,after blank lines\n", {"id": "1", "text": "after blank lines"}),
        ("sep=;\nid;text\n1;a, b\n", {"id": "1", "text": "a, b"}),
        ('id, text\n1, "a, b"\n', {"id": "1", "text": "a, b"}),
        ("id,text\n1,  two spaces\n", {"id": "1", "text": "  two spaces"}),
        ("id,text\r1,mac\r", {"id": "1", "text": "mac"}),
    ],
)
def test_tables_of_other_programs(data: str, values: dict[str, str]) -> None:
    head, row = csv.parse(io.BytesIO(data.encode()))
    assert head["columns"] == ["id", "text"]
    assert row["values"] == values


def test_fields_of_structures_are_columns_and_bytes_that_are_text_are_text() -> None:
    table = pa.table(
        {
            "text": pa.array([None, "wheat é".encode()], pa.binary()),
            "image": pa.array([b"\x89PNG\x00", b"\xff"], pa.binary()),
            "by": [{"name": "Ann", "of": {"year": 2024}, "raw": b"x"}, None],
            "points": [[1.5], None],
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file)
    head, one, two = parquet.parse(file)
    assert sorted(head["columns"]) == ["by.name", "by.of.year", "by.raw", "text"]
    assert one["values"] == {"by.name": "Ann", "by.of.year": 2024, "by.raw": "x"}
    assert two["values"] == {"text": "wheat é"}


def notebook(cells: list[dict[str, Any]], **metadata: Any) -> str:
    return json.dumps({"cells": cells, "metadata": metadata})


def test_what_a_notebook_printed_has_no_colours_and_errors_are_kept() -> None:
    outputs = [
        {"output_type": "stream", "text": ["\x1b[32mgreen\x1b[0m\n"]},
        {"output_type": "error", "ename": "ValueError", "evalue": "bad", "traceback": ["\x1b[0;31m…"]},
        {"output_type": "display_data", "data": {"text/markdown": "shown"}},
    ]
    cells = [{"cell_type": "code", "source": "x", "outputs": outputs}]
    found = convert_notebook(notebook(cells, kernelspec={"language": "R"}, title="Of R"))
    assert found.title == "Of R"
    assert found.text == "```R\nx\n```\n\n```\ngreen\n```\n\n```\nValueError: bad\n```\n\n```\nshown\n```"


def test_a_notebook_of_version_3_is_read() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Head"]},
        {"cell_type": "code", "input": "y = 2", "outputs": [{"text": "2"}]},
    ]
    found = convert_notebook(json.dumps({"worksheets": [{"cells": cells}], "nbformat": 3}))
    assert (found.title, found.text) == ("Head", "## Head\n\n```\ny = 2\n```\n\n```\n2\n```")


@pytest.mark.parametrize("text", ["[]", "{}", '{"cells": [1]}', '{"cells": {}}', '{"worksheets": [{}]}', "3"])
def test_what_is_not_a_notebook_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="notebook"):
        convert_notebook(text)


def test_chapters_that_are_missing_are_named() -> None:
    chapters = {"a": "text", "b": "more"}
    whole = zipfile.ZipFile(book(chapters, ["a", "b"]))
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in whole.namelist():
            if name != "o/b":
                archive.writestr(name, whole.read(name))
    (found,) = epub.parse(data, max_chars=MANY)
    assert found["text"] == "text"
    assert [(each["code"], "'b'" in each["message"], each["count"]) for each in found["warnings"]] == [
        ("chapters_left_out", True, 1)
    ]
