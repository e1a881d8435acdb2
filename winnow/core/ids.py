"""Identifiers: sortable ones for searches and jobs, deterministic ones for points."""

from __future__ import annotations

import secrets
import time
import uuid
from typing import Final

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = [first + second for first in _CROCKFORD for second in _CROCKFORD]  # of ten bits
_NAMESPACE: Final = uuid.UUID("6e4f2a0c-5a5e-5c7e-9d3c-2f6f0a6f7b11")


def new_id(prefix: str) -> str:
    """A fresh id: ``prefix_`` and a ULID (https://github.com/ulid/spec), which sorts by time."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(secrets.token_bytes(10), "big")
    return prefix + "_" + "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -10, -10)])


def point_id(collection_uid: str, document_id: str, revision: int, chunk_index: int) -> str:
    """UUIDv5 of a chunk: the same chunk of the same revision always lands on the same point."""
    return str(uuid.uuid5(_NAMESPACE, f"{collection_uid}\x1f{document_id}\x1f{revision}\x1f{chunk_index}"))
