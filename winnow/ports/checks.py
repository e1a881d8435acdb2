"""Checks of deployed models: findings, questions with known answers, and what an adapter of a server adds.

Only known answers tell a model that is deployed wrongly from one that answers well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol, Self, runtime_checkable

from winnow.core.types import Chunk
from winnow.ports.models import Passage

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

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses that calls go to, as they are called."""

    async def ping(self) -> None:
        """Raise ``Upstream`` unless the server answers. Does nothing where each call costs money."""

    async def self_check(self) -> Sequence[Finding]:
        """Check the properties that only this kind of server shows: its models, its limits, its template."""

    def each(self) -> Mapping[str, Self]:
        """By address, the model as that one alone serves it, which the caller closes; empty where it has one."""


class Question(NamedTuple):
    """A query, the passage that answers it, and one that has nothing to do with it."""

    query: str
    right: str
    wrong: str


QUESTIONS: Final = (
    Question(
        "What is the capital of France?",
        "Paris is the capital and largest city of France.",
        "Bananas are rich in potassium and ripen after the harvest.",
    ),
    Question(
        "how do I copy a file and keep its timestamps",
        "copy2 makes a copy of a file and keeps its timestamps and permissions.",
        "Most sonnets have fourteen lines with rhymes at their ends.",
    ),
    Question(
        "“珠穆朗玛峰”有多高？",
        "“珠穆朗玛峰”是世界最高峰，海拔约8849米。",
        "红烧肉要先用小火炖一个小时，再放入冰糖。",
    ),
    Question(
        "怎样预防“感冒”？",
        "勤洗手、多锻炼、保证睡眠，有助于预防“感冒”。",
        "这列火车每天早上八点从上海出发，下午到达广州。",
    ),
)


def passages_of(texts: Sequence[str]) -> list[Passage]:
    """Plain texts as passages that no index holds."""
    return [Passage(Chunk(0, 0, len(text), text)) for text in texts]
