"""How much of a text the bundled model knows."""

from __future__ import annotations

import pytest

from winnow.models.bundled.wordpieces import WordPieces, known_share, latin_share


@pytest.fixture(scope="module")
def wordpieces() -> WordPieces:
    return WordPieces()


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("plain English", 1.0),
        ("naïve café, Łódź, Straße", 1.0),
        ("3.14 + 2 == [5, {}]", 1.0),
        ("3 × 4 ÷ 2 → 6 €", 1.0),
        ("", 1.0),
        ("数据库", 0.0),
        ("ab数据", 0.5),
        ("файл", 0.0),
        ("e\u0301", 1.0),
    ],
)
def test_share_of_latin_letters(text: str, share: float) -> None:
    assert latin_share(text) == share


def test_share_of_known_words() -> None:
    assert known_share(4, 1) == 0.75
    assert known_share(0, 0) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "How do I copy a file and keep its timestamps?",
        "def spans(self, text: str) -> list[tuple[int, int]]: ...",
        "What is the weather like in Łódź?",
        "Gödel's incompleteness theorem",
        "rocket 🚀",
        "★★★ hotels ❤️",
        "42",
        "naïve café",
    ],
)
def test_text_in_latin_script_is_known(wordpieces: WordPieces, text: str) -> None:
    assert wordpieces.read([text])[0].coverage == 1


@pytest.mark.parametrize(
    "text",
    [
        "数据库如何连接到服务器",
        "日本語のテキストを検索する",
        "الخادم لا يستجيب",
        "сервер базы данных не отвечает",
        "ไฟล์หายไปไหน",
        "데이터베이스에 연결",
        "डेटाबेस से कनेक्ट करें",
        "🙂🙃",
        "",
        " \n",
    ],
)
def test_other_scripts_and_nothing_are_unknown(wordpieces: WordPieces, text: str) -> None:
    assert wordpieces.read([text])[0].coverage == 0


def test_mixed_text_is_partly_known(wordpieces: WordPieces) -> None:
    mostly_english, mostly_chinese = (
        reading.coverage for reading in wordpieces.read(["the α-helix of a protein", "使用 pandas 读取 CSV 文件"])
    )
    assert 0.9 < mostly_english < 1
    assert 0 < mostly_chinese < 0.5


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("Der Übersetzer prüft die Schlüssel der Wörterbücher.", 0.3, 0.8),
        ("Bir dosyayı zaman damgalarını koruyarak nasıl kopyalarım?", 0.0, 0.4),
        ("Làm thế nào để sao chép một tệp mà vẫn giữ nguyên thời gian sửa đổi của nó?", 0.0, 0.5),
        ("Comment copier un fichier en gardant sa date de modification, créée à Genève ?", 0.6, 1.0),
    ],
)
def test_other_languages_in_latin_letters_are_known_in_part(
    wordpieces: WordPieces, text: str, least: float, most: float
) -> None:
    assert least <= wordpieces.read([text])[0].coverage <= most


def test_a_query_is_read_without_emoji_unless_it_is_nothing_else(wordpieces: WordPieces) -> None:
    with_emoji, without, alone = wordpieces.read(["rocket 🚀", "rocket", "🚀"], kind="query")
    assert with_emoji.ids == without.ids
    assert alone.tokens == 1
