"""Tags, attributes and a linear search, as HTML and Markdown with components share them.

Every pattern is possessive, so that hostile text takes linear time.
"""

from __future__ import annotations

import re
from typing import Final

BRACES: Final = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]{0,2000}+\}){0,2000}+\}){0,2000}+\}"

TAG: Final = re.compile(
    rf"""<(?P<close>/?)(?P<name>[A-Za-z][\w.-]*+)(?P<attributes>(?=[\s/>])
    (?:[^<>"'{{}}]|"[^"]{{0,4000}}+"|'[^']{{0,4000}}+'|{BRACES}){{0,4000}}+)>""",
    re.VERBOSE,
)
LOOSE_TAG: Final = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z][\w.-]*+)(?P<attributes>(?:[\s/][^<>]{0,4000}+)?)>")
ATTRIBUTE: Final = re.compile(
    r"""(?<![\w-])(?P<name>[A-Za-z_][\w:-]*+)\s*=\s*(?:\{\s*)?(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|`(?P<tick>[^`]*+)`"""
    r"""|(?P<bare>[^\s"'`{}<>=]++))"""
)

DROPPED: Final = frozenset({"script", "style", "svg", "template", "noscript", "iframe", "object", "canvas", "math"})
INLINE: Final = frozenset(
    """a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q s samp small span strike
    strong sub sup time tt u var wbr""".split()
)
BLOCK: Final = frozenset(
    """address article aside blockquote body br button caption center col colgroup dd details dialog dir div dl dt
    fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li link
    main map menu meta nav ol optgroup option p picture pre search section select source summary table tbody td
    textarea tfoot th thead title tr track ul video audio area base embed img input param progress meter output
    datalist ruby rb rp rt rtc slot""".split()
)
KNOWN: Final = INLINE | BLOCK | DROPPED


class LinearSearch:
    """Searches one text again and again, and remembers which patterns do not occur again: linear time in all."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._absent: dict[str, int] = {}  # by pattern, the position before which it does not occur again

    def find(self, pattern: str, start: int, limit: int | None = None) -> re.Match[str] | None:
        """Search ``pattern``, in any case and with ``^`` and ``$`` at lines, from ``start`` to ``limit``."""
        if start < self._absent.get(pattern, 0):
            return None
        limit = len(self._text) if limit is None else min(limit, len(self._text))
        match = re.compile(pattern, re.MULTILINE | re.IGNORECASE).search(self._text, start, limit)
        if match is None:
            self._absent[pattern] = limit
        return match


def attributes_of(raw: str) -> dict[str, str]:
    """Attributes of a tag by lower-case name; the first of a name wins, as in browsers."""
    found: dict[str, str] = {}
    for match in ATTRIBUTE.finditer(raw):
        value = next((part for part in match.group("double", "single", "tick", "bare") if part is not None), "")
        found.setdefault(match["name"].lower(), value)
    return found


def match_tag(text: str, position: int) -> re.Match[str] | None:
    """Match the tag that opens at ``position``, leniently if its quotes do not match."""
    return TAG.match(text, position) or LOOSE_TAG.match(text, position)
