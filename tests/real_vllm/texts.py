"""Queries and passages in English and Chinese: every query goes with every passage of its language, 60 pairs."""

from __future__ import annotations

from typing import NamedTuple


class Question(NamedTuple):
    query: str
    passages: tuple[str, ...]


ENGLISH = (
    "Paris is the capital and largest city of France.",
    "Bananas are rich in potassium and ripen after the harvest.",
    "copy2 makes a copy of a file and keeps its timestamps and permissions.",
    "The river Seine flows through Paris and into the English Channel.",
    "def main() -> None:\n    print('hello')\n",
    "A very short one.",
    "Lyon, Marseille and Toulouse are large cities; none of them is the seat of government. " * 12,
    "42",
    "“Curly quotes”, em-dashes — and … dots; café, naïve, Zürich.",
    "Shall I compare thee to a summer's day? Thou art more lovely and more temperate.",
)
CHINESE = (
    "珠穆朗玛峰是世界最高峰，海拔约8849米。",
    "红烧肉要先用小火炖一个小时，再放入冰糖。",
    "勤洗手、多锻炼、保证睡眠，有助于预防感冒。",
    "这列火车每天早上八点从上海出发，下午到达广州。",
    "长江是中国最长的河流。" * 30,
    "好",
    "Python 3.11 的 asyncio 支持 TaskGroup。",
    "“引号”与《书名号》、省略号……以及全角！？",
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。",
    "北京是中华人民共和国的首都。\n\n人口超过两千万。",
)
QUESTIONS = (
    Question("What is the capital of France?", ENGLISH),
    Question("how do I copy a file and keep its timestamps", ENGLISH),
    Question("potassium", ENGLISH),
    Question("珠穆朗玛峰有多高？", CHINESE),
    Question("怎样预防感冒", CHINESE),
    Question("中国的首都是哪里？", CHINESE),
)
