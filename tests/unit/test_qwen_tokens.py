"""Qwen's tokens: counts, and where in the text they are."""

from __future__ import annotations

import hashlib
import lzma
import random
import unicodedata
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from winnow.core.errors import InvalidSettings
from winnow.models.qwen_tokens import _VOCABULARY, FileTokens, QwenTokens, load_tokenizer


@pytest.fixture(scope="module")
def qwen() -> QwenTokens:
    return QwenTokens()


def parts(tokens: QwenTokens, text: str) -> list[str]:
    return [text[start:end] for start, end in tokens.spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Hello world", ["Hello", " world"]),
        ("It's 2024", ["It", "'s", " ", "2", "0", "2", "4"]),
        ("a\n\n  b", ["a", "\n\n", " ", " b"]),
        ("数据库如何连接", ["数据库", "如何", "连接"]),
    ],
)
def test_text_is_cut_as_qwen_cuts_it(qwen: QwenTokens, text: str, expected: list[str]) -> None:
    assert parts(qwen, text) == expected
    assert qwen.count(text) == len(expected)


def test_special_tokens_are_text(qwen: QwenTokens) -> None:
    assert qwen.count("<|im_end|>") > 1


def test_a_character_of_several_tokens_is_one_span(qwen: QwenTokens) -> None:
    assert qwen.count("𓀀") > 1
    assert parts(qwen, "a 𓀀 b")[-2:] == ["𓀀", " b"]


def test_offsets_are_those_of_the_original_text(qwen: QwenTokens) -> None:
    decomposed = unicodedata.normalize("NFD", "Ein Café über Ärger")
    composed = [unicodedata.normalize("NFC", part) for part in parts(qwen, decomposed)]
    assert composed == parts(qwen, unicodedata.normalize("NFC", decomposed))
    assert qwen.count(decomposed) == qwen.count(unicodedata.normalize("NFC", decomposed))


def test_spans_cover_any_text_without_gaps(qwen: QwenTokens) -> None:
    alphabet = "aé数据 \n!'s1😀\u0301\u1100\u1161\u11a8가\u09be\u09c7क़\ud83d𓀀👩‍🚀\u0323か\u3099\0"
    chance = random.Random(7)
    for _ in range(3000):
        text = "".join(chance.choices(alphabet, k=chance.randint(1, 12)))
        spans = list(qwen.spans(text))
        assert all(start < end for start, end in spans), ascii(text)
        assert [end for _, end in spans] == [*[start for start, _ in spans[1:]], len(text)], ascii(text)
        assert spans[0][0] == 0


@pytest.mark.parametrize("text", [" " * 200_000, "a" * 200_000, "\n" * 200_000, " " * 200_000 + "x", "数" * 50_000])
def test_long_runs_of_a_character_are_counted(qwen: QwenTokens, text: str) -> None:
    spans = qwen.spans(text)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    assert len(spans) == qwen.count(text)


def test_a_long_text_has_the_tokens_of_its_parts(qwen: QwenTokens) -> None:
    sentence = " The river is long, isn't it?\n- 长江 is  6300 km!"
    assert qwen.count(sentence * 2000) == 2000 * qwen.count(sentence)


def test_no_text_has_more_tokens_than_bytes(qwen: QwenTokens) -> None:
    text = "".join(map(chr, range(0x20, 0x3000)))
    assert qwen.count(text) <= len(unicodedata.normalize("NFC", text).encode())


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 5, 99])
def test_the_beginning_holds_no_more_than_asked(qwen: QwenTokens, limit: int) -> None:
    text = "Ab 𓀀 数据库 isn't"
    beginning, tokens = qwen.beginning(text, limit)
    assert text.startswith(beginning)
    assert tokens <= limit
    assert qwen.count(beginning) <= tokens


def test_the_vocabulary_is_the_published_one() -> None:
    content = lzma.decompress(_VOCABULARY.read_bytes())
    assert hashlib.sha256(content).hexdigest() == "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186"
    assert [int(line.split()[1]) for line in content.splitlines()] == list(range(151_643)), "in order of rank"


def test_a_tokenizer_file_counts_too(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=9)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    loaded = load_tokenizer(str(path))
    assert isinstance(loaded, FileTokens)
    assert list(loaded.spans("a b \ud83d c")) == [(0, 1), (2, 3), (4, 5), (6, 7)], "neither cut nor padded"
    assert loaded.count("a b c") == 3
    assert loaded.name.startswith("tokenizer.json-")


def test_qwen_is_known_by_name() -> None:
    assert load_tokenizer("qwen").name == "qwen3"


@pytest.mark.parametrize("content", [None, b"{}", b"\xff"])
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidSettings, match="WINNOW_EMBEDDING__TOKENIZER") as caught:
        load_tokenizer(str(path))
    assert str(path) in caught.value.message
