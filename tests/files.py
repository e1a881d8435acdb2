"""Small files of the formats that need a parser, made by hand."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def pdf(*pages: Sequence[str], title: str = "", bookmarks: dict[str, int] | None = None, stream: bytes = b"") -> bytes:
    """A PDF with the lines of each page; ``bookmarks`` maps titles to page indexes, ``stream`` replaces the content."""
    objects: list[bytes] = [b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids: list[int] = []
    for lines in pages:
        shown = b" ".join(b"(%b) Tj T*" % line.replace("(", "\\(").encode() for line in lines)
        content = zlib.compress(stream or b"BT /F1 12 Tf 72 720 Td 14 TL %b ET" % shown, 9)
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream" % (len(content), content))
        objects.append(
            b"<< /Type /Page /Parent 1 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 2 0 R >> >> >>" % len(objects)
        )
        kids.append(len(objects))
    objects[0] = b"<< /Type /Pages /Count %d /Kids [%b] >>" % (len(kids), b" ".join(b"%d 0 R" % kid for kid in kids))
    outline = _outline(objects, kids, bookmarks or {})
    objects.append(b"<< /Type /Catalog /Pages 1 0 R %b >>" % outline)
    objects.append(b"<< /Title (%b) >>" % title.encode())
    return _written(objects)


def _outline(objects: list[bytes], kids: list[int], bookmarks: dict[str, int]) -> bytes:
    if not bookmarks:
        return b""
    root = len(objects) + len(bookmarks) + 1
    first = len(objects) + 1
    for position, (title, page) in enumerate(bookmarks.items()):
        after = b"/Next %d 0 R" % (first + position + 1) if position + 1 < len(bookmarks) else b""
        objects.append(
            b"<< /Title (%b) /Parent %d 0 R /Dest [%d 0 R /Fit] %b >>" % (title.encode(), root, kids[page], after)
        )
    objects.append(b"<< /First %d 0 R /Last %d 0 R /Count %d >>" % (first, root - 1, len(bookmarks)))
    return b"/Outlines %d 0 R" % root


def _written(objects: Sequence[bytes], encrypt: bytes = b"") -> bytes:
    out = bytearray(b"%PDF-1.5\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    count = len(objects)
    trailer = b"<< /Size %d /Root %d 0 R /Info %d 0 R %b >>" % (count + 1, count - 1, count, encrypt)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%btrailer %b\nstartxref\n%d\n%%%%EOF" % (count + 1, table, trailer, start)
    return bytes(out)


def locked_pdf() -> bytes:
    """A PDF that opens only with a password."""
    key = b"<" + b"00" * 32 + b">"
    locked = b"/Encrypt << /Filter /Standard /V 1 /R 2 /O %b /U %b /P -4 >> /ID [<00> <00>]" % (key, key)
    pages = b"<< /Type /Pages /Count 0 /Kids [] >>"
    return _written([pages, b"<< /Type /Catalog /Pages 1 0 R >>", b"<< >>"], locked)


def docx(*paragraphs: tuple[str, str], padding: int = 0) -> bytes:
    """A DOCX of (style, text); ``padding`` adds a part that unpacks to so many bytes."""
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{escape(text)}</w:t></w:r></w:p>'
        for style, text in paragraphs
    )
    document = f'<?xml version="1.0"?><w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", document)
        archive.writestr(
            "[Content_Types].xml", "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>"
        )
        if padding:
            archive.writestr("word/media/image1.png", bytes(padding))
    return out.getvalue()


def write(path: Path, content: bytes) -> Path:
    """Write a file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
