"""Questions with known answers: only they tell a model that is deployed wrongly from one that answers well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from winnow.core.types import Chunk
from winnow.ports.models import Passage


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
