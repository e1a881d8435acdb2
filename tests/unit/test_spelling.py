"""A query as the texts spell it, for an encoder that knows accents and capitals and for one that does not."""

from __future__ import annotations

import pytest

from winnow.models.bundled.spelling import spelled_like


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("thu vien", "Thư viện mở cửa từ thứ hai", "Thư viện"),
        ("thu hai", "Thư viện mở cửa từ thứ hai", "thứ hai"),
        ("istanbul", "İstanbul'da yaşayan", "İstanbul"),
        ("ΑΘΗΝΑ", "Η Αθήνα είναι", "Αθήνα"),
        ("ΧΡΗΣΤΗΣ ΚΩΔΙΚΟΣ", "Ο χρήστης αλλάζει", "χρήστης κωδικος"),
        ("mueller gruesst", "Herr Müller grüßt", "Müller grüßt"),
        ("Müller", "Herr Mueller", "Mueller"),
        ("fee of 1000?", "The fee is 1,000 euro", "fee of 1,000?"),
        ("1.000", "It costs 1000", "1000"),
        ("2.71828", "Euler: 2,71828", "2,71828"),
        ("القران", "يقرأ القرآن في", "القرآن"),
        ("software", "the soft\u00adware is", "software"),
    ],
)
def test_words_are_spelled_as_in_the_texts(query: str, text: str, expected: str) -> None:
    assert spelled_like(query, ["Another text.", text], cased=True) == expected


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("thư viện", "Thu vien"),
        ("apple pie", "Apple Pie is sweet"),
        ("NATO", "a nato of it"),
        ("pots", "two poets"),
        ("resume", "the meeting"),
        ("도서관", "도서관에서"),
        ("!?", "wow"),
    ],
)
def test_other_words_stay_as_they_were_typed(query: str, text: str) -> None:
    assert spelled_like(query, [text, query if "ư" in query else ""], cased=True) == query


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("resume", "the résumé of it", "resume"),
        ("STRASSE", "Die Straße ist", "Straße"),
        ("isik", "ışık hızı", "ışık"),
        ("1000", "a fee of 1,000", "1,000"),
    ],
)
def test_an_encoder_without_accents_is_helped_with_other_letters_alone(query: str, text: str, expected: str) -> None:
    assert spelled_like(query, [text], cased=False) == expected


def test_a_long_query_is_a_text_and_stays() -> None:
    assert spelled_like("ha noi " * 33, ["Hà Nội"], cased=True) == "ha noi " * 33
