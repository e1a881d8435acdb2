"""Parses Parquet: each row is an item. Runs inside the sandbox.

Columns other than text, numbers, times and lists of text are left out: images and vectors are not metadata.
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
        names = [field.name for field in table.schema_arrow if _is_kept(field.type)]
        if len(table.schema_arrow.names) > MAX_COLUMNS:
            count = len(table.schema_arrow.names)
            raise ReadError("wrong_schema", f"the table has {count:,} columns; the limit is {MAX_COLUMNS:,}")
        yield {"columns": names, "rows": table.metadata.num_rows}
        if not only_count:
            yield from _rows(table, names)
    except pa.ArrowMemoryError as error:
        raise MemoryError from error
    except pa.ArrowException as error:
        raise ReadError("damaged", f"not a readable Parquet file ({error!s:.200}); write it again") from None


def _rows(table: pq.ParquetFile, names: list[str]) -> Iterator[dict[str, Any]]:
    number = 0
    for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=names, use_threads=False):
        for values in batch.to_pylist():
            number += 1
            yield {"row": number, "values": {name: value for name, value in values.items() if not _is_missing(value)}}


def _is_missing(value: Any) -> bool:
    """Null, or the NaN in its place in columns of floats."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _is_kept(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_kept(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_text(kind.value_type) or pa.types.is_integer(kind.value_type)
    return (
        _is_text(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_temporal(kind)
        or pa.types.is_decimal(kind)
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
