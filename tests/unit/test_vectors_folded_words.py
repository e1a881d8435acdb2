"""The keyword arm: which texts meet, which words count."""

from __future__ import annotations

import pytest

from winnow.core.errors import IdentityMismatch
from winnow.core.types import Chunk
from winnow.vectors.keywords import FIRST, NEWEST, KeywordEncoder, encoder_of
from winnow.vectors.keywords.folded_words import EARLIER, MAX_QUERY_CHARS, FoldedWords
from winnow.vectors.keywords.vectors import WORDS


@pytest.fixture(scope="module")
def encoder() -> KeywordEncoder:
    return FoldedWords()


def asked(encoder: KeywordEncoder, text: str) -> set[int]:
    vector = encoder.query(text)
    return set() if vector is None else set(vector.indices)


def stored(encoder: KeywordEncoder, text: str, title: str = "") -> dict[int, float]:
    vector = encoder.document("", title, Chunk(0, 0, len(text), text))[WORDS]
    return dict(zip(vector.indices, vector.values, strict=True))


def shared(encoder: KeywordEncoder, query: str, text: str, title: str = "") -> int:
    return len(asked(encoder, query) & stored(encoder, text, title).keys())


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("404", "HTTP error 404 was returned"),
        ("python 3.11", "new in Python 3.11."),
        ("2020", "在2020年发布"),
        ("utf-8", "encoded as UTF-8"),
        ("utf8", "encoded as UTF-8"),
        ("run", "it was running"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("filename", "file\u200bname"),
        ("hyphenation", "hyphen\u00adation"),
        ("语义搜索", "我们提供语义搜索服务"),
        ("検索エンジン", "これは検索エンジンです"),
        ("東京", "私は東京に住んでいます"),
        ("猫", "私の猫は寝ています"),
        ("โรงเรียน", "ฉันไปโรงเรียนทุกวัน"),
        ("join", "os.path.join(a, b)"),
        ("os.path.join", "os.path.join(a, b)"),
        ("json_encoder", "class JSONEncoder"),
        ("encoder", "class JSONEncoder"),
        ("c++", "written in C++"),
        ("rocket 🚀", "the 🚀 rocket"),
        ("👍🏽", "a thumb 👍"),
        ("re", "import re"),
        ("homme", "l'homme"),
    ],
)
def test_every_word_of_the_query_is_found_in_the_document(encoder: KeywordEncoder, query: str, document: str) -> None:
    assert shared(encoder, query, document)


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("STRASSE", "Die Straße ist gesperrt und der Weg ist offen"),
        ("Lodz", "ŁÓDŹ"),
        ("resume", "un re\u0301sume\u0301"),
        ("Iğdır", "IĞDIR"),
        ("istanbul", "İstanbul"),
        ("ОТЧЁТ", "отчет готов"),
        ("ΑΘΗΝΑ", "η Αθήνα"),
        ("電腦", "我的电脑"),
        ("电脑", "我的電腦"),
        ("محمد", "مُحَمَّد"),
        ("कॉपी", "फ़ाइल को कॉपी करने"),
    ],
)
def test_forms_of_one_word_meet(encoder: KeywordEncoder, query: str, document: str) -> None:
    assert shared(encoder, query, document)


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("библиотека", "Библиотеки города открыты по выходным."),
        ("βιβλιοθήκη", "Οι βιβλιοθήκες της πόλης ανοίγουν το πρωί."),
        ("ressam müze", "Müzede geçen yüzyılın ressamlarının tabloları sergileniyor."),
        ("Haus", "Die Häuser in der Altstadt wurden nicht zerstört."),
        ("파일", "파일을 다른 폴더로 복사하는 방법입니다."),
        ("책", "책을 빌리려면 회원증이 있어야 합니다."),
    ],
)
def test_endings_do_not_matter(encoder: KeywordEncoder, query: str, document: str) -> None:
    assert shared(encoder, query, document)


@pytest.mark.parametrize(
    ("one", "other"), [("404", "405"), ("x86", "86"), ("3.11", "3.12"), ("语义", "搜索"), ("йод", "иод"), ("C++", "C#")]
)
def test_different_words_stay_different(encoder: KeywordEncoder, one: str, other: str) -> None:
    assert asked(encoder, one) != asked(encoder, other)


@pytest.mark.parametrize("text", ["", " \n\t", "…?!", "\u200b\ufeff", "= < |"])
def test_a_query_without_words_has_no_vector(encoder: KeywordEncoder, text: str) -> None:
    assert encoder.query(text) is None


def test_stop_words_are_left_out_unless_nothing_else_is_left(encoder: KeywordEncoder) -> None:
    assert asked(encoder, "the copy of a file") == asked(encoder, "copy file")
    assert shared(encoder, "to be or not to be", "To be, or not to be: that is the question.") >= 4


