"""Random metadata and random filters over one field of each type, compared with ``winnow.core.filters.matches``."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from winnow.core.types import And, Comparison, Exists, FieldType, Filter, Metadata, Not, Or

SERIALS = (2**53, 2**53 + 1, 2**53 + 2, 2**60 + 1, 2**60 + 2, 2**60 + 300, 2**63 - 1, 2**63 - 2, -(2**53) - 1, -(2**63))
EAST = timezone(timedelta(hours=5, minutes=30))
FIELDS: dict[str, FieldType] = {
    "lang": "keyword",
    "year": "integer",
    "serial": "integer",
    "price": "float",
    "published": "datetime",
    "public": "boolean",
    'a."b" [c]': "keyword",
}


def random_metadata(rng: random.Random) -> Metadata:
    """Metadata in which any field may be missing, null, a value, or a list of values."""
    metadata: dict[str, Any] = {}
    for key in FIELDS:
        fate = rng.random()
        if fate >= 0.25:
            value = random_value(rng, key, text=True)
            several = [value, None, random_value(rng, key, text=True)][: rng.randrange(4)]
            metadata[key] = None if fate < 0.3 else several if fate < 0.45 else value
    return metadata


def random_value(rng: random.Random, key: str, *, text: bool = False) -> Any:
    """A value of the field's type; ``text``: as JSON holds it."""
    fine = timedelta(microseconds=rng.choice([0, 0, 1, 2, 999_999]))
    moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=rng.randrange(6)) + fine
    texts = [moment.isoformat(), moment.astimezone(EAST).isoformat(), f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"]
    choices: dict[FieldType, Any] = {
        "keyword": rng.choice(["en", "de", "x", "y z", "true", ""]),
        "integer": rng.choice(SERIALS) if key == "serial" else rng.randrange(-2, 4),
        "float": rng.choice([0, 0.5, -1.25, 3, 2.75]),
        "datetime": rng.choice(texts) if text else moment,
        "boolean": rng.random() < 0.5,
    }
    return choices[FIELDS[key]]


def random_filter(rng: random.Random, depth: int = 0) -> Filter:
    """A filter of any shape, empty groups included."""
    shape = rng.random()
    if depth < 3 and shape < 0.4:
        parts = tuple(random_filter(rng, depth + 1) for _ in range(rng.randrange(4)))
        return And(parts) if shape < 0.2 else Or(parts)
    if depth < 3 and shape < 0.5:
        return Not(random_filter(rng, depth + 1))
    key = rng.choice(list(FIELDS))
    if shape < 0.6:
        return Exists(key)
    ops = ["eq", "ne", "in", "nin"]
    if FIELDS[key] not in ("keyword", "boolean"):
        ops += ["gt", "gte", "lt", "lte"]
    op: Any = rng.choice(ops)
    if op in ("in", "nin"):
        return Comparison(op, key, [random_value(rng, key) for _ in range(rng.randrange(1, 4))])
    return Comparison(op, key, random_value(rng, key))
