"""Web origins as browsers send them (RFC 6454): scheme, host, and a port that is not the scheme's own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_ORIGIN: Final = re.compile(r"https?://[a-z0-9.\[\]:_-]+(?::\d{1,5})?")


def wrong_origin(origins: Iterable[str]) -> str | None:
    """What is wrong with the first that no browser would send, such as one with a slash at its end; else ``None``."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            return f"invalid origin {origin[:80]!r}: use scheme and host as browsers send them: https://www.example.com"
    return None
