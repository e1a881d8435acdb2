"""Normalises addresses of pages and tells which of them belong to the site."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Self

from yarl import URL

from winnow.core.documents import MAX_ID_CHARS
from winnow.core.errors import InvalidSource

_TRACKING: Final = re.compile(
    r"(?:utm|mtm|pk|hsa|vero|oly)_\w+|[a-z]*clid|mc_[ce]id|_ga|_gl|_hs\w+|igshid|s_cid|phpsessid|jsessionid|sessionid",
    re.IGNORECASE,
)
_SESSION: Final = re.compile(r";jsessionid=[^/?#]*", re.IGNORECASE)
_DIGITS: Final = re.compile(r"\d+")
_SCHEMES: Final = frozenset({"http", "https"})
_NO_PAGES: Final = frozenset(
    """7z aac avi avif bin bmp bz2 css csv dmg doc eot epub exe flac gif gz ico ics iso jar jpeg jpg js json jsonl m4a
    m4v map mjs mkv mov mp3 mp4 mpeg msi ogg ogv otf parquet png ppt pptx rar rpm rss svg tar tgz tif tiff ttf wasm wav
    webm webmanifest webp whl woff woff2 xls xlsx xml xz zip zst""".split()
)


def normalise(href: str, base: str = "") -> str:
    """The normalised address; empty for other schemes and for invalid or overlong addresses.

    Fragments, tracking parameters, session ids and default ports are dropped, ``..`` is resolved; the rest of
    the query stays as written.
    (``courlan`` also drops parameters that carry meaning, such as ``?keyword=`` and ``?uid=``.)
    """
    try:
        url = URL(href.strip())
        url = (URL(base).join(url) if base else url).with_fragment(None)
        if url.scheme not in _SCHEMES or not url.host or url.user is not None:
            return ""
        kept = [part for part in url.raw_query_string.split("&") if not _TRACKING.fullmatch(part.partition("=")[0])]
        bare = url.with_path(_SESSION.sub("", url.raw_path) or "/", encoded=True)
        text = "?".join(filter(None, [str(bare), "&".join(filter(None, kept))]))
    except (ValueError, TypeError):
        return ""
    return "" if len(text) > MAX_ID_CHARS else text


def is_media(url: str) -> bool:
    """Whether an address is, by its suffix, an image, an archive or another file that is not a page."""
    return PurePosixPath(URL(url).path).suffix.lower().lstrip(".") in _NO_PAGES


def shape_of(url: str) -> str:
    """A key that generated addresses share: the address with digits made equal and without the query's values."""
    parsed = URL(url)
    return f"{_DIGITS.sub('0', parsed.path)}?{'&'.join(sorted(set(parsed.query)))}"


@dataclass(frozen=True, slots=True)
class Scope:
    """The site: one host, and the pages under one path.

    Attributes:
        origin: scheme, host and port.
        prefix: path, with ``/`` at its end.
    """

    origin: str
    prefix: str

    @classmethod
    def of(cls, start: str) -> Self:
        """The scope of a start page: ``/docs/`` and ``/docs`` are folders, ``/docs/a.html`` is in ``/docs/``.

        Raises:
            InvalidSource: ``start`` is not the address of a page.
        """
        try:
            url = URL(start)
            origin = str(url.origin())
        except ValueError as error:
            raise InvalidSource(
                f"{start!r} is not a valid address ({error}); write site:https://example.org/docs/"
            ) from None
        if url.scheme not in _SCHEMES:
            raise InvalidSource(f"{start!r} is not the address of a site; write site:https://example.org/docs/")
        path = url.path
        last = path.rpartition("/")[2]
        folder = path if path.endswith("/") else path[: -len(last)] if "." in last else path + "/"
        return cls(origin, folder or "/")

    def claim(self, url: str) -> str:
        """``url``, with the site's scheme, if it belongs to the site; else empty."""
        parsed = URL(url)
        home = URL(self.origin)
        same_host = parsed.host == home.host and (parsed.explicit_port == home.explicit_port)
        if not same_host or not f"{parsed.path.rstrip('/')}/".startswith(self.prefix):
            return ""
        return url if parsed.scheme == home.scheme else str(parsed.with_scheme(home.scheme))
