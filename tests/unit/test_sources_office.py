"""Office files, books, mail, notebooks and light markup as sources: one document each, or a failure with a name."""

from __future__ import annotations

import io
import json
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from indexer.sources.build import open_source
from tests.files import docx, msg, pdf, write
from tests.sources import read_all
from winnow.core.types import Document
from winnow.ports.source import Failure

CORE = (
    "<cp:coreProperties xmlns:cp='http://schemas.openxmlformats.org/package/2006/metadata/core-properties' "
    "xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:title>{title}</dc:title></cp:coreProperties>"
)
A = "xmlns:a='http://schemas.openxmlformats.org/drawingml/2006/main'"
P = "xmlns:p='http://schemas.openxmlformats.org/presentationml/2006/main'"
R = "xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships'"
RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def archive(parts: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return out.getvalue()


def relations(*targets: tuple[str, str, str]) -> str:
    rows = "".join(f"<Relationship Id='{id_}' Type='{RELATED}/{kind}' Target='{to}'/>" for id_, kind, to in targets)
    return f"<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>{rows}</Relationships>"


def shape(kind: str, *lines: str) -> str:
    paragraphs = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in lines)
    place = f"<p:nvPr><p:ph type='{kind}'/></p:nvPr>"
    return f"<p:sp><p:nvSpPr><p:cNvPr id='1' name='x'/>{place}</p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"


def slide(*shapes: str) -> str:
    return f"<p:sld {P} {A}><p:cSld><p:spTree>{''.join(shapes)}</p:spTree></p:cSld></p:sld>"


def pptx() -> bytes:
    return archive(
        {
            "docProps/core.xml": CORE.format(title="Mills 2026"),
            "ppt/presentation.xml": f"<p:presentation {P} {R}><p:sldIdLst><p:sldId id='1' r:id='r2'/>"
            f"<p:sldId id='2' r:id='r1'/></p:sldIdLst></p:presentation>",
            "ppt/_rels/presentation.xml.rels": relations(
                ("r1", "slide", "slides/slide1.xml"), ("r2", "slide", "slides/slide2.xml")
            ),
            "ppt/slides/slide1.xml": slide(shape("title", "Stones"), shape("body", "Granite"), shape("sldNum", "2")),
            "ppt/slides/slide2.xml": slide(shape("ctrTitle", "Mills"), shape("body", "One", "Two")),
            "ppt/slides/_rels/slide1.xml.rels": relations(("n", "notesSlide", "../notesSlides/notesSlide1.xml")),
            "ppt/notesSlides/notesSlide1.xml": slide(shape("body", "Say it slowly.")),
        }
    )


