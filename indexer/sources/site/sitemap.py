"""Parses sitemaps (https://www.sitemaps.org/protocol.html) in XML, gzip and plain text, and indexes of them."""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import Final, NamedTuple

from lxml import etree

MAX_BYTES: Final = 50 * 1024 * 1024  # of the protocol, unpacked
MAX_URLS: Final = 50_000  # of the protocol, for one file

_GZIP: Final = b"\x1f\x8b"


class Sitemap(NamedTuple):
    """The addresses that one file lists: of pages, or of other sitemaps."""

    pages: list[str]
    sitemaps: list[str]


class InvalidSitemap(ValueError):
    """The file is not a sitemap, or larger than the protocol allows."""


def parse_sitemap(data: bytes) -> Sitemap:
    """Read a sitemap or an index of sitemaps.

    Raises:
        InvalidSitemap: the file is not a sitemap, or too large.
    """
    data = _unpacked(data).lstrip()
    if not data.startswith((b"<", b"\xef\xbb\xbf")):
        lines = data[:MAX_BYTES].decode(errors="replace").splitlines()
        return Sitemap([line.strip() for line in lines if line.startswith("http")][:MAX_URLS], [])
    found = Sitemap([], [])
    try:
        for _, element in etree.iterparse(BytesIO(data), resolve_entities=False, no_network=True, huge_tree=False):
            _note(element, found)
    except etree.XMLSyntaxError as error:
        if not found.pages and not found.sitemaps:
            raise InvalidSitemap(f"not XML: {error!s:.200}") from None
    return found


def _note(element: etree._Element, found: Sitemap) -> None:
    name = etree.QName(element).localname if isinstance(element.tag, str) else ""
    if name == "loc" and element.text:
        parent = element.getparent()
        owner = etree.QName(parent).localname if parent is not None else ""
        target = {"url": found.pages, "sitemap": found.sitemaps}.get(owner)
        if target is not None:
            target.append(element.text.strip())
            if len(target) > MAX_URLS:
                raise InvalidSitemap(f"lists more than {MAX_URLS:,} addresses")
    elif name in {"url", "sitemap"}:
        element.clear()


def _unpacked(data: bytes) -> bytes:
    if data.startswith(_GZIP):
        try:
            data = zlib.decompressobj(wbits=31).decompress(data, MAX_BYTES + 1)
        except zlib.error as error:
            raise InvalidSitemap(f"not gzip: {error}") from None
    if len(data) > MAX_BYTES:
        raise InvalidSitemap(f"is larger than {MAX_BYTES // 1024 // 1024} MiB")
    return data
