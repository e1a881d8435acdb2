"""The findings of a check-up, and the checks that an adapter of a server adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

FindingStatus = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: its name, in a word or two.
        seen: the observation, with figures; the reason where it was skipped.
        fix: the remedy; empty unless the check failed.
        kind: ``structure`` must hold for a model of any weights, ``answers`` needs a trained one.
    """

    check: str
    status: FindingStatus
    seen: str
    fix: str = ""
    kind: Literal["structure", "answers"] = "structure"


@runtime_checkable
class Remote(Protocol):
    """Checks of its server that an embedder or reranker behind HTTP offers beyond its port."""

    async def ping(self) -> None:
        """Raise ``Upstream`` unless the server answers. Does nothing where each call costs money."""

    async def self_check(self) -> Sequence[Finding]:
        """Check the properties that only this kind of server shows: its models, its limits, its template."""
