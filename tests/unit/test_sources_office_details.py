"""Office files are read as their author wrote them: headings of own styles, formulas, notes, and nothing deleted."""

from __future__ import annotations

import io
from typing import Any

import pytest

from indexer.sources import docx, opendocument, rtf, slides, spreadsheet
from tests.unit.test_sources_office import archive, relations

TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
WORD = (
    "xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main' "
    "xmlns:m='http://schemas.openxmlformats.org/officeDocument/2006/math'"
)
OPEN = " ".join(
    f"xmlns:{short}='urn:oasis:names:tc:opendocument:xmlns:{name}:1.0'"
    for short, name in (
        ("office", "office"),
        ("text", "text"),
        ("table", "table"),
        ("draw", "drawing"),
        ("style", "style"),
    )
)
SLIDE = (
    "xmlns:a='http://schemas.openxmlformats.org/drawingml/2006/main' "
    "xmlns:p='http://schemas.openxmlformats.org/presentationml/2006/main' "
    "xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships' "
    "xmlns:m='http://schemas.openxmlformats.org/officeDocument/2006/math' "
    "xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006' "
    "xmlns:dgm='http://schemas.openxmlformats.org/drawingml/2006/diagram'"
)
STYLES = (
    "<w:style w:type='paragraph' w:styleId='Heading2'><w:name w:val='heading 2'/></w:style>"
    "<w:style w:type='paragraph' w:styleId='Kapitel'><w:name w:val='Kapitel'/><w:basedOn w:val='Heading2'/></w:style>"
    "<w:style w:type='paragraph' w:styleId='Deep'><w:name w:val='Deep'/><w:basedOn w:val='Kapitel'/></w:style>"
    "<w:style w:type='paragraph' w:styleId='Own'><w:name w:val='Own'/>"
    "<w:pPr><w:outlineLvl w:val='2'/></w:pPr></w:style>"
    "<w:style w:type='paragraph' w:styleId='Ring'><w:name w:val='Ring'/><w:basedOn w:val='Ring'/></w:style>"
)


def read(module: Any, content: bytes, **options: Any) -> dict[str, Any]:
    (record,) = module.parse(io.BytesIO(content), max_chars=100_000, **options)
    return dict(record)


def word(body: str, **parts: str) -> bytes:
    return archive(
        {
            "_rels/.rels": relations(("r1", "officeDocument", "word/document.xml")),
            "word/document.xml": f"<w:document {WORD}><w:body>{body}</w:body></w:document>",
            "word/styles.xml": f"<w:styles {WORD}>{STYLES}</w:styles>",
            "word/_rels/document.xml.rels": relations(
                ("s", "styles", "styles.xml"), *((name, name, f"{name}.xml") for name in parts)
            ),
            **{f"word/{name}.xml": f"<w:{name} {WORD}>{content}</w:{name}>" for name, content in parts.items()},
        }
    )


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space='preserve'>{text}</w:t></w:r></w:p>"


@pytest.mark.parametrize(
    ("properties", "line"),
    [
        ("<w:pStyle w:val='Kapitel'/>", "## Resins"),
        ("<w:pStyle w:val='Deep'/>", "## Resins"),
        ("<w:pStyle w:val='Own'/>", "### Resins"),
        ("<w:outlineLvl w:val='0'/>", "# Resins"),
        ("<w:pStyle w:val='Kapitel'/><w:outlineLvl w:val='9'/>", "Resins"),
        ("<w:pStyle w:val='Ring'/>", "Resins"),
    ],
)
def test_the_outline_level_makes_a_heading_whatever_the_style_is_called(properties: str, line: str) -> None:
    assert read(docx, word(paragraph("Resins", properties) + paragraph("Amber")))["text"] == f"{line}\n\nAmber"


def math(inner: str) -> str:
    return f"<m:oMath>{inner}</m:oMath>"


def signs(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (signs("E=m") + f"<m:sSup><m:e>{signs('c')}</m:e><m:sup>{signs('2')}</m:sup></m:sSup>", "E=mc^2"),
        (f"<m:f><m:num>{signs('a+b')}</m:num><m:den>{signs('c')}</m:den></m:f>", "(a+b)/c"),
        (f"<m:rad><m:e>{signs('2')}</m:e></m:rad>", "√(2)"),
        (f"<m:d><m:e>{signs('x')}</m:e><m:e>{signs('y')}</m:e></m:d>", "(x, y)"),
        (f"<m:nary><m:sub>{signs('0')}</m:sub><m:sup>{signs('1')}</m:sup><m:e>{signs('f')}</m:e></m:nary>", "∫_0^1 f"),
        (f"<m:m><m:mr><m:e>{signs('1')}</m:e><m:e>{signs('2')}</m:e></m:mr></m:m>", "1, 2"),
    ],
)
def test_formulas_of_word_are_text(formula: str, text: str) -> None:
    inline = f"<w:p><w:r><w:t xml:space='preserve'>Say </w:t></w:r>{math(formula)}<w:r><w:t>!</w:t></w:r></w:p>"
    block = f"<w:p><m:oMathPara>{math(formula)}</m:oMathPara></w:p>"
    assert read(docx, word(inline + block))["text"] == f"Say {text}!\n\n{text}"


