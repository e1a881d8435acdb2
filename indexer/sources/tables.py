"""Tables in CSV and Parquet: each row is a document.

The columns of id, text, title and address are found by common names or named by the user; every other column is
metadata. Rows without an id are named after the file and their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from indexer.sources.base import Failure, ReadError, SourceOptions
from indexer.sources.jsonl import count_lines
from indexer.sources.records import DocumentParser
from indexer.sources.sandbox import Sandbox
from winnow.core.errors import InvalidSource
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
    """Raise ``InvalidSource`` if a column is assigned to something that documents do not have."""
    for role in columns:
        if role not in NAMES:
            raise InvalidSource(f"a column cannot be {role!r}; it can be {', '.join(NAMES)}, and the rest is metadata")


def count_rows(path: Path) -> int:
    """Rows of a table: the lines of CSV without the header, for Parquet the number in its metadata."""
    if TABLES[path.suffix.lower()] == "csv":
        return max(0, count_lines(path) - 1)
    try:
        with Sandbox() as sandbox:
            return int(next(sandbox.parse("parquet", path, {"only_count": True}))["rows"])
    except ReadError:
        return 1  # reading the file reports the error


def read_table(
    path: Path, name: str, row_id: str, documents: DocumentParser, *, sandbox: Sandbox, options: SourceOptions
) -> Iterator[Document | Failure]:
    """Read the documents of a table, a row at a time.

    Args:
        path: the file.
        name: how failures name it.
        row_id: start of the ids of rows that have none.
        documents: turns the rows into documents.
        sandbox: where the file is parsed.
        options: columns and fields.

    Raises:
        ReadError: the file cannot be read, or has no columns for documents.
    """
    suffix = path.suffix.lower()
    arguments = {"delimiter": "\t"} if suffix == ".tsv" else {}
    roles: dict[str, str] = {}
    for item in sandbox.parse(TABLES[suffix], path, arguments):
        if "columns" in item:
            roles = _roles(item["columns"], options.columns)
            continue
        where = f"{name}:{item['row']}"
        if "code" in item:
            yield Failure(where, item["code"], item["message"])
            continue
        yield documents.parse(_as_record(item["values"], roles, f"{row_id}#{item['row']}", options.fields), where)


def _roles(names: Sequence[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """The column of each role; roles that the table has no column for are left out."""
    lower = {name.lower(): name for name in reversed(names)}
    listed = ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY:,} more" if len(names) > _MANY else "")
    for role, column in chosen.items():
        if column not in names:
            raise ReadError("wrong_schema", f"no column is called {column!r} (for {role}); columns: {listed}")
    found = dict(chosen)
    for role, known in NAMES.items():
        usual = next((lower[name] for name in known if name in lower and lower[name] not in found.values()), None)
        if role not in found and usual is not None:
            found[role] = usual
    if "text" not in found:
        raise ReadError(
            "wrong_schema",
            f"no column is called {', '.join(NAMES['text'])}; name the column of the text with "
            f"--column text=NAME; columns: {listed or 'none with text or numbers'}",
        )
    return found


def _as_record(
    values: dict[str, JsonValue], roles: Mapping[str, str], fallback_id: str, fields: Mapping[str, FieldType]
) -> dict[str, Any]:
    taken = set(roles.values())
    own = {role: str(values[column]) for role, column in roles.items() if column in values}
    rest = {key: _typed(value, fields.get(key)) for key, value in values.items() if key not in taken}
    return {"id": fallback_id, "text": "", **own, "metadata": rest}


def _typed(value: JsonValue, kind: FieldType | None) -> JsonValue:
    """A CSV cell as the declared type; a value that does not fit stays text, and the collection rejects it by name."""
    if not isinstance(value, str) or kind not in {"integer", "float", "boolean"}:
        return value
    if kind == "boolean":
        return {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}.get(value.lower(), value)
    try:
        return int(value) if kind == "integer" else float(value)
    except ValueError:
        return value
