"""Who calls the service: the principals of requests, the origins of pages, and refusals in the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from starlette.types import Scope

from winnow.core.errors import NotFound, UpstreamUnavailable, WinnowError
from winnow.core.principal import UNKNOWN, Principal
from winnow.core.settings import ServerSettings
from winnow.operations.access import Access
from winnow.operations.audit import REFUSED, event_of, is_refusal
from winnow.operations.librechat_tokens import LibreChatTokens
from winnow.operations.resources import Resources
from winnow.operations.tokens import Tokens


class Callers:
    """The callers of one service.

    Args:
        resources: the open resources; raises ``UpstreamUnavailable`` while they are not open.
    """

    def __init__(self, settings: ServerSettings, resources: Callable[[], Resources]) -> None:
        self._settings = settings
        self._resources = resources
        self._bootstrap = settings.bootstrap_secret
        shared = settings.librechat_secret.get_secret_value()
        self._librechat = LibreChatTokens(shared, settings.librechat_collection) if shared else None
        self._access: Access | None = None
        self._tokens: Tokens | None = None

    @property
    def access(self) -> Access:
        """Finds the principal of a request; raises as ``resources`` does."""
        if self._access is None:
            self._access = Access(
                self._resources().catalog.keys, self.tokens, self._bootstrap, librechat=self._librechat
            )
        return self._access

    @property
    def tokens(self) -> Tokens:
        """Mints and verifies tokens; raises as ``resources`` does."""
        if self._tokens is None:
            self._tokens = Tokens(self._resources().catalog.tokens, self._resources().catalog.trail)
        return self._tokens

    async def principal_of(self, headers: Mapping[str, str]) -> Principal:
        """Who makes a request with these headers; raises ``WinnowError``, also as ``resources`` does."""
        return await self.access.principal(headers)

    async def allowed_origins(self) -> Collection[str]:
        """The origins of all who may call from a browser: those of the settings and of all keys.

        Those of the settings alone while the catalog does not answer.
        """
        configured = self._settings.cors_origins
        try:
            return {*configured, *(await self.access.summary()).origins}
        except WinnowError:
            return configured

    def note_error(self, scope: Scope, error: Exception) -> None:
        """Record in the audit trail an answer that the caller's credential is the reason for."""
        if not is_refusal(error):
            return
        try:
            trail = self._resources().catalog.trail
        except UpstreamUnavailable:
            return
        principal = scope["state"].get("principal", replace(UNKNOWN, subject=getattr(error, "subject", "")))
        principal = replace(principal, request_id=scope["state"].get("request_id", ""))
        params = scope.get("path_params", {})
        collection = params.get("name", "")
        event = event_of(
            principal,
            REFUSED,
            collection=collection,
            document=params.get("id", "") if collection else "",
            outcome="withheld" if isinstance(error, NotFound) else getattr(error, "code", ""),
            operation=getattr(scope.get("route"), "name", ""),
        )
        trail.note(event)

    def forget(self) -> None:
        """Drop what came from resources that are closed now."""
        self._access = self._tokens = None
