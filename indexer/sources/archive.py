"""Documents that are ZIP archives of XML: what Office files, OpenDocument and EPUB share. Runs inside the sandbox."""

from __future__ import annotations

import re
import zipfile
import zlib
from typing import IO, Final

from lxml import etree

from indexer.sources.base import ReadError

MAX_UNPACKED_BYTES: Final = 256 * 1024 * 1024

_OLE: Final = b"\xd0\xcf\x11\xe0"  # the container of encrypted documents, and of the formats before 2007
_TITLE: Final = ".//{http://purl.org/dc/elements/1.1/}title"
_NO_TITLE: Final = re.compile(
    r"(?i)(?:untitled|microsoft \w+|word document|powerpoint.presentation|document\d*)$|.*\.(?:doc|ppt|xls|od|rtf)\w?$"
)


def check_archive(file: IO[bytes]) -> zipfile.ZipFile:
    """Open the archive; ``zipfile`` unpacks no more than the declared sizes.

    Raises:
        ReadError: it is encrypted, damaged, or too large when unpacked.
    """
    file.seek(0)
    if file.read(4) == _OLE:
        message = "the file is encrypted, or in a format of before 2007; save it in the newer one without a password"
        raise ReadError("encrypted", message)
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise ReadError("damaged", f"not a readable file of its type ({error}); save it again") from None
    unpacked = sum(part.file_size for part in archive.infolist())
    if unpacked > MAX_UNPACKED_BYTES:
        size, limit = f"{unpacked / 1024 / 1024:,.0f}", MAX_UNPACKED_BYTES // 1024 // 1024
        raise ReadError("too_large", f"the file unpacks to {size} MiB, the limit is {limit}: split it")
    return archive


def read_part(archive: zipfile.ZipFile, name: str) -> bytes | None:
    """A part of the archive; ``None`` if it is missing. Raises ``ReadError`` if it cannot be unpacked."""
    try:
        return archive.read(name)
    except KeyError:
        return None
    except (zipfile.BadZipFile, OSError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ReadError("damaged", f"{name} cannot be unpacked ({error}); save the file again") from None


def read_xml(archive: zipfile.ZipFile, name: str) -> etree._Element | None:
    """A part of the archive; ``None`` if it is missing. Raises ``ReadError`` if it is not XML."""
    data = read_part(archive, name)
    if data is None:
        return None
    try:
        return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))
    except etree.XMLSyntaxError as error:
        raise ReadError("damaged", f"{name} is not XML ({error!s:.200}); save the file again") from None


def property_of(archive: zipfile.ZipFile) -> str:
    """The title among the properties of a document (``dc:title``); empty if it has none, or one that says nothing."""
    for name in ("docProps/core.xml", "meta.xml"):
        root = read_xml(archive, name)
        if root is not None:
            title = title_in(root)
            return "" if _NO_TITLE.match(title) else title
    return ""


def title_in(root: etree._Element) -> str:
    """The title of Dublin Core in the properties of a document; empty if it has none."""
    return " ".join((root.findtext(_TITLE) or "").split())
