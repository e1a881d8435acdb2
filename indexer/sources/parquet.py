"""Parses Parquet: each row is an item. Runs inside the sandbox.

Columns other than text, numbers, times and lists of text are left out: images and vectors are not metadata. Fields of
structures are columns of their own, ``author.name``; bytes that are UTF-8 are text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from indexer.sources.base import ReadError

MAX_COLUMNS: Final = 1_000

_BATCH_ROWS: Final = 256
_FIRST_ROWS: Final = 8  # by which bytes are judged
_MAX_DEPTH: Final = 8  # of structures


def parse(file: IO[bytes], *, only_count: bool = False) -> Iterator[dict[str, Any]]:
    """Yield ``{"columns": [names], "rows": n}``, then for every row ``{"row": number, "values": {…}}``, from 1.

    Args:
        file: the file.
        only_count: stop after the first item.

    Raises:
        ReadError: the file is not Parquet, or has too many columns.
    """
    try:
        table = pq.ParquetFile(file)
        if len(table.schema_arrow.names) > MAX_COLUMNS:
            count = len(table.schema_arrow.names)
            raise ReadError("wrong_schema", f"the table has {count:,} columns; the limit is {MAX_COLUMNS:,}")
        kept = [field.name for field in table.schema_arrow if _is_kept(field.type)] + _texts_in_bytes(table)
        names = _flat(table.schema_arrow.empty_table().select(kept)).column_names
        yield {"columns": names, "rows": table.metadata.num_rows}
        if not only_count:
            yield from _rows(table, kept)
    except pa.ArrowMemoryError as error:
        raise MemoryError from error
    except pa.ArrowException as error:
        raise ReadError("damaged", f"not a readable Parquet file ({error!s:.200}); write it again") from None


def _rows(table: pq.ParquetFile, kept: list[str]) -> Iterator[dict[str, Any]]:
    number = 0
    for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=kept, use_threads=False):
        for values in _flat(pa.Table.from_batches([batch])).to_pylist():
            number += 1
            texts = {name: _text(value) for name, value in values.items()}
            yield {"row": number, "values": {name: value for name, value in texts.items() if not _is_missing(value)}}


def _flat(table: pa.Table) -> pa.Table:
    """A table with the fields of structures as columns, those that are kept."""
    for _ in range(_MAX_DEPTH):
        if any(pa.types.is_struct(field.type) for field in table.schema):
            table = table.flatten()
    return table.select([field.name for field in table.schema if _is_kept(field.type) or _is_bytes(field.type)])


def _texts_in_bytes(table: pq.ParquetFile) -> list[str]:
    """The columns of bytes without a type that hold UTF-8, by their first values."""
    names = [field.name for field in table.schema_arrow if _is_bytes(field.type)]
    first = next(table.iter_batches(batch_size=_FIRST_ROWS, columns=names, use_threads=False), None) if names else None
    found = {name: [value for value in first[name].to_pylist() if value] for name in names} if first else {}
    return [name for name, values in found.items() if values and all(_text(value) is not None for value in values)]


def _text(value: Any) -> Any:
    """Bytes as text, or ``None`` if they are none; any other value as it is."""
    if not isinstance(value, bytes):
        return value
    try:
        return None if b"\0" in value else value.decode()
    except UnicodeDecodeError:
        return None


def _is_missing(value: Any) -> bool:
    """Null, or the NaN in its place in columns of floats."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _is_kept(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_kept(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_text(kind.value_type) or pa.types.is_integer(kind.value_type)
    if pa.types.is_struct(kind):
        return any(_is_kept(kind.field(at).type) for at in range(kind.num_fields))
    return (
        _is_text(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_temporal(kind)
        or pa.types.is_decimal(kind)
    )


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
