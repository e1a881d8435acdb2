"""What holds for every chunk of every document, and how plain text is cut."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indexer.chunking.chunker import chunk_document, chunk_passages, fit_title
from winnow.conversion.convert import canonical
from winnow.core.marks import Mark
from winnow.core.types import Chunk, Chunking, Document, passage_of
from winnow.testing.models import WordTokenizer


class Spelling(WordTokenizer):
    """Not additive: the first word of a text is spelt out, so that a slice has more tokens than it had in its text."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        found = super().spans(text)
        first = [(at, at + 1) for at in range(*found[0])] if found else []
        return first + found[1:]


def cut(text: str, *, format: str = "text", title: str = "", size: int = 32, overlap: int = 8) -> list[Chunk]:
    """Chunks of a text that is canonical already."""
    document = Document("d", text, format, title)
    return chunk_document(document, WordTokenizer(), Chunking(size, overlap), max_tokens=10_000)


def tokens(text: str) -> int:
    return len(WordTokenizer().spans(text))


PROSE = " ".join(f"Sentence number {i} says a little about topic {i}." for i in range(40))


def test_a_short_document_is_one_chunk() -> None:
    assert cut("  Only a few words.\n\nTwo paragraphs.\n") == [Chunk(0, 2, 36, "Only a few words.\n\nTwo paragraphs.")]


@pytest.mark.parametrize("text", ["", "   \n\t\n"])
def test_a_blank_document_has_no_chunks(text: str) -> None:
    assert cut(text, title="Title") == []


def test_the_smaller_of_both_limits_holds() -> None:
    chunks = chunk_document(Document("d", PROSE), WordTokenizer(), Chunking(64, 0), max_tokens=20)
    assert max(tokens(chunk.text) for chunk in chunks) <= 20


def test_cuts_fall_at_sentence_ends() -> None:
    chunks = cut(PROSE, overlap=0)
    assert len(chunks) > 5
    assert all(chunk.text.startswith("Sentence") and chunk.text.endswith(".") for chunk in chunks)


def test_cuts_fall_at_chinese_sentence_ends() -> None:
    text = "".join(f"这是第{i}个句子，说一点内容。" for i in range(20))
    chunks = cut(text, size=8, overlap=0)
    assert len(chunks) > 5
    assert all(chunk.text.endswith("。") for chunk in chunks)


def test_chunks_are_of_even_size_rather_than_full_with_a_rest() -> None:
    sizes = [tokens(chunk.text) for chunk in cut(" ".join(f"w{i}" for i in range(70)), size=64, overlap=0)]
    assert len(sizes) == 2
    assert min(sizes) > 25


def test_paragraphs_stay_whole_and_are_not_repeated() -> None:
    paragraphs = [f"Paragraph {i} " + "word " * 12 + "end." for i in range(9)]
    chunks = cut("\n\n".join(paragraphs), size=40, overlap=16)
    assert "\n\n".join(chunk.text for chunk in chunks) == "\n\n".join(paragraphs)


def test_the_parts_of_one_paragraph_overlap_by_whole_sentences() -> None:
    chunks = cut(PROSE, size=32, overlap=12)
    for before, after in pairwise(chunks):
        shared = PROSE[after.start : before.end]
        assert shared.startswith("Sentence")
        assert 0 < tokens(shared) <= 12


def test_a_sentence_without_end_overlaps_by_words() -> None:
    chunks = cut(" ".join(f"word{i}" for i in range(200)), size=32, overlap=8)
    for before, after in pairwise(chunks):
        assert tokens(before.text[after.start - before.start :]) == 8


def test_a_run_of_characters_that_the_tokenizer_does_not_know_is_still_bounded() -> None:
    chunks = cut("x" * 20_000, size=64)
    assert max(len(chunk.text) for chunk in chunks) <= 64
    assert chunks[-1].end == 20_000


@pytest.mark.parametrize("gap", [" ", "\n"])
def test_a_desert_of_white_space_is_not_carried_along(gap: str) -> None:
    assert sum(len(chunk.text) for chunk in cut(f"first{gap * 300_000}last")) == len("firstlast")


