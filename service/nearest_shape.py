"""The shape of errors of requests that no route takes: that of the protocol whose paths theirs begins like."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from starlette.routing import BaseRoute

from service.errors import PROBLEM_DETAILS, ErrorShape


class NearestShape:
    """Finds the shape for a path.

    Args:
        routes: those of the service; the first ones win where several protocols share the beginning of a path, but for
            those with ``is_variant``, which take some bodies of a path that is another protocol's.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._known = [
            (_segments(path), getattr(route, "error_shape", PROBLEM_DETAILS))
            for route in sorted(routes, key=lambda each: getattr(each, "is_variant", False))
            if (path := getattr(route, "path", ""))
        ]

    def __call__(self, path: str) -> ErrorShape:
        """The shape of the routes that share most leading segments with ``path``; ours where one of them is our own."""
        asked = _segments(path)
        shared = [(_shared(asked, segments), shape) for segments, shape in self._known]
        most = max((number for number, _ in shared), default=0)
        nearest = [shape for number, shape in shared if number == most]
        return nearest[0] if most and PROBLEM_DETAILS not in nearest else PROBLEM_DETAILS


def _segments(path: str) -> list[str]:
    return path.strip("/").split("/")


def _shared(asked: list[str], known: list[str]) -> int:
    pairs = zip(asked, known, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1] or pair[1][:1] == "{", pairs))
