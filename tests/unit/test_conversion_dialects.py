"""How the dialects of Markdown are read: the author's words stay, the marks of the dialect go, code is untouched."""

from __future__ import annotations

import pytest

from indexer.chunking.outline import outline_of
from winnow.conversion.markdown import convert_markdown
from winnow.core.types import Document


def read(text: str, *, mdx: bool = False) -> str:
    return convert_markdown(text, mdx=mdx).text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        # Python-Markdown, Material for MkDocs
        ('!!! note "Before you *start*"\n    One.\n\n    Two.\n\nAfter.', "Before you start\n\nOne.\n\nTwo.\n\nAfter."),
        ("!!! warning\n    Body.", "Warning\n\nBody."),
        ("!!! Attention all staff\n    Body.", "all staff\n\nBody."),
        ('!!! danger ""\n    Body.\n\n\n    More.', "Body.\n\nMore."),
        ('??? tip "More"\n    Body.', "More\n\nBody."),
        ("???+ example\n    Body.\n\n    ```py\n    x = 1\n    ```", "Example\n\nBody.\n\n```py\nx = 1\n```"),
        ('!!! note inline end "T"\n\n    Body.', "T\n\nBody."),
        ("!!! note\n    Body.\n\n        code\n", "Note\n\nBody.\n\n```\ncode\n```"),
        (
            '=== "Linux"\n\n    Run it.\n\n=== "macOS"\n\n    ```sh\n    brew\n    ```',
            "Linux\n\nRun it.\n\nmacOS\n\n```sh\nbrew\n```",
        ),
        ("- Item\n\n    !!! note\n        Inside.\n- Next", "- Item\nNote\nInside.\n- Next"),
        ("/// details | Summary\n\nBody.\n///", "Summary\n\nBody."),
        ('--8<-- "docs/part.md"\n\nText.', "Text."),
        ("[Go](x){ .md-button } ![Alt](a.png){ width=9 } `c`{.lang} **b**{: .x}", "Go Alt c b"),
        ("Press :material-check:{ .ok } ==now== H~2~O 10^3^", "Press now H2O 103"),
        ("*[HTML]: Hyper Text\n\nThe HTML spec.", "HTML: Hyper Text\n\nThe HTML spec."),
        # Docusaurus, VitePress, Pandoc, Quarto, Microsoft
        (":::note\n\nBody.\n\n:::", "Note\n\nBody."),
        (":::tip[My title]\nBody.\n:::", "My title\n\nBody."),
        ("::: warning Mind **it**\nBody.\n:::\nAfter.", "Mind it\n\nBody.\n\nAfter."),
        ("::::: columns\n:::: {.column width=50%}\nLeft.\n::::\n:::::", "Left."),
        ('::: {.callout-tip title="T"}\nBody.\n:::', "T\n\nBody."),
        (':::image source="a.png" alt-text="A grain":::', "A grain"),
        ("[small]{.smallcaps} words", "small words"),
        ("+---+---+\n| a | b |\n+===+===+\n| 1 | 2 |\n|   | 3 |\n+---+---+", "| a | b |\n| --- | --- |\n| 1 | 2 3 |"),
        ("Rye\n: A grass.\n: A grain.\n\nOats\n:   Feed.", "Rye\n\nA grass.\n\nA grain.\n\nOats\n\nFeed."),
        ("Text[^1] and^[said `here`] so.\n\n[^1]: Note.\n\n    More.", "Text and (said here) so.\n\nNote.\n\nMore."),
        ("$$\na_1 \\{ b_2\n$$\n\nFor $x_1 * y_2 * z$.", "a_1 \\{ b_2\n\nFor $x_1 * y_2 * z$."),
        # MyST, R Markdown
        ("```{note}\n:class: x\nThe **body**.\n```", "Note\n\nThe body."),
        ("```{admonition} Title *x*\nBody.\n```", "Title x\n\nBody."),
        ("````{tab-set}\n```{tab-item} One\nBody.\n```\n````", "One\n\nBody."),
        ("```{code-block} python\n:caption: Cap\n:linenos:\nx = 1\n```", "Cap\n\n```python\nx = 1\n```"),
        ("```{r setup, include=FALSE}\nlibrary(x)\n```", "```r\nlibrary(x)\n```"),
        ("```{.python .numberLines}\nx\n```", "```python\nx\n```"),
        ("```{figure} a.png\n:alt: Alt\nCaption.\n```", "Alt\n\nCaption."),
        ("```{toctree}\na\nb\n```\n\nText.", "Text."),
        ("```{eval-rst}\n.. note:: In rst\n```", "In rst"),
        ("See {ref}`the text <target>`, {doc}`intro`.", "See the text, intro."),
        ("(label)=\n## Title", "## Title"),
        # GitHub, GitLab, Obsidian
        ("> [!NOTE]\n> Body.", "Note\n\nBody."),
        ("> [!tip]- Folded *here*\n> Body.", "Folded here\n\nBody."),
        (
            "[[Page|shown]] [[Other page]] [[Page#Part]] ![[a.png]] [[Install it|Install-it]]",
            "shown Other page Page > Part Install it",
        ),
        ("[TOC]\n\n[[toc]]\n\n[[_TOC_]]\n\n{:toc}\n\nText.", "Text."),
        ("~~old~~ new", "old new"),
        # Hugo, Jekyll, GitBook
        ('{{< figure src="a.png" title="A mill" >}}\n\nText.', "A mill\n\nText."),
        ('{{% notice info "Mind" %}}\nBody.\n{{% /notice %}}', "Mind\n\nBody."),
        ("{{< highlight go >}}\nif a < b {}\n{{< /highlight >}}", "```go\nif a < b {}\n```"),
        ("{% highlight ruby linenos %}\nx  = {% y %}\n{% endhighlight %}", "```ruby\nx  = {% y %}\n```"),
        (
            'See [it]({{< ref "a.md" >}}) and [this]({{ site.url }}/x), [that]({% link b.md %}).',
            "See it and this, that.",
        ),
        ('{% tabs %}{% tab title="One" %}\nBody.\n{% endtab %}{% endtabs %}', "One\n\nBody."),
        ('{% hint style="info" %}\nBody.\n{% endhint %}', "Body."),
        ("{% comment %}\nhidden\n{% endcomment %}\nBody.", "Body."),
        ("A\n{: .lead}\n\nB", "A\n\nB"),
        # tables of HTML
        (
            "<table>\n<tr><td>a</td><td>b</td></tr>\n<tr><td>c</td><td>d</td></tr>\n</table>",
            "| a | b |\n| --- | --- |\n| c | d |",
        ),
    ],
)
def test_the_words_stay_and_the_marks_go(text: str, canonical: str) -> None:
    assert read(text) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "Call GET /users/{id} or `{id}`, then {name}.",
        "The price is $5, not $6; set $HOME and $PATH.",
        "In Jinja {% if %} opens a block, {{ name }} writes.",
        "Compare a == b == c, 2 ^ 3 and ~5.",
        "Really??? Yes!!! Good.",
        "An array[^ and a set {a, b}.",
        "Ratio 3:::4 and a::b.",
        "{{</* figure */>}} is written so.",
    ],
)
def test_what_only_looks_like_a_mark_is_text(text: str) -> None:
    assert read(text) == text.replace("`", "")


