"""Fields of a request's head, read from its ASGI scope one by one: middleware looks for a few among a dozen."""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

from winnow.core.ids import new_id

MAX_REQUEST_ID_CHARS: Final = 128


def field_of(scope: Scope, name: bytes) -> str | None:
    """The first field of this name, which is given in small letters; ``None`` where the request has none."""
    for each, value in scope["headers"]:
        if each == name:
            text: str = value.decode("latin-1")
            return text
    return None


def request_id_of(given: str) -> str:
    """The caller's ``X-Request-Id`` if it is printable and short, else a new one."""
    usable = 0 < len(given) <= MAX_REQUEST_ID_CHARS and given.isascii() and given.isprintable()
    return given if usable else new_id("req")
