"""Points of one index that have been read before: reading and decoding payloads is most of a query's time."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from winnow.ports import Point
from winnow.vectors.payloads import StoredPoint
from winnow.vectors.points import is_stale

KEPT: Final = 20_000  # points, some 2 KB each


def bytes_of_id(point_id: str) -> bytes:
    """The 16 bytes of a point's id, which is a UUID as this program writes it."""
    return bytes.fromhex(point_id.replace("-", ""))


class KnownPoints:
    """Points without vectors, by the 16 bytes of their ids. Each is decoded when it is first used.

    Answers of the engine arrive in the order in which it carried out the calls. So what is forgotten when a write was
    answered, or failed, is all that was read before it.
    """

    def __init__(self) -> None:
        self._points: dict[bytes, StoredPoint] = {}

    def among(self, keys: Iterable[bytes]) -> dict[bytes, StoredPoint]:
        """Those of the points with these ids that are known."""
        return {key: self._points[key] for key in keys if key in self._points}

    def learn(self, payloads: Mapping[bytes, Mapping[str, Any]]) -> dict[bytes, StoredPoint]:
        """Keep points as the engine stores them. When too much is kept, all else is forgotten."""
        learnt = {key: StoredPoint(str(uuid.UUID(bytes=key)), payload) for key, payload in payloads.items()}
        if len(self._points) + len(learnt) > KEPT:
            self._points.clear()  # simpler than to track which were used last, and rare
        self._points |= learnt
        return learnt

    def forget(self, points: Iterable[Point]) -> None:
        """Forget points that were written."""
        for point in points:
            self._points.pop(bytes_of_id(point.id), None)

    def forget_documents(self, keep: Mapping[str, int | None]) -> None:
        """Forget the points of these documents before the given revisions (``None``: all of them)."""
        self._points = {
            key: point for key, point in self._points.items() if not is_stale(keep, point.document_id, point.revision)
        }