MARKS = """!!! note "T"
    x
=== "A"
::: tip
[TOC]
[[a|b]]
{{< x "y" >}}
{% z %}
> [!NOTE]
[^1]: n
$a_1$ ==b== {.c}
: d
+---+
(e)="""


@pytest.mark.parametrize("mdx", [False, True])
def test_code_is_untouched(mdx: bool) -> None:
    assert read(f"````md\n{MARKS}\n````", mdx=mdx) == f"````md\n{MARKS}\n````".replace("````", "```")
    line = " ".join(MARKS.split())
    assert read(f"Say `{line}`.", mdx=mdx) == f"Say {line}."


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("## Title {#b .c}", "b"),
        ("## Title { .c #b data-x='1' }", "b"),
        ("## Title {: #b}", "b"),
        ("## Title {#b}", "b"),
        ("## Title {#日本}", "日本"),
        ("## Title\n{: #b .c}", "b"),
        ("{#b .c}\n## Title", "b"),
        ("## Title {.c}", "title"),
    ],
)
def test_the_id_of_a_heading_is_its_anchor(heading: str, anchor: str) -> None:
    found = convert_markdown(f"Intro.\n\n{heading}\n\nText.")
    assert found.text == "Intro.\n\n## Title\n\nText."
    document = Document("d", found.text, marks=found.marks, source_format="markdown", canonical=True)
    assert [section.anchor for section in outline_of(document)] == ["", anchor]


