"""How HTML becomes chunks."""

from __future__ import annotations

import pytest

from indexer.chunking.chunker import chunk_document
from indexer.chunking.parsers import outline_of
from winnow.core.types import Chunk, Chunking, Document
from winnow.testing.models import WordTokenizer

LONG = "This paragraph is long enough that nobody would take it for a link in some navigation bar, we may hope. "

PAGE = f"""<!doctype html><html><head><title>Copy - Site</title><style>p {{ color: red }}</style></head><body>
<nav><ul><li><a href="/">Home page</a></li></ul></nav>
<main><section id="copying"><h1>Copying<a class="headerlink" href="#copying">¶</a></h1>
<p>Use <code>copy2</code> &amp; keep its <b>time</b>stamps. {LONG}</p>
<p>{LONG * 3}</p>
<h2 id="example">Example</h2>
<pre><code><span class="k">import</span> shutil
    shutil.copy2(a, b)</code></pre>
<ul><li>One</li><li>Two <i>parts</i></li></ul>
<table><tr><th>Name</th><th>Meaning</th></tr><tr><td>a</td><td>source</td></tr></table>
<script>track("<p>secret</p>")</script>
</section></main>
<footer>All rights reserved</footer></body></html>"""


def cut(text: str, size: int = 64) -> list[Chunk]:
    return chunk_document(Document("d", text, "html"), WordTokenizer(), Chunking(size, 8), max_tokens=256)


def read(text: str) -> list[str]:
    return [block.text for section in outline_of(text, "html").sections for block in section.blocks]


def test_headings_and_ids_become_path_and_anchor() -> None:
    assert [(s.headings, s.anchor) for s in outline_of(PAGE, "html").sections] == [
        (("Copying",), "copying"),
        (("Copying", "Example"), "example"),
    ]


def test_navigation_footer_and_scripts_are_left_out() -> None:
    text = "\n".join(chunk.text for chunk in cut(PAGE))
    assert "copy2 & keep its timestamps" in text
    assert not any(word in text for word in ("Home page", "rights reserved", "secret", "color"))


def test_code_lists_and_tables_read_as_they_are_meant() -> None:
    assert read(PAGE)[2:] == [
        "import shutil\n    shutil.copy2(a, b)",
        "- One",
        "- Two parts",
        "Name | Meaning",
        "a | source",
    ]


def test_spans_are_exact_in_the_original() -> None:
    first, *_, last = cut(PAGE)
    assert PAGE[first.start :].startswith("Use <code>copy2")
    assert PAGE[: last.end].endswith("<td>source")


def test_a_paragraph_that_is_cut_points_at_its_words() -> None:
    page = "<p class='word5 word9'>" + " ".join(f"<b>word{i}</b>" for i in range(200)) + "</p>"
    for chunk in cut(page, size=32):
        assert page[chunk.start :].startswith(chunk.text.split()[0] + "<")


def test_words_that_repeat_are_told_apart() -> None:
    page = "<p>" + "<b>again</b> " * 200 + "</p>"
    chunks = cut(page, size=32)
    assert [page[chunk.start : chunk.end].count("again") for chunk in chunks] == [
        chunk.text.count("again") for chunk in chunks
    ]


@pytest.mark.parametrize(
    "heading",
    [
        '<h2 id="here">Title</h2>',
        '<h2><a name="here"></a>Title</h2>',
        "<h2><a id=here>Title</a></h2>",
        '<div id="here"><h2>Title</h2>',
    ],
)
def test_anchors_are_found_where_generators_put_them(heading: str) -> None:
    (section,) = outline_of(f'<p id="before">Text.</p>{heading}<p id="after">Text.</p>', "html").sections[1:]
    assert section.anchor == "here"


def test_a_fragment_is_kept_whole() -> None:
    assert read("<p>Short.</p><footer>Signed</footer>tail") == ["Short.", "Signed", "tail"]


def test_a_page_too_deep_to_be_judged_loses_its_navigation_by_the_tags() -> None:
    assert read("<html><body><nav>Menu</nav>" + "<div>" * 300 + "Text<footer>Imprint</footer>") == ["Text"]


def test_bread_crumbs_inside_of_the_main_element_are_left_out() -> None:
    page = f"<html><body><main><nav>Home / Guide</nav><p>{LONG * 4}</p></main></body></html>"
    assert read(page) == [(LONG * 4).strip()]


def test_a_page_that_is_all_navigation_is_not_lost() -> None:
    assert read("<html><body><nav>Only this</nav></body></html>") == ["Only this"]


def test_an_element_that_is_never_closed_does_not_swallow_the_page() -> None:
    assert "Visible." in " ".join(read("<script>var x = 1; <p>Visible.</p>"))


def test_headings_keep_their_hash_signs() -> None:
    (section,) = outline_of("<h2>Learn C#</h2><p>Text.</p>", "html").sections
    assert section.headings == ("Learn C#",)


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 100_000 + "hello",
        "<html><body>" + "<div>" * 100_000 + "hello" + "</div>" * 100_000,
        "<" * 50_000,
        '<a href="' * 20_000,
        "<!--" * 50_000,
        "<script>" * 20_000 + "hello",
        "<a '\"" * 20_000,
    ],
)
def test_hostile_html_is_cut_all_the_same(text: str) -> None:
    chunks = cut(text)
    assert all(chunk.start < chunk.end <= len(text) for chunk in chunks)
    assert "hello" not in text or "hello" in chunks[-1].text
