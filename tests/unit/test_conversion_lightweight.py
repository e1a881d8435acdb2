"""reStructuredText, AsciiDoc, Org, subtitles and notebooks are read as their author wrote them."""

from __future__ import annotations

import pytest

from winnow.conversion.convert import convert_text

TABLE = "| A | B |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.parametrize(
    ("source_format", "text", "canonical"),
    [
        ("rst", "+---+---+\n| A | B |\n+===+===+\n| 1 | 2 |\n+---+---+\n", TABLE),
        ("rst", "===  ===\nA    B\n===  ===\n1    2\n===  ===\n\nAfter", f"{TABLE}\n\nAfter"),
        ("asciidoc", "|===\n|A |B\n\n|1 |2\n|===\n", TABLE),
        ("asciidoc", '[cols="1,2"]\n|===\n|A\n|B\n|1\n|2\n|===\n', TABLE),
        ("org", "| A | B |\n|---+---|\n| 1 | 2 |\n", TABLE),
        (
            "rst",
            "+---+---+\n| A | B |\n| a | b |\n+---+---+\n| wide  |\n+---+---+",
            "| A a | B b |\n| --- | --- |\n| wide |  |",
        ),
    ],
)
def test_a_table_is_a_table_with_its_header(source_format: str, text: str, canonical: str) -> None:
    assert convert_text(text, source_format).text == canonical


@pytest.mark.parametrize(
    ("source_format", "text", "canonical"),
    [
        ("rst", "Before\n\n.. hidden\n   more hidden\n\nAfter", "Before\n\nAfter"),
        ("rst", ":param width: of the sieve", "param width: of the sieve"),
        ("rst", ".. image:: sieve.png\n   :alt: A sieve\n   :width: 20", "A sieve"),
        ("rst", "See [1]_.\n\n.. [1] A note.", "See [1]_.\n\n[1] A note."),
        ("rst", "Use |tool|.\n\n.. |tool| replace:: a sieve", "Use a sieve."),
        ("asciidoc", "A\n\n////\nhidden\n////\n\nB footnote:[a note]", "A\n\nB  (a note)"),
        ("asciidoc", "* one\n** two", "- one\n- two"),
        ("asciidoc", "image::sieve.png[A sieve, 20]", "A sieve"),
        ("org", "# hidden\nSCHEDULED: <2026-01-01>\nShown", "Shown"),
        ("org", "* TODO [#A] Sieve :tool:", "# Sieve"),
        ("vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ada>Sift &amp; sort", "Ada: Sift & sort"),
        ("srt", "1\n00:00:01,000 --> 00:00:02,000\nOne\n2\n00:00:03,000 --> 00:00:04,000\nTwo", "One Two"),
    ],
)
def test_words_are_kept_and_markup_and_comments_are_not(source_format: str, text: str, canonical: str) -> None:
    assert convert_text(text, source_format).text == canonical


@pytest.mark.parametrize(
    ("source_format", "text"),
    [("asciidoc", "Text\n\n[#mesh]\n== Sieve"), ("org", "Text\n* Sieve\n:PROPERTIES:\n:CUSTOM_ID: mesh\n:END:")],
)
def test_the_id_of_a_heading_is_a_mark_at_the_heading(source_format: str, text: str) -> None:
    found = convert_text(text, source_format)
    (mark,) = found.marks
    assert (mark.kind, mark.value) == ("anchor", "mesh")
    assert found.text[mark.start :].startswith("#")


@pytest.mark.parametrize("text", ['{"cells": [null]}', '{"cells": 1}', "[]", '"x"'])
def test_what_is_not_a_notebook_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="notebook"):
        convert_text(text, "ipynb")


def test_odd_outputs_of_a_notebook_are_passed_over() -> None:
    cell = '{"cell_type": "code", "source": "x", "outputs": [null, {"data": 1}, {"text": "y"}]}'
    book = f'{{"metadata": [], "cells": [{cell}]}}'
    assert convert_text(book, "ipynb").text == "```\nx\n```\n\n```\ny\n```"