def xlsx() -> bytes:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    cells = (
        "<row r='1'><c r='A1' t='inlineStr'><is><t>Crop</t></is></c>"
        "<c r='B1' t='inlineStr'><is><t>Tons</t></is></c></row>"
        "<row r='3'><c r='A3' t='inlineStr'><is><t>Rye</t></is></c><c r='B3'><v>5</v></c></row>"
    )
    return archive(
        {
            "[Content_Types].xml": "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>",
            "_rels/.rels": relations(("w", "officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f"<workbook xmlns='{main}' {R}><sheets><sheet name='Harvest' sheetId='1' r:id='s'/>"
            "</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": relations(("s", "worksheet", "worksheets/sheet1.xml")),
            "xl/worksheets/sheet1.xml": f"<worksheet xmlns='{main}'><sheetData>{cells}</sheetData></worksheet>",
        }
    )


def odt() -> bytes:
    names = " ".join(
        f"xmlns:{name}='urn:oasis:names:tc:opendocument:xmlns:{name}:1.0'" for name in ("office", "text", "table")
    )
    body = (
        "<text:h text:outline-level='2'>Stones</text:h><text:p>They<text:s/>grind <text:span>well</text:span>.</text:p>"
        "<text:list><text:list-item><text:p>One</text:p></text:list-item></text:list>"
        "<table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>"
        "<table:table-cell><text:p>b</text:p></table:table-cell></table:table-row></table:table>"
    )
    content = f"<office:body><office:text>{body}</office:text></office:body>"
    return archive({"content.xml": f"<office:document-content {names}>{content}</office:document-content>"})


def epub() -> bytes:
    items = "".join(f"<item id='c{n}' href='c%20{n}.xhtml' media-type='application/xhtml+xml'/>" for n in (1, 2))
    return archive(
        {
            "META-INF/container.xml": "<container xmlns='urn:oasis:names:tc:opendocument:xmlns:container'><rootfiles>"
            "<rootfile full-path='OEBPS/book.opf'/></rootfiles></container>",
            "OEBPS/book.opf": "<package xmlns='http://www.idpf.org/2007/opf'><metadata "
            "xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:title>The Mill</dc:title></metadata>"
            f"<manifest>{items}</manifest><spine><itemref idref='c2'/><itemref idref='c1'/></spine></package>",
            "OEBPS/c 1.xhtml": "<html><body><h1>Second</h1><p>Later.</p></body></html>",
            "OEBPS/c 2.xhtml": "<html><body><h1>First</h1><p>Sooner.</p><footer>A note.</footer></body></html>",
        }
    )


def eml() -> bytes:
    message = EmailMessage()
    message["Subject"] = "Harvest – Ernte"
    message["From"] = "ada@example.org"
    message.set_content("The rye is in.")
    message.add_attachment(pdf(["Weights."]), maintype="application", subtype="pdf", filename="w.pdf")
    message.add_attachment(b"\x00", maintype="image", subtype="png", filename="p.png")
    return message.as_bytes()


def ipynb() -> bytes:
    cells = [
        {"cell_type": "markdown", "source": ["# Mills\n", "\n", "They **grind**."]},
        {"cell_type": "code", "source": "print(1)", "outputs": [{"output_type": "stream", "text": ["1\n"]}]},
    ]
    return json.dumps({"cells": cells, "metadata": {"language_info": {"name": "python"}}}).encode()


RST = b"""Mills
=====

They :ref:`grind <grinding>` **well**::

    run()

.. code-block:: py
   :linenos:

   stop()

.. note:: Mind it.

Stones
------

* ``granite``
"""

GOOD = {
    "a.pptx": (
        pptx(),
        "Mills 2026",
        "## Mills\n\n- One\n- Two\n\n## Stones\n\nGranite\n\nSay it slowly.",
        [(0, "slide", 1), (23, "slide", 2)],
    ),
    "a.xlsx": (
        xlsx(),
        "a",
        "# Harvest\n\n| Crop | Tons |\n| --- | --- |\n| Rye | 5 |",
        [(0, "sheet", "Harvest"), (11, "row", 1), (41, "row", 3)],
    ),
    "a.odt": (odt(), "Stones", "## Stones\n\nThey grind well.\n\n- One\n\n| a | b |\n| --- | --- |", []),
    "a.epub": (epub(), "The Mill", "# First\n\nSooner.\n\nA note.\n\n# Second\n\nLater.", []),
    "a.eml": (eml(), "Harvest – Ernte", "The rye is in.\n\n## w.pdf\n\nWeights.", []),
    "a.msg": (
        msg("Harvest – Ernte", "The rye is in.\r\n", [("w.pdf", pdf(["Weights."]))]),
        "Harvest – Ernte",
        "The rye is in.\n\n## w.pdf\n\nWeights.",
        [],
    ),
    "b.msg": (msg("Rye", "", html=b"<p>The <b>rye</b> is in.</p>"), "Rye", "The rye is in.", []),
    "a.rtf": (
        rb"{\rtf1\ansi {\info{\title Mills}} Gr\'fcn \u8211? wheat.\par Next.}",
        "Mills",
        "Grün – wheat.\n\nNext.",
        [],
    ),
    "a.ipynb": (ipynb(), "Mills", "# Mills\n\nThey grind.\n\n```python\nprint(1)\n```\n\n```\n1\n```", []),
    "a.rst": (
        RST,
        "Mills",
        "# Mills\n\nThey grind well:\n\n```\nrun()\n```\n\n```py\nstop()\n```\n\nMind it.\n\n## Stones\n\n- granite",
        [],
    ),
    "a.adoc": (
        b"= Mills\n:toc:\n\nThey *grind*.\n\n[source,py]\n----\nrun()\n----\n\n== Stones\n\n* granite",
        "Mills",
        "# Mills\n\nThey grind.\n\n```py\nrun()\n```\n\n## Stones\n\n- granite",
        [],
    ),
    "a.org": (
        b"#+TITLE: Mills\n* TODO Stones :tag:\nSee [[https://x.org][the page]].\n#+BEGIN_SRC sh\nrun\n#+END_SRC\n",
        "Mills",
        "# Stones\n\nSee the page.\n\n```sh\nrun\n```",
        [],
    ),
    "a.srt": (
        b"1\n00:00:01,000 --> 00:00:02,000\n<i>Rye</i>\n\n2\n00:00:02,000 --> 00:00:03,000\nis in.\n",
        "a",
        "Rye is in.",
        [],
    ),
    "a.vtt": (b"WEBVTT\n\n00:01.000 --> 00:02.000\nRye\n\n00:02.000 --> 00:03.000\nRye\n", "a", "Rye", []),
}


def read(path: Path) -> Document | Failure:
    (item,) = read_all(open_source(str(path)))
    return item


@pytest.mark.parametrize("name", GOOD)
def test_a_file_is_read_with_its_title_and_structure(tmp_path: Path, name: str) -> None:
    content, title, text, marks = GOOD[name]
    item = read(write(tmp_path / name, content))
    assert isinstance(item, Document), item
    assert (item.title, item.text) == (title, text)
    assert [tuple(mark) for mark in item.marks] == marks


def test_an_attachment_that_cannot_be_read_is_a_warning(tmp_path: Path) -> None:
    item = read(write(tmp_path / "a.eml", eml()))
    assert isinstance(item, Document)
    assert [(warning.code, "p.png" in warning.message) for warning in item.warnings] == [("attachment_left_out", True)]
    assert item.metadata["from"] == "ada@example.org"


def test_a_message_of_outlook_names_its_people_and_what_was_left_out(tmp_path: Path) -> None:
    attached = [("n.txt", b"Notes."), ("inner.msg", None), ("p.png", b"\x00"), ("Old.msg", b"\x00")]
    item = read(write(tmp_path / "a.msg", msg("Rye", "It is in.", attached, sender="Ada Lovelace")))
    assert isinstance(item, Document)
    assert item.text == "It is in.\n\n## n.txt\n\nNotes."
    assert item.metadata == {"from": "Ada Lovelace"}
    assert [warning.message.split("'")[1] for warning in item.warnings] == ["inner.msg", "p.png", "Old.msg"]


@pytest.mark.parametrize(
    "suffix", [".pdf", ".docx", ".pptx", ".xlsx", ".ods", ".odt", ".epub", ".rtf", ".msg", ".ipynb"]
)
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04broken", b"\xd0\xcf\x11\xe0 old"])
def test_a_broken_file_is_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    item = read(write(tmp_path / f"a{suffix}", content))
    assert isinstance(item, Failure)
    assert item.code in {"empty", "damaged", "encrypted"}
    assert item.document_id == f"a{suffix}"


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".xlsx", ".odt", ".epub"])
def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, suffix: str) -> None:
    item = read(write(tmp_path / f"a{suffix}", docx(("Normal", "x"), padding=300 * 2**20)))
    assert isinstance(item, Failure)
    assert item.code == "too_large"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pptx", archive({"ppt/presentation.xml": f"<p:presentation {P}/>"})),
        ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\n"),
        ("a.ipynb", b'{"cells": []}'),
        ("a.eml", b"Subject: nothing\n\n"),
        ("a.msg", msg("nothing", "")),
        ("a.rtf", rb"{\rtf1 }"),
    ],
)
def test_a_file_without_text_is_a_failure(tmp_path: Path, name: str, content: bytes) -> None:
    item = read(write(tmp_path / name, content))
    assert isinstance(item, Failure)
    assert item.code == "no_text"
