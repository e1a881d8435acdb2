"""Front matter at the top of a Markdown file: YAML between ``---``, TOML between ``+++``, or a JSON object.

Also the headers without lines around them: ``Title: …`` of Pelican and MultiMarkdown, ``% Title`` of Pandoc.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import date, time
from typing import Any, Final, NamedTuple

import yaml

from winnow.core.types import JsonValue

MAX_CHARS: Final = 64 * 1024

_YAML: Final = re.compile(r"---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_TOML: Final = re.compile(r"\+\+\+[ \t]*\r?\n(.*?)^\+\+\+[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_JSON: Final = re.compile(r"(\{[ \t]*\r?\n.*?^\})[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_HEADER: Final = re.compile(
    r"(?=title:)((?:[a-z][\w-]*:[ \t]*\S.*\n|[ \t]+\S.*\n){1,50})(?:[ \t]*\n|\Z)", re.IGNORECASE
)
_PANDOC: Final = re.compile(r"%[ \t]+(\S.*)\n(?:%[ \t]*(.*)\n)?(?:%[ \t]*(.*)\n)?")
_BLANK: Final = re.compile(r"\ufeff?(?:[ \t]*\r?\n)*\ufeff?")
_LINE: Final = re.compile(r"^([A-Za-z][\w-]*)[ \t]*:[ \t]+([^\s|>&*{].*?)[ \t]*\r?$", re.MULTILINE)


class InvalidFrontMatter(ValueError):
    """The front matter is not a mapping; the message says where and why.

    Attributes:
        values: what its lines of one key and one value say.
    """

    def __init__(self, message: str, values: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.values = values or {}


class FrontMatter(NamedTuple):
    """The values, and the offset at which the text begins."""

    values: Mapping[str, Any]
    end: int


class _Loader(yaml.SafeLoader):
    """YAML as people write it in front matter: ``No`` and ``12:30`` are words, ``1.10`` keeps its zero."""


def _resolvers() -> dict[str, Any]:
    """PyYAML's implicit types without timestamps, sexagesimal numbers, and booleans but ``true`` and ``false``."""
    kept: dict[str, Any] = {}
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items():
        kept[first] = [(tag, pattern) for tag, pattern in pairs if tag.rpartition(":")[2] in ("null", "merge")]
    return kept


_Loader.yaml_implicit_resolvers = _resolvers()
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF")
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9]\d{0,17})$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:\d+\.\d*[1-9]|\d+\.0)(?:[eE][-+]?\d+)?$"), list("-+0123456789")
)


def find_front_matter(text: str) -> FrontMatter | None:
    """Read the front matter of ``text``; ``None`` if there is none. Keys that decide are in lower case.

    A file that opens with a thematic break has no front matter: the lines between must look like ``key: value``. There
    may be blank lines before it if it is valid.

    Raises:
        InvalidFrontMatter: it cannot be parsed, or is not a mapping.
    """
    blank = _BLANK.match(text)
    start = blank.end() if blank else 0
    try:
        return _marked(text, start) or _header(text, start)
    except InvalidFrontMatter:
        if text[:start].strip("\ufeff"):
            return None
        raise


def _marked(text: str, start: int) -> FrontMatter | None:
    for mark, pattern, parse in (("---", _YAML, _parse_yaml), ("+++", _TOML, tomllib.loads), ("{", _JSON, json.loads)):
        if text.startswith(mark, start):
            match = pattern.match(text, start, start + MAX_CHARS)
            if match is None or (mark == "---" and match[1].strip() and ":" not in match[1]):
                return None
            return FrontMatter(_lower(_mapping(match[1], parse)), match.end())
    return None


def _header(text: str, start: int) -> FrontMatter | None:
    """A header without lines around it."""
    if found := _PANDOC.match(text, start):
        named = zip(("title", "author", "date"), found.groups(), strict=True)
        return FrontMatter({key: value.strip() for key, value in named if value}, found.end())
    if found := _HEADER.match(text, start, start + MAX_CHARS):
        return FrontMatter(_lower(dict(_LINE.findall(found[1]))), found.end())
    return None


def _lower(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values, with the keys of title and description in lower case."""
    folded = {key: key.lower() if key.lower() in ("title", "description") else key for key in values}
    return {folded[key]: value for key, value in values.items() if folded[key] == key or folded[key] not in values}


def as_written(value: object) -> JsonValue:
    """A scalar as JSON, dates as ISO 8601 and integers of more than 64 bits as text; ``None`` for anything else."""
    if isinstance(value, date | time):  # datetime is a date
        return value.isoformat()
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value if isinstance(value, str) else None


def _mapping(raw: str, parse: Any) -> Mapping[str, Any]:
    try:
        values = parse(raw)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise InvalidFrontMatter(f"line {line}: {error.problem or error.context}", _plain_lines(raw)) from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidFrontMatter(f"{type(error).__name__}: {str(error)[:200]}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InvalidFrontMatter(f"a mapping of keys to values is expected, not {type(values).__name__}")
    return {str(key): value for key, value in values.items()}


def _plain_lines(raw: str) -> dict[str, Any]:
    """The lines ``key: value`` of YAML that is invalid, often for a colon in a title; other lines are left out."""
    values: dict[str, Any] = {}
    for key, value in _LINE.findall(raw):
        try:
            parsed = _parse_yaml(value)
        except yaml.YAMLError:
            parsed = value
        values.setdefault(key, value if isinstance(parsed, dict) else parsed)
    return values


def _parse_yaml(raw: str) -> Any:
    return yaml.load(raw, Loader=_Loader)  # noqa: S506 - a safe loader with fewer implicit types