def test_none_is_taken_out_of_an_identifier(encoder: KeywordEncoder) -> None:
    assert asked(encoder, "as_file") > asked(encoder, "file")
    flag, others = "git commit --no-verify", "no signature, verify it"
    assert shared(encoder, "--no-verify", flag) > shared(encoder, "--no-verify", others)


def test_a_title_counts_once_more(encoder: KeywordEncoder) -> None:
    assert shared(encoder, "amber", "a stone", title="amber") == 2
    assert shared(encoder, "amber", "amber is a stone") == 1


def test_stop_words_do_not_make_a_text_longer(encoder: KeywordEncoder) -> None:
    (word,) = asked(encoder, "amber") & stored(encoder, "amber").keys()
    assert stored(encoder, "the amber of an eye")[word] == stored(encoder, "amber eye")[word]


def test_a_repeated_word_weighs_more_but_not_in_proportion(encoder: KeywordEncoder) -> None:
    (once,), (thrice,) = stored(encoder, "amber").values(), stored(encoder, "amber amber amber").values()
    assert once < thrice < 3 * once


def test_the_start_of_an_overlong_query_is_searched_for(encoder: KeywordEncoder) -> None:
    text = "amber " + "x " * MAX_QUERY_CHARS + "birch"
    assert asked(encoder, text) == asked(encoder, "amber x")


def test_an_index_is_read_with_the_tokenizer_it_names() -> None:
    assert asked(encoder_of(FIRST), "амбар") != asked(encoder_of(NEWEST), "амбар")
    with pytest.raises(IdentityMismatch, match=r"bm25:words-9.*version of Winnow that built it"):
        encoder_of("bm25:words-9")


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("ספר", "הספר החדש"),
        ("הספרייה", "ברוכים הבאים לספרייה"),
        ("ירושלים", "ובירושלים"),
        ("كتب", "المفتوحة والكتب"),
        ("हिंदी", "हिन्दी भाषा"),
        ("हिन्दी", "हिंदी"),
        ("पांच", "पाँच"),
    ],
)
def test_particles_and_nasals_do_not_matter(encoder: KeywordEncoder, query: str, document: str) -> None:
    assert shared(encoder, query, document) > 0


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("mueller", "Müller & Söhne"),
        ("Müller", "Mueller GmbH"),
        ("fussgaenger", "Die Fußgänger und der Gehweg"),
        ("підʼїзд", "Під'їзд відчинено"),
        ("під’їзд", "Підʼїзд відчинено"),
        ("sifre", "Bir şifre için çok güç"),
    ],
)
def test_a_query_is_looked_for_in_other_spellings_on_every_index(query: str, document: str) -> None:
    for identity in (*EARLIER, NEWEST):
        assert shared(encoder_of(identity), query, document) > 0


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("Versicherung", "Die Krankenversicherungsbeiträge und der Vertrag"),
        ("Beitrag", "Die Krankenversicherungsbeiträge und der Vertrag"),
        ("Anwalt", "Der Rechtsanwalt prüft und berät"),
        ("Kündigung", "Die Kündigungsfrist ist drei Monate"),
        ("Bahn", "Die Autobahn und der Weg"),
        ("паролі", "Користувачі можуть змінити пароль"),
        ("користувач", "Користувачі можуть змінити пароль"),
        ("вікна", "вікно та її двері"),
        ("бібліотек", "бібліотека її міста"),
        ("1000", "a fee of 1,000 euro"),
        ("1000", "2.000 und 1.000 Stück"),
        ("1250000", "1 250 000 habitants"),
        ("7,000", "7000 pallets"),
        ("2.71828", "Euler 2,71828"),
        ("كتاب", "کتاب را بخوانم"),
        ("برنامه نویسی", "برنامه\u200cنویسی یاد بگیرم"),
    ],
)
def test_parts_endings_and_numbers_are_found(encoder: KeywordEncoder, query: str, document: str) -> None:
    assert shared(encoder, query, document) > 0


def test_a_part_weighs_half_of_a_word_and_is_another(encoder: KeywordEncoder) -> None:
    text = "Der Mietvertrag ist nicht das Haus"
    both = asked(encoder, "Vertrag") & stored(encoder, text).keys()
    assert len(both) == 1
    assert not both & stored(encoder, "Der Vertrag ist nicht das Haus").keys()
    (part,), (word,) = both, asked(encoder, "Mietvertrag") & stored(encoder, "Mietvertrag").keys() - both
    assert stored(encoder, text)[part] == pytest.approx(stored(encoder, text)[word] / 2)


def test_a_spelling_is_no_stop_word(encoder: KeywordEncoder) -> None:
    assert shared(encoder, "toe", "to be") == 0


def test_an_index_without_forms_goes_on_as_it_is() -> None:
    earlier, later = map(encoder_of, EARLIER)
    assert shared(later, "Versicherung", "Die Krankenversicherung und der Vertrag") == 0
    assert shared(later, "паролі", "змінити пароль у їх списку") == 0
    assert shared(earlier, "ספר", "הספר החדש") == 0
    assert shared(earlier, "הספר", "הספר החדש") == 1
