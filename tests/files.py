"""Small files of the formats that need a parser, made by hand."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

_NONE: Final = 0xFFFFFFFF  # in a compound file: no sector, no entry
_END: Final = 0xFFFFFFFE
_FAT: Final = 0xFFFFFFFD
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


def msg(
    subject: str, body: str, attached: Sequence[tuple[str, bytes | None]] = (), *, html: bytes = b"", sender: str = ""
) -> bytes:
    """A message of Outlook, with files that came with it; one without content is a message of its own.

    Built as [MS-OXMSG] and [MS-CFB] say, in the plainest way: the entries of a folder are a chain.
    """
    texts = {0x0037: subject, 0x1000: body, 0x0C1A: sender}
    root = _properties({key: _wide(text) for key, text in texts.items() if text} | ({0x1013: html} if html else {}), 32)
    for number, (name, data) in enumerate(attached):
        values: dict[int, bytes | tuple[str, bytes]] = {0x3707: _wide(name)} | ({} if data is None else {0x3701: data})
        root[f"__attach_version1.0_#{number:08X}"] = _properties(values, 8)
    return _compound(root)


def _wide(text: str) -> tuple[str, bytes]:
    return "001F", text.encode("utf-16-le")


def _properties(values: Mapping[int, bytes | tuple[str, bytes]], header: int) -> dict[str, Any]:
    """A folder of a message: a stream for each property, and the list of them behind a header."""
    folder: dict[str, Any] = {}
    listed = bytearray(header)
    for key, value in values.items():
        kind, data = value if isinstance(value, tuple) else ("0102", value)
        folder[f"__substg1.0_{key:04X}{kind}"] = data
        listed += struct.pack("<HHIII", int(kind, 16), key, 6, len(data), 0)
    return folder | {"__properties_version1.0": bytes(listed)}


def _compound(root: Mapping[str, Any]) -> bytes:
    """A compound file: sectors of 512 bytes, the last ones a table of which follows which, and small ones of 64."""
    entries: list[list[Any]] = [["Root Entry", 5, _NONE, _NONE, b""]]  # name, kind, next, first child, content
    _add_entries(entries, 0, root)
    sectors, following, directory = bytearray(), list[int](), bytearray()
    small, small_following = bytearray(), list[int]()
    places: list[tuple[int, int]] = [(0, 0)]
    for *_, content in entries[1:]:
        is_small = len(content) < 4096
        parts = (small, small_following, content, 64) if is_small else (sectors, following, content, 512)
        places.append(_append(*parts))
    places[0] = _append(sectors, following, bytes(small), 512)
    small_first, _ = _append(sectors, following, struct.pack(f"<{len(small_following)}I", *small_following), 512, 0xFF)
    for (name, kind, after, child, _), (start, size) in zip(entries, places, strict=True):
        encoded = name.encode("utf-16-le")
        directory += encoded.ljust(64, b"\0") + struct.pack("<HBB", len(encoded) + 2, kind, 1)
        directory += struct.pack("<III", _NONE, after, child) + bytes(36) + struct.pack("<IQ", start, size)
    first, _ = _append(sectors, following, bytes(directory), 512)
    tables = -(-(len(following) + 128) // 128)  # sectors of the table itself; it may list itself with room to spare
    where = list(range(len(following), len(following) + tables))
    table = [*following, *[_FAT] * tables]
    table += [_NONE] * (tables * 128 - len(table))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack(
        "<IIIIIIIII", 0, tables, first, 0, 4096, small_first, len(small_following) // 128 + 1, _END, 0
    )
    header += struct.pack("<109I", *where, *[_NONE] * (109 - tables))
    return header + bytes(sectors) + struct.pack(f"<{len(table)}I", *table)


def _add_entries(entries: list[list[Any]], parent: int, folder: Mapping[str, Any]) -> None:
    before = None
    for name, content in folder.items():
        number = len(entries)
        is_folder = isinstance(content, dict)
        entries.append([name, 1 if is_folder else 2, _NONE, _NONE, b"" if is_folder else content])
        if before is None:
            entries[parent][3] = number
        else:
            entries[before][2] = number
        before = number
        if is_folder:
            _add_entries(entries, number, content)


def _append(sectors: bytearray, following: list[int], content: bytes, size: int, fill: int = 0) -> tuple[int, int]:
    """Write a stream in sectors of ``size``; returns its first sector and its length."""
    count = -(-len(content) // size)
    if not count:
        return _END, 0
    start = len(following)
    following += [*range(start + 1, start + count), _END]
    sectors += content.ljust(count * size, bytes([fill]))
    return start, len(content)
