"""The bundled model's tokenizer."""

from __future__ import annotations

import random

import pytest

from winnow.models.bundled.wordpieces import MAX_TOKENS, WordPieces


@pytest.fixture(scope="module")
def wordpieces() -> WordPieces:
    return WordPieces()


def test_spans_of_long_text_are_those_of_its_parts(wordpieces: WordPieces) -> None:
    chosen = random.Random(7)
    lines = [" ".join(chosen.choices(["file", "übertragen", "数据", "x=1;", "timestamps"], k=20)) for _ in range(1000)]
    expected, base = [], 0
    for line in lines:
        expected += [(base + start, base + end) for start, end in wordpieces.spans(line)]
        base += len(line) + 1
    assert wordpieces.spans("\n".join(lines)) == expected


def test_there_are_as_many_spans_as_the_model_reads_tokens(wordpieces: WordPieces) -> None:
    text = "Hyperparameters of naïve tokenizers, e.g. 数据库 \ud800!"
    assert len(wordpieces.spans(text)) == wordpieces.read([text])[0].tokens


def test_a_text_is_framed_by_special_tokens_and_cut(wordpieces: WordPieces) -> None:
    short, long = wordpieces.read(["hello", "hello " * 1000])
    assert (short.ids[0], short.ids[-1], short.tokens, short.head) == (101, 102, 1, 1)
    assert (long.ids[0], long.ids[-1], long.tokens) == (101, 102, MAX_TOKENS)


def test_markup_of_special_tokens_in_a_text_is_no_control(wordpieces: WordPieces) -> None:
    reading = wordpieces.read(["a [SEP] b [PAD] c"])[0]
    assert reading.ids.count(102) == 1
    assert 0 not in reading.ids


def test_an_instruct_stands_in_front_and_leaves_room(wordpieces: WordPieces) -> None:
    reading = wordpieces.read(["hello"], "find words")[0]
    assert reading.head == 3
    assert reading.ids[reading.head : -1] == wordpieces.read(["hello"])[0].ids[1:-1]
    crowded = wordpieces.read(["hello"], "find " * 1000)[0]
    assert crowded.ids[crowded.head : -1] == reading.ids[reading.head : -1]


def test_an_instruct_says_nothing_about_the_query(wordpieces: WordPieces) -> None:
    assert wordpieces.read(["数据库如何连接"], "find greetings")[0].coverage == 0
