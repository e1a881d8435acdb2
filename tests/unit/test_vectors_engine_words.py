"""The tokenizer of versions up to 0.1: which texts meet, which words count."""

from __future__ import annotations

import pytest

from winnow.core.types import Chunk
from winnow.vectors.keywords import KeywordEncoder
from winnow.vectors.keywords.engine_words import MAX_QUERY_CHARS, EngineWords
from winnow.vectors.keywords.vectors import WORDS


@pytest.fixture(scope="module")
def encoder() -> KeywordEncoder:
    return EngineWords()


def words(encoder: KeywordEncoder, text: str) -> set[int]:
    vector = encoder.query(text)
    return set() if vector is None else set(vector.indices)


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("404", "HTTP error 404 was returned"),
        ("python 3.11", "new in Python 3.11."),
        ("2020", "在2020年发布"),
        ("utf-8", "encoded as UTF-8"),
        ("run", "it was running"),
        ("cafe", "Café"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("１２", "chapter 12"),
        ("filename", "file\u200bname"),
        ("hyphenation", "hyphen\u00adation"),
        ("语义搜索", "我们提供语义搜索服务"),
        ("検索エンジン", "これは検索エンジンです"),
        ("hello_world", "def hello_world():"),
        ("join", "os.path.join(a, b)"),
    ],
)
def test_every_word_of_the_query_is_found_in_the_document(encoder: KeywordEncoder, query: str, document: str) -> None:
    assert words(encoder, query)
    assert words(encoder, query) <= set(encoder.document("", "", Chunk(0, 0, 0, document))[WORDS].indices)


@pytest.mark.parametrize(("one", "other"), [("404", "405"), ("x86", "86"), ("3.11", "3.12"), ("语义", "搜索")])
def test_different_words_stay_different(encoder: KeywordEncoder, one: str, other: str) -> None:
    assert words(encoder, one) != words(encoder, other)


@pytest.mark.parametrize("text", ["", " \n\t", "the of and", "…?!", "\u200b\ufeff"])
def test_a_query_without_words_has_no_vector(encoder: KeywordEncoder, text: str) -> None:
    assert encoder.query(text) is None


def test_a_repeated_word_weighs_more_but_not_in_proportion(encoder: KeywordEncoder) -> None:
    (once,), (thrice,) = (
        encoder.document("", "", Chunk(0, 0, 0, "amber"))[WORDS].values,
        encoder.document("", "", Chunk(0, 0, 0, "amber amber amber"))[WORDS].values,
    )
    assert once < thrice < 3 * once


def test_the_start_of_an_overlong_query_is_searched_for(encoder: KeywordEncoder) -> None:
    text = "amber " + "x " * MAX_QUERY_CHARS + "birch"
    assert words(encoder, text) == words(encoder, "amber x")
