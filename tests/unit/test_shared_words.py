"""The share of a query's words in texts that the embedder cannot read."""

from __future__ import annotations

import numpy as np
import pytest

from winnow.models.bundled.shared_words import word_share


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("istanbul", "İstanbul'da yaşayan çok"),
        ("IŞIK", "ışık hızı"),
        ("thu vien", "Thư viện mở cửa"),
        ("zazolc gesla jazn", "Zażółć gęślą jaźń"),
        ("łódź", "Lodz to miasto"),
        ("αθηνα", "Η Αθήνα είναι η πρωτεύουσα"),
        ("שלום", "שָׁלוֹם עֲלֵיכֶם"),
        ("مكتبة", "مَكْتَبَة مفتوحة"),
        ("المكتبة", "المـــكتبة العامة"),
        ("احمد", "أحمد يقرأ"),
        ("mueller", "Müller grüßt"),
        ("Müller", "Herr Mueller"),
        ("1000 places", "1,000 places"),
        ("1.250.000", "1 250 000 habitants"),
    ],
)
def test_words_are_found_whatever_their_accents(query: str, text: str) -> None:
    assert word_share(query, [text, "quite another text"]).tolist() == [pytest.approx(1.0), 0.0]


@pytest.mark.parametrize(
    ("query", "text"),
    [("счёт", "Счета оплачены"), ("елка", "ёлки на рынке"), ("город", "в городах"), ("λόγος", "λόγου")],
)
def test_another_ending_counts_in_part(query: str, text: str) -> None:
    assert word_share(query, [text]) == [pytest.approx(0.8)]


def test_a_part_of_a_german_compound_counts_in_part() -> None:
    assert word_share("Versicherung", ["Die Krankenversicherungsbeiträge steigen"]) == [pytest.approx(0.8)]
    assert word_share("standing", ["Understanding of it"]) == [0.0]


def test_a_short_word_is_not_the_beginning_of_any() -> None:
    assert word_share("план счет", ["планета", "счетоводство"]).tolist() == [0.0, 0.0]


def test_marks_that_make_another_letter_count() -> None:
    assert word_share("мои", ["мой дом"]) == [0.0]


def test_what_bm25_finds_by_a_form_that_is_not_compared_is_not_worth_nothing() -> None:
    by_stem = word_share("軟體", ["一款软体", "another text"], np.array([3.0, 0.0]))
    assert by_stem[0] > 0.2
    assert by_stem[1] == 0.0
