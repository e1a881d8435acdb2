"""Makes anchors of Markdown headings in the way of GitHub and the common site generators."""

from __future__ import annotations

import re
from typing import Final

_CUSTOM: Final = re.compile(r"\s*\{\s*#([^\s{}]+)\s*\}\s*$")
_DROPPED: Final = re.compile(r"[^\w\- ]")


class Slugger:
    """Makes anchors that are unique within one document: ``setup``, ``setup-1``, ``setup-2``."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def slug(self, heading: str) -> str:
        """Return the anchor of ``heading``: lower case, punctuation dropped, spaces to hyphens."""
        base = _DROPPED.sub("", heading.strip().lower()).replace(" ", "-")
        anchor = base
        while anchor in self._seen:
            self._seen[base] += 1
            anchor = f"{base}-{self._seen[base]}"
        self._seen[anchor] = 0
        return anchor


def split_custom_id(heading: str) -> tuple[str, str]:
    """Split ``Title {#custom-id}`` into the title and the id; the id is empty if there is none."""
    match = _CUSTOM.search(heading[-200:])
    if match is None:
        return heading, ""
    return heading[: len(heading) - len(match[0])], match[1]
