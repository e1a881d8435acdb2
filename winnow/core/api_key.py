"""The text form of an API key: ``wnw_``, 32 random characters of base62, and a checksum of 6.

The first 8 random characters are the key's id, which is public and finds it in the catalog; the other 24 (143 bits) are
the secret part. The checksum is CRC-32 (zlib) of everything before it, in base62, most significant digit first, as
GitHub's tokens have it (https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/): a scanner
recognizes keys without asking anyone, and a mistyped key is refused without a query.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

PREFIX: Final = "wnw_"
_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM: Final = 32
_PUBLIC: Final = 8
_CHECKSUM: Final = 6
_SHAPE: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")


def new_key() -> str:
    """A key out of the operating system's random numbers."""
    body = PREFIX + "".join(secrets.choice(_DIGITS) for _ in range(_RANDOM))
    return body + _checksum(body)


def is_well_formed(text: str) -> bool:
    """Whether a text has the form of a key and its checksum is right; says nothing of whether the key exists."""
    return bool(_SHAPE.fullmatch(text)) and text[-_CHECKSUM:] == _checksum(text[:-_CHECKSUM])


def id_of(key: str) -> str:
    """The public beginning of a key, which names it."""
    return key[: len(PREFIX) + _PUBLIC]


def digest_of(key: str) -> bytes:
    """SHA-256 of a key, the form in which it is stored: a slow hash protects passwords, which can be guessed."""
    return hashlib.sha256(key.encode()).digest()


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        number, rest = divmod(number, len(_DIGITS))
        digits = _DIGITS[rest] + digits
    return digits