def test_what_was_deleted_or_commented_in_word_is_not_read_and_notes_are() -> None:
    body = (
        "<w:p><w:r><w:t>Amber</w:t></w:r><w:del><w:r><w:delText>copal</w:delText></w:r></w:del>"
        "<w:moveFrom><w:r><w:t>shellac</w:t></w:r></w:moveFrom><w:ins><w:r><w:t> glows</w:t></w:r></w:ins>"
        "<w:r><w:footnoteReference w:id='1'/></w:r><w:r><w:commentReference w:id='0'/></w:r></w:p>"
    )
    notes = f"<w:footnote w:id='1'>{paragraph('In the sun.')}</w:footnote>"
    comments = f"<w:comment w:id='0'>{paragraph('Really?')}</w:comment>"
    assert read(docx, word(body, footnotes=notes, comments=comments))["text"] == "Amber glows[1]\n\n1. In the sun."


def test_a_text_box_without_a_second_form_is_read() -> None:
    box = f"<w:r><w:drawing><w:txbxContent>{paragraph('Inside')}</w:txbxContent></w:drawing></w:r>"
    assert read(docx, word(f"<w:p>{box}</w:p>{paragraph('Below')}"))["text"] == "Inside\n\nBelow"


def open_text(body: str, **parts: str) -> bytes:
    content = (
        f"<office:document-content {OPEN}><office:automatic-styles>"
        "<style:style style:name='P1' style:parent-style-name='Title'/></office:automatic-styles>"
        f"<office:body><office:text>{body}</office:text></office:body></office:document-content>"
    )
    return archive({"content.xml": content, **parts})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            "<text:list><text:list-item><text:h text:outline-level='2'>One</text:h></text:list-item></text:list>",
            "## One",
        ),
        (
            (
                "<text:p>Amber<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>In the sun."
                "</text:p></text:note-body></text:note> glows.</text:p>"
            ),
            "Amber glows.\n\nIn the sun.",
        ),
        ("<text:p>Am<office:annotation><text:p>Really?</text:p></office:annotation>ber</text:p>", "Amber"),
        ("<text:tracked-changes><text:p>copal</text:p></text:tracked-changes><text:p>Amber</text:p>", "Amber"),
        ("<draw:frame><draw:text-box><text:p>Box</text:p></draw:text-box></draw:frame>", "Box"),
        ("<text:p>A<draw:frame><draw:text-box><text:p>Box</text:p></draw:text-box></draw:frame></text:p>", "A\n\nBox"),
        (
            (
                "<text:list><text:list-item><text:p>a</text:p><text:list><text:list-item><text:p>b</text:p>"
                "</text:list-item></text:list></text:list-item></text:list>"
            ),
            "- a\n  - b",
        ),
        (
            (
                "<table:table><table:table-row><table:table-cell><text:p>a<text:note><text:note-body><text:p>Note"
                "</text:p></text:note-body></text:note></text:p></table:table-cell></table:table-row></table:table>"
            ),
            "| a |\n| --- |\n\nNote",
        ),
    ],
)
def test_open_documents_keep_notes_boxes_and_levels_but_no_comments(body: str, text: str) -> None:
    assert read(opendocument, open_text(body))["text"] == text


def test_the_title_of_an_open_document_may_have_its_style_and_formulas_are_text() -> None:
    link = "xmlns:x='http://www.w3.org/1999/xlink' x:href='./Object 1'"
    body = f"<text:p text:style-name='P1'>Resins</text:p><text:h>One</text:h><text:p><draw:object {link}/></text:p>"
    formula = (
        "<math xmlns='http://www.w3.org/1998/Math/MathML'><semantics><mi>a</mi>"
        "<annotation encoding='StarMath 5.0'>a = b</annotation></semantics></math>"
    )
    found = read(opendocument, open_text(body, **{"Object 1/content.xml": formula}))
    assert (found["title"], found["text"]) == ("Resins", "Resins\n\n# One\n\na = b")


def test_formulas_and_diagrams_of_slides_are_read() -> None:
    two_forms = (
        f"<mc:AlternateContent><mc:Choice>{math(signs('x=1'))}</mc:Choice>"
        "<mc:Fallback><a:r><a:t>picture</a:t></a:r></mc:Fallback></mc:AlternateContent>"
    )
    text = f"<a:p><a:r><a:t>Say </a:t></a:r>{two_forms}</a:p>"
    shape = f"<p:grpSp><p:sp><p:txBody>{text}</p:txBody></p:sp></p:grpSp>"
    made = archive(
        {
            "ppt/presentation.xml": f"<p:presentation {SLIDE}><p:sldId r:id='r1'/></p:presentation>",
            "ppt/_rels/presentation.xml.rels": relations(("r1", "slide", "slides/slide1.xml")),
            "ppt/slides/slide1.xml": f"<p:sld {SLIDE}>{shape}</p:sld>",
            "ppt/slides/_rels/slide1.xml.rels": relations(("d", "diagramData", "../diagrams/data1.xml")),
            "ppt/diagrams/data1.xml": f"<dgm:dataModel {SLIDE}><dgm:t><a:p><a:r><a:t>Grain</a:t></a:r></a:p></dgm:t>"
            "</dgm:dataModel>",
        }
    )
    assert read(slides, made)["text"] == "## Slide 1\n\nSay x=1\n\nGrain"


