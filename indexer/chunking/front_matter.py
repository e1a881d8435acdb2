"""YAML front matter: the block between ``---`` lines at the top of a Markdown file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

MAX_CHARS: Final = 64 * 1024

_FRONT_MATTER: Final = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


class InvalidFrontMatter(ValueError):
    """The front matter is not a YAML mapping; the message says where and why."""


def find_front_matter(text: str) -> re.Match[str] | None:
    """Match the front matter of ``text``, with the raw YAML as group 1; ``None`` if there is none.

    A file that opens with a thematic break has no front matter: the lines between must look like ``key: value``.
    """
    if not text.startswith(("---", "\ufeff---")):
        return None
    match = _FRONT_MATTER.match(text, 0, MAX_CHARS)
    return None if match is None or (match[1].strip() and ":" not in match[1]) else match


def read_front_matter(raw: str) -> Mapping[str, Any]:
    """Parse the YAML. Keys become strings; values are whatever YAML knows.

    Raises:
        InvalidFrontMatter: it is not YAML or not a mapping.
    """
    try:
        values = yaml.safe_load(raw)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise InvalidFrontMatter(f"line {line}: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidFrontMatter(f"{type(error).__name__}: {str(error)[:200]}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InvalidFrontMatter(f"a mapping of keys to values is expected, not {type(values).__name__}")
    return {str(key): value for key, value in values.items()}
