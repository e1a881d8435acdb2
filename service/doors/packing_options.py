"""Parameters for chains at doors whose protocols have none: after a name, or in an address, as a query string."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from pydantic import ValidationError

from service.schemas.common import invalid_query
from service.schemas.packing import PackingOptions
from winnow.core.errors import InvalidQuery


def named_options(name: str) -> tuple[str, PackingOptions]:
    """The name and the options in ``NAME?expand=1&max_tokens=2000``.

    Raises:
        InvalidQuery: an option is unknown, or its value is not one.
    """
    collection, _, options = name.partition("?")
    return collection, read_options(parse_qsl(options, keep_blank_values=True))


def read_options(pairs: Iterable[tuple[str, str]]) -> PackingOptions:
    """Options out of a query string. Raises as ``named_options``."""
    given = dict(pairs)
    known = PackingOptions.model_fields
    for key in given:
        if key not in known:
            message = f"unknown option {key[:80]!r}; there are {', '.join(known)}"
            raise InvalidQuery(message, location=(key,))
    try:
        return PackingOptions.model_validate(given)
    except ValidationError as error:
        raise invalid_query(error) from error
