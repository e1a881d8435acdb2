"""What a check-up finds, and what an adapter of a server adds to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

FindingStatus = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was looked at, in a word or two.
        seen: what was found, with figures; of something skipped, why.
        fix: what to do about it; empty unless it failed.
        kind: ``structure`` must hold for a model of any weights, ``answers`` needs a trained one.
    """

    check: str
    status: FindingStatus
    seen: str
    fix: str = ""
    kind: Literal["structure", "answers"] = "structure"


@runtime_checkable
class Remote(Protocol):
    """What an embedder or reranker behind HTTP can say about its server beyond its port."""

    async def ping(self) -> None:
        """Raise ``Upstream`` unless the server answers. Free of charge: does nothing where that cannot be asked."""
        ...

    async def self_check(self) -> Sequence[Finding]:
        """Look at what only this kind of server shows: its models, its limits, its template."""
        ...
