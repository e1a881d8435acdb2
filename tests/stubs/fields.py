"""Fields that a provider's page names, and what is wrong with a request that has others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Fields = Mapping[str, type | tuple[type, ...]]


def complaint(given: Any, fields: Fields, required: frozenset[str]) -> str:
    """What is wrong with an object's fields; empty where nothing is."""
    if not isinstance(given, dict):
        return f"an object was expected, not {type(given).__name__}"
    for name in sorted(required - given.keys()):
        return f"field required: {name}"
    for name, value in given.items():
        if name not in fields:
            return f"unknown field: {name}"
        if not isinstance(value, fields[name]) or (isinstance(value, bool) and fields[name] is not bool):
            return f"wrong type: {name} is {type(value).__name__}"
    return ""
