"""Highlights: spans a reader would expect, in any script."""

from __future__ import annotations

import itertools
import unicodedata
from typing import Literal

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
        ("책", "도서관에서 책을 빌릴", ["책"]),
        ("mueller gruesst", "Müller grüßt", ["Müller grüßt"]),
        ("Müller", "Herr Mueller", ["Mueller"]),
        ("pots", "two poets", []),
        ("паролі", "змінити пароль", ["пароль"]),
        ("бібліотеки", "Бібліотека відкрита", ["Бібліотека"]),
        ("елка", "ёлки и план", ["ёлки"]),
        ("плач", "новый план", []),
        ("Versicherung", "Die Krankenversicherungsbeiträge steigen", ["Krankenversicherungsbeiträge"]),
        ("Vertrag", "Der Mietvertrag läuft", ["Mietvertrag"]),
        ("tisch", "Statistisch gesehen über dem Mittel", []),
        ("1000", "a fee of 1,000, 1.000 or 1 000, not 1, 000 or 1,0000", ["1,000", "1.000", "1 000"]),
        ("1,250,000", "1250000 of 1.250.000", ["1250000", "1.250.000"]),
        ("3,14", "Pi is 3.14", ["3", "14"]),
        ("software installer", "the soft\u00adware in\u200bstaller", ["soft\u00adware in\u200bstaller"]),
        ("qui\u200bck fox", "a quick fox", ["quick fox"]),
        ("المكتبة", "المـــكتبة العامة", ["المـــكتبة"]),
        ("مدرسه", "في مدرسة", ["مدرسة"]),
        ("میخواهم", "می\u200cخواهم کتاب", ["می\u200cخواهم"]),
        ("データ", "ﾃﾞｰﾀを保存", ["ﾃﾞｰﾀ"]),
    ],
)
def test_words_of_the_query_are_marked(query: str, text: str, expected: list[str]) -> None:
    assert marked(query, text) == expected


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("도서관", "서울 도서관에서 책을", "도서관"),
        ("데이터", "그 데이터를 쓴다", "데이터"),
        ("データベース", "このデータベースは", "データベース"),
        ("ガレージ", "大きなガレージで", "ガレージ"),
        ("thư viện", "Thư viện mở cửa", "Thư viện"),
        ("Αθήνα", "Η ΑΘΉΝΑ είναι", "ΑΘΉΝΑ"),
    ],
)
@pytest.mark.parametrize("forms", list(itertools.product(("NFC", "NFD"), repeat=2)))
def test_composed_and_decomposed_letters_are_marked_whole(
    query: str, text: str, expected: str, forms: tuple[Literal["NFC", "NFD"], Literal["NFC", "NFD"]]
) -> None:
    asked, stored = forms
    found = marked(unicodedata.normalize(asked, query), unicodedata.normalize(stored, text))
    assert found == [unicodedata.normalize(stored, expected)]


def test_spans_are_ordered_disjoint_and_bounded() -> None:
    spans = Highlighter("word").spans("word other " * 100)
    assert len(spans) == MAX_SPANS
    assert all(a.end < b.start for a, b in itertools.pairwise(spans))
