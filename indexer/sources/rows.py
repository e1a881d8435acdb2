"""Files whose rows are documents: JSONL, CSV, TSV and Parquet.

A line of JSONL (NDJSON) is a document as in the HTTP API; ``_id`` is read as ``id``. In tables, the columns of id,
text, title and address are found by common names or named by the user; every other column is metadata. Rows of tables
without an id are named after the file and their number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final, NamedTuple

from indexer.sources.base import DocumentParser, ReadError
from indexer.sources.content import guessed_encoding
from indexer.sources.sandbox import Sandbox
from winnow.core.errors import InvalidSource
from winnow.core.marks import wire_warnings
from winnow.core.types import Document, FieldType, JsonValue
from winnow.ports.source import Failure, SourceOptions

ROWS: Final = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "id": ("id", "_id", "doc_id", "document_id"),
    "text": ("text", "content", "contents", "body", "passage", "document", "description", "abstract"),
    "title": ("title", "name", "headline", "subject"),
    "url": ("url", "link", "href", "permalink"),
}
MAX_LINE_BYTES: Final = 20 * 1024 * 1024

NO_FIELDS: Final[Mapping[str, FieldType]] = MappingProxyType({})

_BLOCK: Final = 1024 * 1024
_COUNTED_BYTES: Final = 512 * 1024 * 1024  # beyond this the number of lines is estimated
_BOM: Final = b"\xef\xbb\xbf"
_MANY: Final = 12  # columns that a message lists


def check_columns(columns: Mapping[str, str]) -> None:
    """Raise ``InvalidSource`` if a column is assigned to something that documents do not have."""
    for role in columns:
        if role not in NAMES:
            raise InvalidSource(f"a column cannot be {role!r}; it can be {', '.join(NAMES)}, and the rest is metadata")


def count_rows(path: Path) -> int:
    """Number of rows: lines of JSONL, lines of CSV without the header, for Parquet the number in its metadata."""
    match ROWS[path.suffix.lower()]:
        case "jsonl":
            return _count_lines(path)
        case "csv":
            return max(0, _count_lines(path) - 1)
    try:
        with Sandbox() as sandbox:
            return int(next(sandbox.parse("parquet", path, {"only_count": True}))["rows"])
    except ReadError:
        return 1  # reading the file reports the error


def _count_lines(path: Path) -> int:
    """Number of lines of a file: counted, or for very large files extrapolated from the beginning."""
    size = path.stat().st_size
    lines = read = 0
    last = b"\n"
    with path.open("rb") as file:
        while read < _COUNTED_BYTES and (block := file.read(_BLOCK)):
            read += len(block)
            lines += block.count(b"\n")
            last = block[-1:]
    return round((lines + (last != b"\n")) * size / read) if read else 0


class Record(NamedTuple):
    """A row as a document of the HTTP API, and where it is: ``name:3``."""

    where: str
    raw: object


def read_rows(
    path: Path, name: str, row_id: str, *, documents: DocumentParser, sandbox: Sandbox, options: SourceOptions
) -> Iterator[Document | Failure]:
    """Read the documents of a file, a row at a time; ``documents`` checks them. Otherwise as ``read_records``."""
    columns, fields = options.columns, options.fields
    for item in read_records(path, name, row_id, sandbox=sandbox, columns=columns, fields=fields):
        yield item if isinstance(item, Failure) else documents.parse(item.raw, item.where)


def read_records(
    path: Path,
    name: str,
    row_id: str,
    *,
    sandbox: Sandbox,
    columns: Mapping[str, str],
    fields: Mapping[str, FieldType] = NO_FIELDS,
) -> Iterator[Record | Failure]:
    """Read the rows of a file one at a time; memory is bounded by the longest row that is accepted.

    Args:
        path: the file.
        name: how failures name it.
        row_id: start of the ids of rows of a table that have none.
        sandbox: where tables are parsed.
        columns: of tables, by role.
        fields: declared fields, to whose types cells of a CSV file are converted.

    Raises:
        OSError: the file cannot be read.
        ReadError: the file holds no rows, or a table cannot be parsed or has no columns for documents.
    """
    kind, delimiter = ROWS[path.suffix.lower()], "\t" if path.suffix.lower() == ".tsv" else ""
    number = 0
    with sandbox.open(path) as file:
        if not os.fstat(file.fileno()).st_size:
            raise ReadError("empty", "the file is empty")
        if kind == "jsonl":
            rows = _read_jsonl(file, name)
        else:
            items = sandbox.parse(kind, path, {"delimiter": delimiter} if delimiter else {})
            rows = _read_table(items, name, row_id, columns, fields)
        for number, row in enumerate(rows, 1):  # noqa: B007 - whether there was any is asked below
            yield row
    if not number:
        raise ReadError("empty", "the file holds no rows")


def _read_table(
    items: Iterable[dict[str, Any]], name: str, row_id: str, columns: Mapping[str, str], fields: Mapping[str, FieldType]
) -> Iterator[Record | Failure]:
    roles: dict[str, str] = {}
    encoding = ""
    for item in items:
        if "columns" in item:
            roles, encoding = _roles(item["columns"], columns), item.get("encoding", "")
            continue
        where = f"{name}:{item['row']}"
        if "code" in item:
            yield Failure(where, item["code"], item["message"])
            continue
        record = _as_record(item["values"], roles, f"{row_id}#{item['row']}", fields)
        if encoding and not all(str(value).isascii() for value in item["values"].values()):
            record |= {"source_format": "text", "warnings": wire_warnings([guessed_encoding(encoding)])}
        yield Record(where, record)


def _read_jsonl(file: IO[bytes], name: str) -> Iterator[Record | Failure]:
    for number, line in enumerate(_lines(file), 1):
        if line is not None and not line.removeprefix(_BOM).strip():
            continue
        where = f"{name}:{number}"
        try:
            yield Record(where, _parse_line(line, "utf-8-sig" if number == 1 else "utf-8"))
        except ReadError as error:
            yield Failure(where, error.code, error.message)


def _lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """Lines; ``None`` for one over the limit, which is not loaded."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(_BLOCK)) and not rest.endswith(b"\n"):
            pass
        yield None


def _parse_line(line: bytes | None, encoding: str) -> object:
    if line is None:
        limit = MAX_LINE_BYTES // 1024 // 1024
        raise ReadError("line_too_long", f"the line is longer than {limit} MiB; split the document")
    try:
        raw = json.loads(line.decode(encoding))
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} of the line is not UTF-8; convert the file"
        raise ReadError("not_utf8", message) from None
    except (ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else str(error)
        raise ReadError("invalid_json", f"not JSON: {reason}; each line must be one complete object") from None
    if isinstance(raw, dict) and "_id" in raw:
        return {"id": raw["_id"]} | {key: value for key, value in raw.items() if key != "_id"}
    return raw


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
            f"no column is called {', '.join(NAMES['text'])}; name that of the text in an upload's columns, or with "
            f"--column text=NAME; columns: {listed or 'none with text or numbers'}; if these are values, the file "
            "lacks a header",
        )
    return found


def _as_record(
    values: dict[str, JsonValue], roles: Mapping[str, str], fallback_id: str, fields: Mapping[str, FieldType]
) -> dict[str, Any]:
    taken = set(roles.values())
    own = {role: _as_text(values[column]) for role, column in roles.items() if column in values}
    rest = {key: _typed(value, fields.get(key)) for key, value in values.items() if key not in taken}
    return {"id": fallback_id, "text": "", **own, "metadata": rest}


def _as_text(value: JsonValue) -> str:
    """A cell as text; a whole number that a column of floats holds without its ``.0``."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


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
