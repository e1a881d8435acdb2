"""Questions with known answers: only they tell a model that is deployed wrongly from one that answers well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from winnow.core.types import ArmScore, Candidate, Chunk, Chunking, Collection, Index, IndexIdentity


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

_IDENTITY: Final = IndexIdentity("", "", "", 0, "", "", "")
NOWHERE: Final = Collection(Index("check-up", "0" * 32, 1, _IDENTITY), Chunking(), {})  # for texts that no index holds


def candidates_of(texts: Sequence[str]) -> list[Candidate]:
    """Texts as candidates of ``NOWHERE``, between which the first stage saw no difference."""
    score = ArmScore(1, 0.5)
    return [
        Candidate("", str(number), 1, Chunk(0, 0, len(text), text), "", "", {}, None, None, score)
        for number, text in enumerate(texts)
    ]
