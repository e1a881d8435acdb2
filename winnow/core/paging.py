"""Cursors: where the next page of a search begins. Opaque to callers; a changed one is refused or finds nothing more.

On the wire a cursor is URL-safe base64 of a kind, the digest of the request that it continues, and what goes with it::

    1 digest[12] key[8]…            after the first page: keys of the results on it
    2 digest[12] position[2] id     after a later page: a position in a list that the catalog keeps under an id

So the first page costs no more than a hash of each result. What follows it is ranked, and kept, when it is asked for.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

from winnow.core.base64url import from_base64url, to_base64url
from winnow.core.errors import InvalidQuery

MOST_RESULTS: Final = 1000
MAX_CURSOR_CHARS: Final = 4096
DIGEST_BYTES: Final = 12

_FIRST: Final = b"\x01"
_LATER: Final = b"\x02"
_KEY_BYTES: Final = 8


class Cursor(NamedTuple):
    """A cursor, read.

    Attributes:
        digest: of the request that it continues.
        shown: keys of the results of the first page; empty on later pages.
        list_id: of the kept list; empty after the first page.
        position: in the kept list.
    """

    digest: bytes
    shown: frozenset[bytes] = frozenset()
    list_id: str = ""
    position: int = 0


def result_key(document_id: str, chunk: int | None) -> bytes:
    """The key of a result: of a document, or where every chunk is a result of its own, of a chunk."""
    name = document_id if chunk is None else f"{document_id}\x1f{chunk}"
    return blake2b(name.encode(), digest_size=_KEY_BYTES).digest()


def first_cursor(digest: bytes, keys: list[bytes]) -> str:
    """The cursor after a first page with results of these keys."""
    return to_base64url(b"".join((_FIRST, digest, *keys)))


def later_cursor(digest: bytes, list_id: str, position: int) -> str:
    """The cursor that goes on at a position of a kept list."""
    return to_base64url(_LATER + digest + position.to_bytes(2, "big") + list_id.encode())


def read_cursor(text: str) -> Cursor:
    """Read a cursor.

    Raises:
        InvalidQuery: it was not made by this service, or was changed on its way.
    """
    try:
        raw = from_base64url(text)
    except ValueError:
        raw = b""
    kind, digest, rest = raw[:1], raw[1 : 1 + DIGEST_BYTES], raw[1 + DIGEST_BYTES :]
    if len(text) <= MAX_CURSOR_CHARS and len(digest) == DIGEST_BYTES:
        if kind == _FIRST and len(rest) % _KEY_BYTES == 0:
            keys = frozenset(rest[at : at + _KEY_BYTES] for at in range(0, len(rest), _KEY_BYTES))
            return Cursor(digest, keys)
        if kind == _LATER and len(rest) > 2 and rest[2:].isascii():
            return Cursor(digest, list_id=rest[2:].decode(), position=int.from_bytes(rest[:2], "big"))
    raise InvalidQuery("the cursor is not whole, or not of this service; send next as it came", location=("cursor",))
