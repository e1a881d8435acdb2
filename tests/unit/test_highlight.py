"""Highlights: spans a reader would expect, in any script."""

from __future__ import annotations

import itertools

import pytest

from winnow.search.highlight import MAX_SPANS, Highlighter


def marked(query: str, text: str) -> list[str]:
    return [text[span.start : span.end] for span in Highlighter(query).spans(text)]


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("copy a file", "Copy the FILE and a file's name", ["Copy", "FILE", "file's"]),
        ("timestamps", "keeps the timestamp", ["timestamp"]),
        ("file system", "the file system is full", ["file system"]),
        ("the", "the cat", ["the"]),
        ("哪两个公司合作开发", "由光荣和两个公司开发的游戏", ["两个公司开发"]),
        ("größe", "Die GRÖSSE zählt", ["GRÖSSE"]),
        ("!!!", "wow!!!", []),
        ("cat", "concatenate", []),
        ("copy", "xcopy file_copy o'copy copy's", ["copy", "copy's"]),
        ("caf", "a café", []),
        ("strasse", "Die Straße", ["Straße"]),
        ("copy", "ＣＯＰＹ – copied", ["ＣＯＰＹ"]),
        ("résumé", "Le re\u0301sume\u0301 du livre", ["re\u0301sume\u0301"]),
        ("cafe", "un cafe\u0301 au lait, un café", ["cafe\u0301", "café"]),
        ("कॉपी", "फ़ाइल को कॉपी करने का तरीका", ["कॉपी"]),
        ("مُحَمَّد", "كتب محمد رسالة", ["محمد"]),
        ("thu vien", "Thư viện mở cửa", ["Thư viện"]),
        ("שלום", "אמר שָׁלוֹם לכולם", ["שָׁלוֹם"]),
        ("ฟล", "คัดลอกไฟล์นี้", ["ฟล์"]),
        ("파일", "파일을 다른 폴더로 복사", ["파일"]),
        ("🚀 launch", "the 🚀 is ready", ["🚀"]),
    ],
)
def test_words_of_the_query_are_marked(query: str, text: str, expected: list[str]) -> None:
    assert marked(query, text) == expected


def test_spans_are_ordered_disjoint_and_bounded() -> None:
    spans = Highlighter("word").spans("word other " * 100)
    assert len(spans) == MAX_SPANS
    assert all(a.end < b.start for a, b in itertools.pairwise(spans))
