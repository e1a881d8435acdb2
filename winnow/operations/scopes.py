"""The scopes of use cases that one of several scopes suffices for."""

from __future__ import annotations

from typing import Final

from winnow.core.principal import Scope

SEEING: Final[tuple[Scope, ...]] = ("search", "documents:read", "documents:write", "collections:admin", "operate")
"""To see a collection: its settings and counts."""
FOLLOWING: Final[tuple[Scope, ...]] = ("documents:write", "operate")
"""To follow jobs, retry their failures and cancel them: for those who submit documents, and for operators."""
