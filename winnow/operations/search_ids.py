"""Signed ids of searches: what an event of a visitor has to show, and what it is checked against.

::

    base64url(JSON) "." base64url(MAC)
    JSON: [form, id, collection, its uid, tenant, seconds since 1970, first rank, digests]

``digests`` holds three bytes for each rank from the first one on: of a keyed digest of the document shown there. So the
id itself tells which document was shown at which rank, and an event can be checked by every replica without a look into
the catalog. The MAC is HMAC-SHA256, cut to 16 bytes (RFC 2104, section 5), under a secret that all replicas derive from
the installation's key pairs.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import orjson

from winnow.core.analytics import LoggedSearch
from winnow.core.base64url import from_base64url, to_base64url
from winnow.core.clock import Clock, utc_now
from winnow.operations.tokens import Tokens

SEARCH_ID_SECONDS: Final = 24 * 3600
"""How long events of a search are taken."""
MAX_SEARCH_ID_CHARS: Final = 8192
_FORM: Final = 1
_PURPOSE: Final = "winnow search id"
_MAC_BYTES: Final = 16
_DIGEST_BYTES: Final = 3
_AGAIN_SECONDS: Final = 1.0  # forged ids do not have the key pairs read more often than this


@dataclass(frozen=True, slots=True)
class SignedSearch:
    """What a signed id says of its search.

    Attributes:
        at: seconds since 1970.
        first: rank of the first result.
        digests: of the documents shown, by rank from ``first`` on.
    """

    id: str
    collection: str
    collection_uid: str
    tenant: str
    at: int
    first: int
    digests: bytes

    def position_of(self, document_id: str, position: int | None) -> bool | None:
        """Whether a document was shown at a rank, or at any for ``None``; ``None`` where it was not shown at all."""
        wanted = _digest(self.id, document_id)
        ranks = [
            self.first + begin // _DIGEST_BYTES
            for begin in range(0, len(self.digests), _DIGEST_BYTES)
            if self.digests[begin : begin + _DIGEST_BYTES] == wanted
        ]
        return None if not ranks else position is None or position in ranks


def signed_search(search: LoggedSearch, collection: str) -> SignedSearch:
    """What is to be signed of a search in the collection of this name."""
    digests = b"".join(_digest(search.id, each) if each else bytes(_DIGEST_BYTES) for each in search.shown)
    seconds = int(search.at.timestamp())
    return SignedSearch(search.id, collection, search.collection_uid, search.tenant, seconds, search.first, digests)


@dataclass
class SearchIds:
    """Signs and reads ids of searches.

    Attributes:
        tokens: what holds the key pairs that the secret is derived from.
        clock: the time of day.
        timer: monotonic seconds.
    """

    tokens: Callable[[], Tokens]
    clock: Clock = utc_now
    timer: Callable[[], float] = time.monotonic
    _read_again_at: float = field(default=0.0, init=False)

    async def sign(self, search: SignedSearch) -> str:
        """The signed id."""
        members = (_FORM, search.id, search.collection, search.collection_uid, search.tenant, search.at, search.first)
        payload = orjson.dumps((*members, to_base64url(search.digests)))
        secrets = await self.tokens().secrets(_PURPOSE)
        return f"{to_base64url(payload)}.{to_base64url(_mac(secrets[0], payload))}"

    async def read(self, text: str) -> SignedSearch | None:
        """What a signed id says; ``None`` where this installation did not sign it."""
        try:
            payload, mac = (from_base64url(part) for part in text[:MAX_SEARCH_ID_CHARS].split("."))
        except ValueError:
            return None
        if not await self._is_ours(payload, mac):
            return None
        form, search_id, collection, uid, tenant, at, first, digests = orjson.loads(payload)
        found = SignedSearch(search_id, collection, uid, tenant, at, first, from_base64url(digests))
        return found if form == _FORM else None

    def is_expired(self, search: SignedSearch) -> bool:
        """Whether its time is over."""
        return self.clock().timestamp() - search.at > SEARCH_ID_SECONDS

    async def _is_ours(self, payload: bytes, mac: bytes) -> bool:
        if await self._fits(payload, mac):
            return True
        if self.timer() < self._read_again_at:
            return False
        self._read_again_at = self.timer() + _AGAIN_SECONDS  # another replica may have made a key pair just now
        self.tokens().forget()
        return await self._fits(payload, mac)

    async def _fits(self, payload: bytes, mac: bytes) -> bool:
        secrets = await self.tokens().secrets(_PURPOSE)
        return any(hmac.compare_digest(_mac(secret, payload), mac) for secret in secrets)


def _mac(secret: bytes, payload: bytes) -> bytes:
    return hmac.digest(secret, payload, "sha256")[:_MAC_BYTES]


def _digest(search_id: str, document_id: str) -> bytes:
    return blake2b(
        document_id.encode("utf-8", "surrogatepass"), key=search_id.encode()[:64], digest_size=_DIGEST_BYTES
    ).digest()
