"""Cuts in scripts that write no spaces fall between words."""

from __future__ import annotations

import pytest

from indexer.chunking import words
from indexer.chunking.chunker import chunk_document
from indexer.chunking.words import word_border
from tests.unit.test_chunking import Spelling
from winnow.core.types import Chunking, Document

icu = pytest.importorskip("icu")

SENTENCES = {
    "Thai": ["ภาษา", "ไทย", "เป็น", "ภาษา", "ที่", "สวยงาม", "มาก"],
    "Lao": ["ພາສາ", "ລາວ", "ເປັນ", "ພາສາ", "ທີ່", "ສວຍງາມ"],
    "Khmer": ["ភាសាខ្មែរ", "គឺជា", "ភាសា", "ដ៏", "ស្រស់", "ស្អាត"],
}


@pytest.mark.parametrize("script", SENTENCES)
def test_a_border_is_that_of_a_word(script: str) -> None:
    text = "".join(SENTENCES[script])
    borders = [sum(map(len, SENTENCES[script][:n])) for n in range(len(SENTENCES[script]))]
    for stop in range(1, len(text)):
        assert word_border(text, 0, stop) == max(border for border in borders if border <= stop)


@pytest.mark.parametrize("script", ["Thai", "Lao"])
def test_chunks_begin_and_end_at_words(script: str) -> None:
    text = "".join(SENTENCES[script]) * 30
    chunks = chunk_document(Document("d", text), Spelling(), Chunking(40, 0), max_tokens=1000)
    assert len(chunks) > 3
    starts = tuple(SENTENCES[script])
    assert all(chunk.text.startswith(starts) for chunk in chunks)
    assert all(chunk.text.endswith(starts) for chunk in chunks)


def test_other_scripts_and_a_word_that_fills_everything_have_none() -> None:
    assert word_border("windmills and watermills", 3, 12) == 3
    assert word_border("ภาษา" + "x" * 10, 0, 2) == 0
    assert word_border("𝒳" * 5 + "ภาษาไทย", 0, 10) == 9


def test_without_icu_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_words", lambda: None)
    assert word_border("ภาษาไทยเป็นภาษา", 0, 9) == 0
