"""How Markdown and MDX become chunks."""

from __future__ import annotations

import pytest

from indexer.chunking.chunker import chunk_document
from indexer.chunking.parsers import outline_of
from winnow.core.types import Chunk, Chunking, Document
from winnow.testing.models import WordTokenizer


def cut(text: str, size: int = 48, overlap: int = 0) -> list[Chunk]:
    return chunk_document(Document("d", text, "markdown"), WordTokenizer(), Chunking(size, overlap), max_tokens=256)


def read(text: str) -> str:
    """All readable text, headings left out."""
    return "\n".join(block.text for section in outline_of(text, "markdown").sections for block in section.blocks)


FILLER = "word " * 24 + "end."


def test_sections_carry_their_heading_path_and_anchor() -> None:
    chunks = cut(f"# Guide\n\n{FILLER}\n\n## Set up: first!\n\n{FILLER}\n\n## Set up: first!\n\n{FILLER}")
    assert [(chunk.headings, chunk.anchor) for chunk in chunks] == [
        (("Guide",), "guide"),
        (("Guide", "Set up: first!"), "set-up-first"),
        (("Guide", "Set up: first!"), "set-up-first-1"),
    ]


def test_a_custom_id_is_the_anchor() -> None:
    (section,) = outline_of("## 安装 {#install}\n\nText.", "markdown").sections
    assert (section.headings, section.anchor) == (("安装",), "install")


def test_spans_point_at_the_original() -> None:
    text = f"---\ntitle: T\n---\n\n# A\n\n{FILLER}\n\n## B\n\nSee [the *guide*](http://x.y) and `code`.\n\n{FILLER}"
    spans = [text[chunk.start : chunk.end] for chunk in cut(text)]
    assert spans == [FILLER, f"See [the *guide*](http://x.y) and `code`.\n\n{FILLER}"]


def test_a_paragraph_that_is_cut_keeps_exact_offsets() -> None:
    text = "Intro.\n\n" + " ".join(f"See [page {i}](http://example.org/{i}) about topic{i}." for i in range(30))
    for chunk in cut(text):
        first, last = chunk.text.split()[0], chunk.text.split()[-1]
        span = text[chunk.start : chunk.end]
        assert span.lstrip("[").startswith(first)
        assert last in span


def test_line_ends_of_windows_do_not_shift_offsets() -> None:
    text = f"# A\r\n\r\n{FILLER}\r\n\r\n# B\r\n\r\nLast {FILLER}"
    assert text[cut(text)[-1].start :].startswith("Last")


def test_inline_markup_is_removed() -> None:
    text = "A **bold** [link](http://x) ![alt text](y.png) `co*de` &amp; H<sub>2</sub>O <https://a.b>\nnext \\{id\\}"
    assert read(text) == "A bold link alt text co*de & H2O https://a.b\nnext {id}"


def test_emphasis_beside_chinese_punctuation_is_removed() -> None:
    assert read("分为**两部分（一）**本身。") == "分为两部分（一）本身。"


def test_code_lists_and_tables_read_as_they_are_meant() -> None:
    text = "1. One\n2. Two\n   ```py\n   if x:\n       y()\n   ```\n\n| a | b |\n|---|---|\n| 1 | `2` |\n"
    assert read(text) == "1. One\n2. Two\nif x:\n    y()\na | b\n1 | 2"


def test_the_description_in_the_front_matter_is_kept_and_the_rest_is_not() -> None:
    assert read("---\ntitle: T\ndescription: What it is\nicon: star\n---\nBody.") == "What it is\nBody."


def test_broken_front_matter_does_not_stop_the_body() -> None:
    assert "Body." in read("---\ntitle: [\n---\nBody.")


def test_components_are_stripped_and_their_content_stays() -> None:
    text = """import { Card } from '/snippets/card.mdx'

export const size = {
  width: 2,
}

{/* a comment
   over lines */}
<Tabs>
  <Tab title="Linux">
    Run this:
    ```bash
    <run> --all
    ```
    <Tip>Mind the **gap**.</Tip>
  </Tab>
</Tabs>
<div className="grid" style={{ color: "red", nested: { a: 1 } }}>
  <Card title="Quick start" icon="rocket" href="/start">
    Begin here.
  </Card>
</div>
<ParamField path="user_id" type="string" required>
  Who it is.
</ParamField>
Press {"Enter"} or {count + 1}.
"""
    assert read(text) == (
        "Linux\nRun this:\n<run> --all\nMind the gap.\nQuick start\nBegin here.\nuser_id\nWho it is.\nPress Enter or ."
    )


def test_html_headings_in_markdown_are_headings() -> None:
    (section,) = outline_of('<div>\n  <h2 className="big">Deploy</h2>\n  <p>How.</p>\n</div>', "markdown").sections
    assert section.headings == ("Deploy",)
    assert [block.text for block in section.blocks] == ["How."]


@pytest.mark.parametrize(
    "text",
    [
        "Use <your-key> here.",
        "Set <API_KEY> first.",
        "if a < b and c > d",
        "Braces {like these} in prose.",
        "`<Card title='x'>` makes a card.",
    ],
)
def test_what_only_looks_like_markup_stays(text: str) -> None:
    assert read(text) == text.replace("`", "")


def test_scripts_and_comments_are_dropped() -> None:
    assert read("One.\n\n<script>alert('<p>')</script>\n\n<!-- hidden\n\ntext -->\n\nTwo.") == "One.\nTwo."


def test_a_tiny_section_joins_its_first_subsection() -> None:
    chunks = cut(f"# A\n\nIntro.\n\n## B\n\n{'word ' * 10}\n\n# C\n\n{FILLER}", size=40)
    assert [(chunk.headings, chunk.anchor) for chunk in chunks] == [(("A",), "a"), (("C",), "c")]
    assert chunks[0].text.startswith("Intro.\n\nB\nword")


def test_larger_sections_stay_apart() -> None:
    chunks = cut(f"# A\n\n{'word ' * 10}\n\n# B\n\n{'word ' * 12}\n\n# C\n\n{FILLER}")
    assert [chunk.headings for chunk in chunks] == [("A",), ("B",), ("C",)]


def test_a_heading_without_text_is_not_lost() -> None:
    chunks = cut(f"# A\n\n{FILLER}\n\n# Lonely\n\n# B\n\n{FILLER}")
    assert any("Lonely" in chunk.text for chunk in chunks)


def test_code_is_cut_at_line_ends() -> None:
    code = "\n".join(f"    call_{i}(first, second, third)" for i in range(30))
    chunks = cut(f"# A\n\n```py\n{code}\n```\n", size=40)
    assert len(chunks) > 3
    lines = [line for chunk in chunks for line in chunk.text.split("\n")]
    assert [line.strip() for line in lines] == [line.strip() for line in code.split("\n")]


@pytest.mark.parametrize(
    "text",
    ["[" * 30_000, "![" * 30_000, "`a``b" * 20_000, "> " * 5_000 + "x", "<a " * 30_000, "{" * 50_000, "<!--" * 30_000],
)
def test_hostile_markdown_is_cut_all_the_same(text: str) -> None:
    assert all(chunk.start < chunk.end <= len(text) for chunk in cut(text))
