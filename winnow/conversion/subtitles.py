"""Converts SRT and WebVTT to canonical text."""

from __future__ import annotations

import html
import re
from typing import Final

from winnow.conversion.converted import Converted, joined_lines

_CUE: Final = re.compile(r"\s*(?:\d+:)?\d+:\d+[.,]\d+\s*-->")
_VOICE: Final = re.compile(r"<v(?:\.[^\s>]*)?\s+([^<>]{1,100})>")
_TAG: Final = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")


def convert_subtitles(text: str) -> Converted:
    """SRT and WebVTT: the words and who says them, without numbers, times and markup.

    A line that repeats the one before is left out.
    """
    said: list[str] = []
    is_cue = False
    lines = text.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if _CUE.match(line) or not line.strip():
            is_cue = bool(line.strip())
        elif is_cue and not (line.strip().isdigit() and _CUE.match(following)):
            spoken = " ".join(html.unescape(_TAG.sub("", _VOICE.sub(r"\1: ", line))).split())
            if spoken and (not said or said[-1] != spoken):
                said.append(spoken)
    return Converted(joined_lines("\n".join(said)))
