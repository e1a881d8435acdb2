"""Who a request comes from: the principal of its credential."""

from __future__ import annotations

from winnow.core.principal import OPEN, Principal


class Access:
    """Finds the principal of a credential."""

    async def principal(self, authorization: str | None) -> Principal:  # noqa: ARG002
        """The principal of an ``Authorization`` header."""
        return OPEN
