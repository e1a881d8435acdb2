"""Bytes as text for addresses and tokens: base64url without padding (RFC 4648, section 5)."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode


def to_base64url(data: bytes) -> str:
    """The text of bytes."""
    return urlsafe_b64encode(data).decode().rstrip("=")


def from_base64url(text: str) -> bytes:
    """The bytes of a text; raises ``ValueError`` where it is not such a text."""
    return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
