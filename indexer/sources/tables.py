"""Tables, CSV and Parquet: each row a document.

Which column is the id, the text, the title and the address goes by common names, or by what the user says; every other
column is metadata. Rows without an id are called after the file and their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from indexer.sources.base import Failure, SourceOptions
from indexer.sources.jsonl import count_lines
from indexer.sources.sandbox import ParseFailure, Sandbox
from winnow.core.documents import parse_document
from winnow.core.errors import InvalidDocument, InvalidSource
from winnow.core.types import Document, FieldType, JsonValue

TABLES: Final[dict[str, str]] = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "id": ("id", "_id", "doc_id", "document_id"),
    "text": ("text", "content", "contents", "body", "passage", "document", "description", "abstract"),
    "title": ("title", "name", "headline", "subject"),
    "url": ("url", "link", "href", "permalink"),
}

_MANY: Final = 12  # columns that a message lists


def check_columns(columns: Mapping[str, str]) -> None:
    """Raise ``InvalidSource`` where columns are assigned to something that documents do not have."""
    for role in columns:
        if role not in NAMES:
            raise InvalidSource(f"a column cannot be {role!r}; it can be {', '.join(NAMES)}, and the rest is metadata")


def count_rows(path: Path) -> int:
    """Rows of a table: the lines of CSV less its header, for Parquet what the file says of itself."""
    if TABLES[path.suffix.lower()] == "csv":
        return max(0, count_lines(path) - 1)
    try:
        with Sandbox() as sandbox:
            return int(next(sandbox.parse("parquet", path, {"only_count": True}))["rows"])
    except ParseFailure:
        return 1  # reading it says what is wrong


def read_table(
    path: Path, name: str, file_id: str, *, sandbox: Sandbox, options: SourceOptions, max_chars: int, seen: set[str]
) -> Iterator[Document | Failure]:
    """Read the documents of a table, a row at a time.

    Args:
        path: the file.
        name: how failures name it.
        file_id: start of the ids of rows that have none.
        sandbox: where the file is parsed.
        options: columns and fields.
        max_chars: longest text of a document.
        seen: ids that were taken before; those of this file are added.
    """
    suffix = path.suffix.lower()
    arguments = {"delimiter": "\t"} if suffix == ".tsv" else {}
    roles: dict[str, str] = {}
    try:
        for item in sandbox.parse(TABLES[suffix], path, arguments):
            if "columns" in item:
                roles = _roles(item["columns"], options.columns)
                continue
            where = f"{name}:{item['row']}"
            if "code" in item:
                yield Failure(where, item["code"], item["message"])
                continue
            raw = _as_document(item["values"], roles, f"{file_id}#{item['row']}", options.fields)
            yield _checked(raw, where, max_chars, seen)
    except ParseFailure as error:
        yield Failure(name, error.code, error.message)


def _roles(names: Sequence[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Column of each role; those that the table does not have are left out."""
    lower = {name.lower(): name for name in reversed(names)}
    listed = ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY:,} more" if len(names) > _MANY else "")
    for role, column in chosen.items():
        if column not in names:
            raise ParseFailure("wrong_schema", f"no column is called {column!r} (for {role}); there are: {listed}")
    found = dict(chosen)
    for role, known in NAMES.items():
        usual = next((lower[name] for name in known if name in lower and lower[name] not in found.values()), None)
        if role not in found and usual is not None:
            found[role] = usual
    if "text" not in found:
        raise ParseFailure(
            "wrong_schema",
            f"no column is called {', '.join(NAMES['text'])}; say which is the text with "
            f"--column text=NAME; there are: {listed or 'none of text or numbers'}",
        )
    return found


def _as_document(
    values: dict[str, JsonValue], roles: Mapping[str, str], fallback_id: str, fields: Mapping[str, FieldType]
) -> dict[str, Any]:
    taken = set(roles.values())
    own = {role: str(values[column]) for role, column in roles.items() if column in values}
    rest = {key: _typed(value, fields.get(key)) for key, value in values.items() if key not in taken}
    return {"id": fallback_id, "text": "", **own, "metadata": rest}


def _typed(value: JsonValue, kind: FieldType | None) -> JsonValue:
    """A cell of CSV as the declared type; what does not fit stays text, and the collection says so."""
    if not isinstance(value, str) or kind not in {"integer", "float", "boolean"}:
        return value
    if kind == "boolean":
        return {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}.get(value.lower(), value)
    try:
        return int(value) if kind == "integer" else float(value)
    except ValueError:
        return value


def _checked(raw: dict[str, Any], where: str, max_chars: int, seen: set[str]) -> Document | Failure:
    try:
        document = parse_document(raw, fields={}, max_chars=max_chars)
    except InvalidDocument as error:
        return Failure(where, error.code, error.message, raw["id"])
    if document.id in seen:
        return Failure(where, "duplicate_id", f"id {document.id!r} stands in an earlier row; it was kept", document.id)
    seen.add(document.id)
    return document