def test_headings_notes_and_the_title_of_rtf_are_read_and_deletions_are_not() -> None:
    content = (
        rb"{\rtf1\ansi\ansicpg1252{\stylesheet{\s1\outlinelevel0 heading 1;}}{\info{\title \'dcber Harz}}"
        rb"\pard\s1\outlinelevel1 Bernstein\par\pard Gl\'fcht{\deleted  nie}{\v  geheim}.{\footnote In der Sonne.}\par}"
    )
    found = read(rtf, content)
    assert (found["title"], found["text"]) == ("Über Harz", "## Bernstein\n\nGlüht.\n\nIn der Sonne.")


def test_merged_cells_are_said_in_each_row_and_hidden_sheets_are_named() -> None:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"

    def sheet(*rows: str, merged: str = "") -> str:
        cells = "".join(f"<row r='{number}'>{row}</row>" for number, row in enumerate(rows, 1))
        return f"<worksheet xmlns='{main}'><sheetData>{cells}</sheetData>{merged}</worksheet>"

    def cell(place: str, text: str) -> str:
        return f"<c r='{place}' t='inlineStr'><is><t>{text}</t></is></c>"

    book = (
        f"<workbook xmlns='{main}' xmlns:r='{'http://schemas.openxmlformats.org/officeDocument/2006/relationships'}'>"
        "<sheets><sheet name='Shown' sheetId='1' r:id='r1'/>"
        "<sheet name='Secret' sheetId='2' state='hidden' r:id='r2'/></sheets></workbook>"
    )
    rows = (cell("A1", "Kind") + cell("B1", "Name"), cell("A2", "Resin") + cell("B2", "Amber"), cell("B3", "Copal"))
    made = archive(
        {
            "[Content_Types].xml": f"<Types xmlns='{TYPES}'/>",
            "_rels/.rels": relations(("w", "officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": book,
            "xl/_rels/workbook.xml.rels": relations(
                ("r1", "worksheet", "worksheets/sheet1.xml"), ("r2", "worksheet", "worksheets/sheet2.xml")
            ),
            "xl/worksheets/sheet1.xml": sheet(*rows, merged="<mergeCells><mergeCell ref='A2:A3'/></mergeCells>"),
            "xl/worksheets/sheet2.xml": sheet(cell("A1", "salaries")),
        }
    )
    found = read(spreadsheet, made, source_format="xlsx")
    assert found["text"] == "# Shown\n\n| Kind | Name |\n| --- | --- |\n| Resin | Amber |\n| Resin | Copal |"
    assert [each["code"] for each in found["warnings"]] == ["hidden_sheets"]


def test_hidden_text_is_not_read_in_any_format() -> None:
    run = "<w:r><w:rPr><w:vanish{}/></w:rPr><w:t>{}</w:t></w:r>"
    runs = run.format("", "hidden") + run.format(" w:val='false'", "shown")
    body = f"<w:p><w:r><w:t xml:space='preserve'>seen </w:t></w:r>{runs}</w:p>"
    assert read(docx, word(body))["text"] == "seen shown"
    assert read(rtf, rb"{\rtf1\ansi seen {\v hidden}shown}")["text"] == "seen shown"
    styles = (
        "<office:automatic-styles><style:style style:name='H'><style:text-properties text:display='none'/>"
        "</style:style></office:automatic-styles>"
    )
    text = "<office:text><text:p>seen <text:span text:style-name='H'>hidden</text:span>shown</text:p></office:text>"
    content = f"<office:document-content {OPEN}>{styles}<office:body>{text}</office:body></office:document-content>"
    assert read(opendocument, archive({"content.xml": content}))["text"] == "seen shown"


ROWS = "| a | b |\n| --- | --- |\n| A | 1 |\n| A | 2 |"


def test_a_cell_that_spans_rows_is_said_in_each_row_in_any_format() -> None:
    def cell(text: str, merge: str = "") -> str:
        return f"<w:tc><w:tcPr>{merge}</w:tcPr>{paragraph(text)}</w:tc>"

    rows = (
        cell("a") + cell("b"),
        cell("A", "<w:vMerge w:val='restart'/>") + cell("1"),
        cell("", "<w:vMerge/>") + cell("2"),
    )
    table = f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"
    assert read(docx, word(table))["text"] == ROWS

    def filled(text: str, spanned: str = "") -> str:
        return f"<table:table-cell {spanned}><text:p>{text}</text:p></table:table-cell>"

    spanned = "table:number-rows-spanned='2'"
    lines = (filled("a") + filled("b"), filled("A", spanned) + filled("1"), "<table:covered-table-cell/>" + filled("2"))
    table = f"<table:table>{''.join(f'<table:table-row>{line}</table:table-row>' for line in lines)}</table:table>"
    assert read(opendocument, open_text(table))["text"] == ROWS
