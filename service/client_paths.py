"""Paths as clients of other protocols put them together out of a base address that somebody typed.

People add a version that the client adds as well, leave out one that it does not add, and end the address in a slash::

    /v1/v1/embeddings   /v2/v2/rerank   /v1/v2/rerank   //rerank   /v1//rerank   /v1/rerank/   /embeddings   /mcp/
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import PROBLEM_DETAILS

_WITHOUT_VERSION: Final = ("chat", "completions", "embeddings", "files", "models", "responses", "vector_stores")
"""First segments of OpenAI's paths, to which its clients add no version."""
_BEGINNING: Final = re.compile(r"/+(?:(v[12])(?:/+|$))*")
_ODD: Final = re.compile(rf".+/$|/v[12]/v[12](?:/|$)|/(?:{'|'.join(_WITHOUT_VERSION)})(?:/|$)")


class ClientPaths:
    """Reads such a path as the one that is meant, where that is another protocol's; ids in paths stay as they are.

    Paths of the native API are left alone, so that a caller cannot disguise one from rules of a proxy.

    Args:
        routes: of the service.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        foreign: set[str] = set()
        own: set[str] = set()
        for route in routes:
            is_own = getattr(route, "error_shape", PROBLEM_DETAILS) is PROBLEM_DETAILS
            (own if is_own else foreign).add(getattr(route, "path", ""))
        self.whole = frozenset(foreign)
        literal = {_literal(each) for each in foreign} - {_literal(each) for each in own} - {""}
        self.beginnings = tuple(f"{each}/" for each in literal)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            prefix = scope.get("root_path", "")
            path = scope["path"].removeprefix(prefix)
            if _ODD.match(path) or "//" in path:
                scope["path"] = prefix + self.meant(path)
        await self.app(scope, receive, send)

    def meant(self, path: str) -> str:
        """The path that is meant; the same where it is not of another protocol."""
        found = _BEGINNING.match(path)
        if found is None:
            return path
        rest = path[found.end() :]
        version = found[1] or ("v1" if rest.split("/", 1)[0] in _WITHOUT_VERSION else "")
        tidy = f"/{version}/{rest}" if version else f"/{rest}"
        if (short := tidy.rstrip("/") or "/") in self.whole:
            return short
        return tidy if tidy.startswith(self.beginnings) else path


def _literal(path: str) -> str:
    """The beginning of a route's path, up to its first parameter; empty for that of the page."""
    return path.partition("/{")[0].rstrip("/")