def test_braces_of_a_heading_that_are_no_attributes_stay() -> None:
    assert read("## GET /users/{id}") == "## GET /users/{id}"


@pytest.mark.parametrize(
    "matter",
    [
        "---\nTitle: Rye\nyear: 2024\n---\n",
        "\n\n---\ntitle: Rye\nyear: 2024\n---\n",
        "\ufeff\n---\ntitle: Rye\nyear: 2024\n---\n",
        "Title: Rye\nyear: 2024\n\n",
        "% Rye\n",
    ],
)
def test_every_form_of_front_matter_gives_the_title(matter: str) -> None:
    found = convert_markdown(f"{matter}# Heading\n\nBody.")
    assert (found.title, found.text, found.warnings) == ("Rye", "# Heading\n\nBody.", ())
    assert all(key.lower() != "title" for key in found.metadata)


@pytest.mark.parametrize("text", ["Title: the words of a sentence\nthat goes on.", "\n---\nRule: [\n---\nText."])
def test_a_text_that_only_begins_like_front_matter_is_read_whole(text: str) -> None:
    found = convert_markdown(text)
    assert text.rsplit(maxsplit=1)[-1] in found.text
    assert text.strip("-\n").split()[0] in found.text


@pytest.mark.parametrize(
    "text",
    [
        "!!! a\n    " * 20_000,
        ":::\n" * 50_000,
        "::: a [" * 20_000,
        "[[" * 50_000,
        "[[a|" * 30_000,
        "{{< " * 30_000,
        '{% a "' * 30_000,
        "{.a" * 30_000,
        "==a" * 50_000,
        "$" * 50_000,
        "[^a]: " * 10_000,
        "^[" * 30_000,
        ": a\n" * 20_000,
        "+--" * 30_000,
        "~a^" * 50_000,
        "> [!" * 5_000,
        "<table>" * 20_000,
    ],
)
def test_hostile_marks_are_read_all_the_same(text: str) -> None:
    assert read(text) is not None


def test_directives_inside_of_each_other_end_somewhere() -> None:
    fences = [f"{'`' * ticks}{{note}}" for ticks in range(60, 2, -1)]
    assert "inner" in read("\n".join([*fences, "inner", *(fence[:-6] for fence in reversed(fences))]))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("export const meta = {\n  a: 1,\n\n  b: { c: [2] },\n};\n\nText.", "Text."),
        ("export default ({children}) => <A>{children}</A>\n\nText.", "Text."),
        ("Text with <Highlight color='x'>green words</Highlight>.", "Text with green words."),
        (":::tip[Do *so*]\n\nBody <Icon icon='x' /> end.\n\n:::", "Do so\n\nBody end."),
        (
            "<Tabs>\n<TabItem label='A'>\n\nOne.\n\n</TabItem>\n<TabItem label='B'>Two.</TabItem>\n</Tabs>",
            "A\n\nOne.\n\nB Two.",
        ),
    ],
)
def test_components_and_modules_of_mdx(text: str, canonical: str) -> None:
    assert read(text, mdx=True) == canonical
