"""Which blocks of a page belong to its content, given what an extractor found."""

from __future__ import annotations

from winnow.conversion.judging import CLOSE, OPEN, Judge


def paragraphs(first: int, last: int, *, place: int = 0) -> list[str]:
    """Paragraphs of one place on the page, each with words of its own."""
    texts = (" ".join(f"word{number}x{each}" for each in range(12)) for number in range(first, last))
    return [f"{text}.{OPEN}{place}{CLOSE}" for text in texts]


def extracted(blocks: list[str]) -> str:
    """The blocks as an extractor gives them, without marks."""
    return "\n".join(block.partition(OPEN)[0] for block in blocks)


def choose(found: list[str], blocks: list[str], *, is_article: bool = True, headline: str = "") -> list[str]:
    return Judge(extracted(found), is_article=is_article, headline=headline).choose(blocks)


def test_paragraphs_of_the_place_where_most_were_found_are_kept_as_well() -> None:
    article, aside = paragraphs(0, 9), paragraphs(20, 24, place=1)
    advertisement = f"Buy it now{OPEN}0{CLOSE}"
    blocks = [*article[:4], advertisement, *article[4:], *aside]
    assert choose(article[:4], blocks) == article


def test_a_place_where_little_was_found_is_not_trusted() -> None:
    comments = paragraphs(0, 20)
    assert choose(comments[:3], comments) == comments[:3]


def test_a_block_is_kept_as_often_as_the_text_has_it() -> None:
    article = paragraphs(0, 3)
    teaser = "Read on: three fields in spring and what the miller said"
    assert choose([*article, teaser], [*article, teaser, teaser, teaser]) == [*article, teaser]
    assert choose([*article, teaser, teaser], [*article, teaser, teaser, teaser]) == [*article, teaser, teaser]


def test_a_heading_is_found_with_its_anchor() -> None:
    heading = "## What the fields hold \ue000fields\ue001"
    assert choose(["What the fields hold", *paragraphs(0, 3)], [heading, *paragraphs(0, 3)])[0] == heading


def test_headings_of_other_pages_than_articles_are_kept() -> None:
    blocks = ["## Options \ue000options\ue001", *paragraphs(0, 3)]
    assert choose(paragraphs(0, 3), blocks, is_article=False) == blocks
    assert choose(paragraphs(0, 3), blocks) == paragraphs(0, 3)


def test_the_headline_is_kept() -> None:
    blocks = ["# Fields \ue000top\ue001", *paragraphs(0, 3)]
    assert choose(paragraphs(0, 3), blocks, headline="Fields") == blocks


def test_blocks_without_a_word_are_left_out() -> None:
    assert choose(paragraphs(0, 3), ["-", *paragraphs(0, 3), "---"]) == paragraphs(0, 3)