def test_title_and_headings_are_shortened_to_a_quarter() -> None:
    title = " ".join(f"title{i}" for i in range(500))
    heading = " ".join(f"heading{i}" for i in range(500))
    document = Document("d", f"# {heading}\n\n{PROSE}", "markdown", title)
    chunks = chunk_document(document, WordTokenizer(), Chunking(64, 8), max_tokens=256)
    passages = chunk_passages(document, chunks, WordTokenizer(), Chunking(64, 8), max_tokens=256)
    assert max(tokens(passage) for passage in passages) <= 64
    assert all(tokens(chunk.text) >= 10 for chunk in chunks)
    assert chunks[0].headings[0].startswith("heading0")


def test_a_title_that_fits_is_left_alone() -> None:
    assert fit_title("How to copy a file", WordTokenizer(), 256) == "How to copy a file"


def test_a_title_that_repeats_the_heading_stands_once_in_the_passage() -> None:
    document = Document("d", "# Setup\n\nOne line.", "markdown", "Setup")
    chunks = cut(document.text, format="markdown", title="Setup")
    assert chunk_passages(document, chunks, WordTokenizer(), Chunking(), max_tokens=256) == ["Setup\nOne line."]


def test_a_table_that_is_cut_repeats_its_header() -> None:
    rows = "\n".join(f"| name {i} | {i} shares |" for i in range(30))
    table = f"| Shareholder | Shares |\n| --- | --- |\n{rows}"
    chunks = cut(f"# Owners\n\n{table}", format="markdown", size=40)
    header = "| Shareholder | Shares |\n| --- | --- |\n"
    assert len(chunks) > 3
    assert [chunk.prefix for chunk in chunks] == ["", *[header] * (len(chunks) - 1)]
    assert all(chunk.text.startswith(header) and chunk.text.endswith("|") for chunk in chunks)


def test_code_that_is_cut_repeats_its_fence_and_keeps_its_lines() -> None:
    code = "\n".join(f"    call_{i}(first, second, third)" for i in range(30))
    chunks = cut(f"```py\n{code}\n```", format="markdown", size=40, overlap=0)
    assert len(chunks) > 3
    assert {chunk.prefix for chunk in chunks[1:]} == {"```py\n"}
    assert all(chunk.text.startswith("```py\n    call_") for chunk in chunks)
    lines = "\n".join(chunk.text.removeprefix("```py\n") for chunk in chunks).split("\n")
    assert [*lines[:-1]] == code.split("\n")


def test_a_heading_never_ends_a_chunk() -> None:
    text = "\n\n".join(f"# Part\n\n## Tiny {i}\n\n{'word ' * 9}end." for i in range(9))
    chunks = cut(text, format="markdown", size=40)
    assert len(chunks) > 2
    assert not any(chunk.text.split("\n")[-1].startswith("#") for chunk in chunks)


@pytest.mark.parametrize(
    ("sentence", "end"),
    [
        ("गेहूं को सूखा रखा जाता है।", "।"),
        ("گندم کو خشک رکھا جاتا ہے۔", "۔"),
        ("Ցորենը պահվում է չոր տեղում։", "։"),
        ("ስንዴ በደረቅ ቦታ ይቀመጣል።", "።"),
        ("小麦は乾燥した場所で保存する。", "。"),
    ],
)
def test_cuts_fall_at_sentence_ends_in_other_scripts(sentence: str, end: str) -> None:
    chunks = cut(" ".join([sentence] * 60), size=30, overlap=0)
    assert len(chunks) > 3
    assert {chunk.text[-1] for chunk in chunks} == {end}


@pytest.mark.parametrize("cluster", ["नि", "กำ", "👩🏽‍🚀", "e\u0301"])
def test_cuts_never_fall_inside_of_a_grapheme_cluster(cluster: str) -> None:
    chunks = cut(cluster * 500, size=9, overlap=0)
    assert len(chunks) > 10
    for chunk in chunks:
        assert unicodedata.category(chunk.text[0]) not in {"Mn", "Mc", "Me"}
        assert not chunk.text.startswith(("\u200d", "🏽"))


