"""How Markdown and MDX become canonical text."""

from __future__ import annotations

import pytest

from winnow.conversion.markdown import convert_markdown


def read(text: str, *, mdx: bool = False) -> str:
    return convert_markdown(text, mdx=mdx).text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("A **bold** [link](http://x) ![alt text](y.png) `co*de` &amp; \\*", "A bold link alt text co*de & *"),
        ("Hard\nwrapped lines\nare joined.", "Hard wrapped lines are joined."),
        ("小麦的储存需要保持干\n燥，温度不宜过高。", "小麦的储存需要保持干燥，温度不宜过高。"),
        ("A break  \nstays.", "A break\nstays."),
        ("分为**两部分（一）**本身。", "分为两部分（一）本身。"),
        ("Title\n=====\n\nSub\n---", "# Title\n\n## Sub"),
        ("1. One\n2. Two\n   - inner\n", "1. One\n2. Two\n  - inner"),
        ("```py\nif x:\n\n    y()\n```", "```py\nif x:\n\n    y()\n```"),
        ("| a | b |\n|---|---|\n| 1 | `2` |\n", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("a | b\n--|--\n1 | \\|", "| a | b |\n| --- | --- |\n| 1 | \\| |"),
        ("\\# no heading", "\\# no heading"),
        ("Call GET /users/{id}/orders.", "Call GET /users/{id}/orders."),
        ("Returns a Promise<User>.", "Returns a Promise<User>."),
        ("Use <your-key>, then <API_KEY>.", "Use <your-key>, then <API_KEY>."),
        ("One.\n\n<script>alert('<p>')</script>\n\n<!-- hidden\n\ntext -->\n\nTwo.", "One.\n\nTwo."),
        ("H<sub>2</sub>O <br> x", "H2O x"),
    ],
)
def test_markdown_is_reduced_to_words_and_structure(text: str, canonical: str) -> None:
    assert read(text) == canonical


@pytest.mark.parametrize(
    ("matter", "title", "metadata"),
    [
        ("---\ntitle: No\n---\n", "No", {}),
        ("---\ntitle: 12:30\n---\n", "12:30", {}),
        ("---\ntitle: 1.10\n---\n", "1.10", {}),
        ("---\ntitle: 2024-01-15\nday: 2024-13-45\n---\n", "2024-01-15", {"day": "2024-13-45"}),
        ("---\ntitle: 007\n---\n", "007", {}),
        ("---\ntitle: T\nsha: 123456789012345678901234567890\n---\n", "T", {"sha": "123456789012345678901234567890"}),
        ("---\ntitle: T\nyear: 2024\ndraft: true\nratio: 1.5\n---\n", "T", {"year": 2024, "draft": True, "ratio": 1.5}),
        (
            "---\ntitle: T\ntags: [a, b]\nnested: {a: 1}\nnothing: null\n7: x\n...\n",
            "T",
            {"tags": ["a", "b"], "7": "x"},
        ),
        ('+++\ntitle = "Oats"\nyear = 2024\ndate = 2024-02-29\n+++\n', "Oats", {"year": 2024, "date": "2024-02-29"}),
        ('{\n"title": "Rye",\n"n": 1\n}\n', "Rye", {"n": 1}),
        ("", "Heading", {}),
    ],
)
def test_front_matter_is_read_as_it_is_written(matter: str, title: str, metadata: dict[str, object]) -> None:
    found = convert_markdown(f"{matter}# Heading\n\nBody.")
    assert (found.title, found.metadata, found.text) == (title, metadata, "# Heading\n\nBody.")


def test_the_description_opens_the_text_also_where_it_is_folded() -> None:
    assert read("---\ntitle: T\ndescription: >\n  Folded\n  over lines\n---\nBody.") == "Folded over lines\n\nBody."


def test_front_matter_that_cannot_be_read_is_left_out_with_a_warning() -> None:
    found = convert_markdown("---\ntitle: [\n---\nBody.")
    assert (found.text, found.metadata) == ("Body.", {})
    assert [(warning.code, "line" in warning.message) for warning in found.warnings] == [("invalid_front_matter", True)]


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("title: Grain: a primer", "Grain: a primer"),
        ("title:\tRye", "Rye"),
        ("title: @handle", "@handle"),
        ("title: 'Miller's rye'", "'Miller's rye'"),
    ],
)
def test_the_plain_lines_of_front_matter_that_is_invalid_are_read_with_a_warning(line: str, title: str) -> None:
    found = convert_markdown(f"---\n{line}\ntags: [a, b]\nok: true\n---\n# Heading\n\nBody.")
    assert (found.title, found.metadata) == (title, {"tags": ["a", "b"], "ok": True})
    assert [warning.code for warning in found.warnings] == ["invalid_front_matter"]


@pytest.mark.parametrize("text", ["---\nA thematic break.\n---\n\nText.", "{braces} in the first line"])
def test_what_only_looks_like_front_matter_is_text(text: str) -> None:
    assert text.splitlines()[-1] in read(text)


def test_a_custom_id_is_a_mark() -> None:
    found = convert_markdown("Intro.\n\n## 安装 {#install}\n\nText.")
    assert found.text == "Intro.\n\n## 安装\n\nText."
    assert [tuple(mark) for mark in found.marks] == [(8, "anchor", "install")]


def test_components_of_mdx_are_stripped_and_their_content_stays() -> None:
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
Press {"Enter"} or {count + 1}.
"""
    found = read(text, mdx=True)
    assert "```bash\n<run> --all\n```" in found
    assert found.replace("\n", " ").split() == (
        "Linux Run this: ```bash <run> --all ``` Mind the gap. Quick start Begin here. Press Enter or .".split()
    )


def test_html_headings_in_markdown_are_headings() -> None:
    assert read('<div>\n  <h2 className="big">Deploy</h2>\n  <p>How.</p>\n</div>', mdx=True) == "## Deploy\n\nHow."


@pytest.mark.parametrize("text", ["# A\n\ntext\n\n- b\n- c\n\n```\nx\n```", "| a | b |\n| --- | --- |\n| 1 | 2 |"])
def test_canonical_text_stays_as_it_is(text: str) -> None:
    assert read(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "[" * 30_000,
        "![" * 30_000,
        "`a``b" * 20_000,
        "> " * 5_000 + "x",
        "<a " * 30_000,
        "{" * 50_000,
        "<!--" * 30_000,
        "<A>" * 250_000,
    ],
)
@pytest.mark.parametrize("mdx", [False, True])
def test_hostile_markdown_is_read_all_the_same(text: str, mdx: bool) -> None:
    assert read(text, mdx=mdx) is not None
