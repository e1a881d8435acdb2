"""Refusal of requests that a page of another site makes a browser send, before they are routed.

A browser sends them with whatever the user's machine may reach: a service on loopback without a key would carry them
out. ``Sec-Fetch-Site`` and ``Origin`` (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/; RFC 6454) say where they
come from, and no page can forge them. Programs that are not browsers send neither and are not concerned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from service.cors import FindOrigins
from service.errors import CROSS_SITE, Problem, problem_response
from service.request_fields import field_of

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREIGN: Final = frozenset({"cross-site", "same-site"})
_PORTS: Final = {"http": 80, "https": 443}
_ANYWHERE: Final = ("/widget/", "/1/events", "/v1/events")  # files of the widget, and answers to beacons
_POLICY: Final = b"cross-origin-resource-policy"
_NO_FRAMES: Final = (b"content-security-policy", b"frame-ancestors 'none'")
_OWN_POLICY: Final = ((_POLICY, b"same-origin"), _NO_FRAMES)
_ANYWHERE_POLICY: Final = ((_POLICY, b"cross-origin"), _NO_FRAMES)


class CrossSite:
    """Refuses foreign pages' writes and blind reads. ``embedding_policy`` keeps them from embedding what is answered.

    Refused are unsafe methods from another site or origin, and reads under ``/v1/`` in mode ``no-cors``, as an
    ``<img>`` sends them, unless the origin is the service's own or an allowed one.

    Args:
        allowed: the origins of all who may call from a browser.
    """

    def __init__(self, app: ASGIApp, allowed: FindOrigins) -> None:
        self.app = app
        self.allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if await self._is_refused(scope):
            origin = field_of(scope, b"origin")
            detail = f"a page of {origin[:80]!r}" if origin else "a page of another site"
            remedy = "allow its origin in a key (winnow keys create --origin …) or in server.cors_origins"
            problem = Problem(CROSS_SITE, f"{detail} sent this request; {remedy}")
            await problem_response(scope, problem)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _is_refused(self, scope: Scope) -> bool:
        site, origin = field_of(scope, b"sec-fetch-site"), field_of(scope, b"origin")
        if scope["method"] in _SAFE:
            blind = site in _FOREIGN and field_of(scope, b"sec-fetch-mode") == "no-cors"
            return blind and "/v1/" in scope["path"]
        if origin is not None:
            return not is_own(origin, field_of(scope, b"host") or "") and origin not in await self.allowed()
        return site in _FOREIGN


def is_own(origin: str, host: str) -> bool:
    """Whether a page of ``origin`` was served under ``host``, the ``Host`` header of its request.

    The scheme is not compared: behind a proxy that ends TLS the service does not know it.
    """
    try:
        own = urlsplit(origin)
        asked = urlsplit(f"{own.scheme}://{host}")
        default = _PORTS.get(own.scheme)
        return (own.hostname, own.port or default) == (asked.hostname, asked.port or default) and bool(own.hostname)
    except ValueError:
        return False


def embedding_policy(scope: Scope) -> Sequence[tuple[bytes, bytes]]:
    """Fields by which other sites' pages cannot embed the answer to a request, unless it has such fields already.

    Of a scope that has not been routed: a mounted application changes its path.
    """
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return _ANYWHERE_POLICY if path.startswith(_ANYWHERE) else _OWN_POLICY