def test_a_chunk_knows_its_place() -> None:
    text = f"# One\n\n{'a ' * 30}\n\n# Two\n\n{'b ' * 30}"
    marks = (Mark(0, "slide", 1), Mark(text.index("# Two"), "slide", 2), Mark(text.index("# Two"), "anchor", "second"))
    document = Document("d", text, "pptx", marks=marks)
    chunks = chunk_document(document, WordTokenizer(), Chunking(40, 0), max_tokens=256)
    assert [(chunk.place, chunk.anchor) for chunk in chunks] == [({"slide": 1}, "one"), ({"slide": 2}, "second")]


MARKS = [
    "word ",
    "words and words. ",
    "\r\n",
    "\n\n",
    "# ",
    "- ",
    "```",
    "**",
    "<p>",
    "</p>",
    "<Tab title='a b'>",
    "[a](b)",
    "&amp;",
]
texts = st.lists(
    st.sampled_from([*"abX9 .!?\n\t#*_`[](){}<>/|-中文。é\u200b😀", *MARKS]) | st.characters(exclude_categories=["Cs"]),
    max_size=300,
).map("".join)


@given(text=texts, title=st.text(max_size=40), size=st.integers(4, 40), overlap=st.integers(0, 20))
@settings(max_examples=300, deadline=None)
def test_plain_text_is_covered_and_every_passage_fits(text: str, title: str, size: int, overlap: int) -> None:
    chunks = cut(text, title=title, size=size, overlap=overlap)
    covered = [False] * len(text)
    for index, chunk in enumerate(chunks):
        assert chunk.index == index
        assert chunk.text == text[chunk.start : chunk.end] != ""
        assert tokens(passage_of(fit_title(title, WordTokenizer(), size), chunk)) <= size
        covered[chunk.start : chunk.end] = [True] * (chunk.end - chunk.start)
    assert all(seen or char.isspace() for seen, char in zip(covered, text, strict=True))


@given(
    text=texts,
    title=st.text(max_size=40),
    format=st.sampled_from(["text", "markdown", "mdx", "html"]),
    size=st.integers(4, 40),
    overlap=st.integers(0, 20),
)
@example(text="# a\n\n- b\n\n  c\n# a\n", title="", format="markdown", size=4, overlap=0)
@example(text="#", title=" ", format="markdown", size=4, overlap=0)
@settings(max_examples=500, deadline=None)
def test_every_chunk_is_the_text_between_its_offsets(
    text: str, title: str, format: str, size: int, overlap: int
) -> None:
    document = canonical(Document("d", text, format, title, canonical=False))
    if not document.canonical:
        return  # nothing to read
    chunks = chunk_document(document, WordTokenizer(), Chunking(size, overlap), max_tokens=10_000)
    assert chunks
    previous = 0
    for index, chunk in enumerate(chunks):
        assert chunk.index == index
        assert previous <= chunk.start < chunk.end <= len(document.text)
        assert chunk.text == chunk.prefix + document.text[chunk.start : chunk.end]
        assert chunk.text.strip()
        assert tokens(passage_of(fit_title(title, WordTokenizer(), size), chunk)) <= size
        previous = chunk.start


@given(text=texts, size=st.integers(4, 40))
@settings(max_examples=300, deadline=None)
def test_no_word_of_a_canonical_text_is_left_out(text: str, size: int) -> None:
    document = canonical(Document("d", text, "markdown", canonical=False))
    if not document.canonical:
        return
    seen = [False] * len(document.text)
    for chunk in chunk_document(document, WordTokenizer(), Chunking(size, 0), max_tokens=10_000):
        seen[chunk.start : chunk.end] = [True] * (chunk.end - chunk.start)
    lines = [(match.start(), match.end()) for match in re.finditer(r"(?m)^(?!#).+$", document.text)]
    assert all(seen[at] or document.text[at].isspace() for start, end in lines for at in range(start, end))


@given(words=st.integers(1, 400), size=st.integers(4, 40), overlap=st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_the_limit_holds_for_tokenizers_that_are_not_additive(words: int, size: int, overlap: int) -> None:
    text = " ".join(f"w{i}" for i in range(words))
    chunks = chunk_document(Document("d", text), Spelling(), Chunking(size, overlap), max_tokens=256)
    assert max(len(Spelling().spans(chunk.text)) for chunk in chunks) <= size
    assert chunks[0].start == 0
    assert chunks[-1].end == len(text)
