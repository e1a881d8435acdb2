"""Attributes of files: metadata of plain values, each of which can be filtered on.

An attribute is a declared field of its collection. One that is new is declared by the type of its value: strings as
``keyword``, booleans as ``boolean``, numbers as ``float``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from winnow.core.errors import InvalidInput
from winnow.core.filters import fits
from winnow.core.principal import Principal
from winnow.core.types import Collection, FieldType, Metadata
from winnow.operations.collections import FIELD_NAME, CollectionSpec, ensure_collection
from winnow.operations.resources import Resources

MAX_ATTRIBUTES: Final = 16
MAX_VALUE_CHARS: Final = 512
Attributes: TypeAlias = Mapping[str, str | int | float | bool]
_ATTEMPTS: Final = 5


def plain_attributes(metadata: Metadata) -> Attributes:
    """The values of a document's metadata that are attributes: strings, numbers and booleans."""
    return {key: value for key, value in metadata.items() if isinstance(value, str | int | float)}


def check_attributes(values: Mapping[str, object]) -> Attributes:
    """Return the attributes if they can be fields.

    Raises:
        InvalidInput: there are too many, or one has a name or a value that fields do not have.
    """
    if len(values) > MAX_ATTRIBUTES:
        message = f"a file has at most {MAX_ATTRIBUTES} attributes, not {len(values)}"
        raise InvalidInput(message, location=("attributes",))
    checked: dict[str, str | int | float | bool] = {}
    for key, value in values.items():
        at = ("attributes", key)
        if not FIELD_NAME.fullmatch(key):
            message = f"invalid attribute {key[:80]!r}: use 1 to 64 of A-Z a-z 0-9 _ -, starting with a letter or _"
            raise InvalidInput(message, location=at)
        if not isinstance(value, str | int | float) or not _is_sound(value):
            message = (
                f"the attribute {key!r} is a string of {MAX_VALUE_CHARS} characters at most, a number or a boolean"
            )
            raise InvalidInput(message, location=at)
        checked[key] = value
    return checked


async def declare(
    resources: Resources, principal: Principal, name: str, several: Iterable[Attributes]
) -> tuple[Collection, list[Attributes]]:
    """See to it that attributes are fields of a collection, and give them the types that their fields have.

    Raises:
        CollectionNotFound: the collection does not exist.
        Forbidden: an attribute is new, and the principal may not add fields to the collection.
        InvalidInput: a value is not of its field's type.
        InvalidCollection: the collection would have too many fields.
    """
    several = list(several)
    for _ in range(_ATTEMPTS):
        collection = await resources.catalog.collections.get(name)
        new = _new_fields(collection.fields, several)
        if not new:
            break
        # who adds another field at the same moment may overwrite this one: look again
        await ensure_collection(resources, principal, name, CollectionSpec(fields=new))
    return collection, [_typed(collection.fields, each) for each in several]


def _new_fields(fields: Mapping[str, FieldType], several: Iterable[Attributes]) -> dict[str, FieldType]:
    new: dict[str, FieldType] = {}
    for attributes in several:
        for key, value in attributes.items():
            kind = fields.get(key) or new.get(key)
            if kind is None:
                new[key] = _kind(value)
            elif not fits(kind, _plain(value, kind)):
                message = f"the attribute {key!r} is of type {kind} in this collection; {repr(value)[:80]} is not"
                raise InvalidInput(message, location=("attributes", key))
    return new


def _typed(fields: Mapping[str, FieldType], attributes: Attributes) -> Attributes:
    return {key: _plain(value, fields[key]) for key, value in attributes.items()}


def _plain(value: str | float | bool, kind: FieldType) -> str | int | float | bool:
    """A whole number as an integer where the field has integers: JSON of some clients writes ``2020.0``."""
    return int(value) if kind == "integer" and isinstance(value, float) and value.is_integer() else value


def _kind(value: str | float | bool) -> FieldType:
    match value:
        case bool():
            return "boolean"
        case str():
            return "keyword"
        case _:
            return "float"


def _is_sound(value: str | float) -> bool:
    return len(value) <= MAX_VALUE_CHARS if isinstance(value, str) else math.isfinite(value)
