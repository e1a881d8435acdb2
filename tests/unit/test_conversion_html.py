"""How HTML becomes canonical text."""

from __future__ import annotations

import pytest

from winnow.conversion.html import convert_html

LONG = "This paragraph is long enough that few would take it for a link in some navigation bar, or so we may hope. "

PAGE = f"""<!doctype html><html><head><title>Copying - Site</title><style>p {{ color: red }}</style></head><body>
<nav><ul><li><a href="/">Home page</a></li></ul></nav>
<main><section id="copying"><h1>Copying<a class="headerlink" href="#copying">¶</a></h1>
<p>Use <code>copy2</code> &amp; keep its <b>time</b>stamps. {LONG}</p>
<h2 id="example">Example</h2>
<pre class="language-py"><code><span class="k">import</span> shutil

    shutil.copy2(a, b)</code></pre>
<ul><li>One</li><li>Two <i>parts</i></li></ul>
<table><tr><th>Name</th><th>Meaning</th></tr><tr><td>a</td><td>source</td></tr></table>
<script>track("<p>secret</p>")</script>
</section></main>
<footer>All rights reserved</footer></body></html>"""


def read(text: str) -> list[str]:
    """The blocks of the canonical text."""
    return [block for block in convert_html(text).text.split("\n\n") if block]


def page(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>"


def test_a_page_is_its_main_content_with_its_structure() -> None:
    found = convert_html(PAGE)
    assert found.title == "Copying"
    assert found.text == (
        f"# Copying\n\nUse copy2 & keep its timestamps. {LONG.strip()}\n\n## Example\n\n"
        "```py\nimport shutil\n\n    shutil.copy2(a, b)\n```\n\n- One\n- Two parts\n\n"
        "| Name | Meaning |\n| --- | --- |\n| a | source |"
    )


def test_ids_of_headings_are_marked() -> None:
    found = convert_html(PAGE)
    marks = [(found.text[mark.start :].split("\n")[0], mark.kind, mark.value) for mark in found.marks]
    assert marks == [("# Copying", "anchor", "copying"), ("## Example", "anchor", "example")]


@pytest.mark.parametrize(
    "heading",
    [
        '<h2 id="here">Title</h2>',
        '<h2><a name="here"></a>Title</h2>',
        "<h2><a id=here>Title</a></h2>",
        '<a id="here"></a><h2>Title</h2>',
        '<div id="here"><h2>Title</h2>',
    ],
)
def test_anchors_are_found_where_generators_put_them(heading: str) -> None:
    (mark,) = convert_html(f'<p id="before">Text.</p>{heading}<p id="after">Text.</p>').marks
    assert mark.value == "here"


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (f"<main><p>{LONG}</p><aside class=note><p>Mind the rollers.</p></aside></main>", "Mind the rollers."),
        (f"<main><h2><button>How do I pay?</button></h2><p>{LONG}</p></main>", "## How do I pay?"),
        (f"<main><details><summary>More</summary><p>{LONG}</p></details></main>", "More"),
        (f"<main><div style='display:none'><p>{LONG}</p></div></main>", LONG.strip()),
        (f"<article><header><h1>Big news</h1></header><p>{LONG}</p></article>", "# Big news"),
    ],
)
def test_what_belongs_to_the_content_stays(body: str, kept: str) -> None:
    assert kept in read(page(body))


@pytest.mark.parametrize(
    "dropped",
    [
        "<nav>Gone</nav>",
        "<aside>Gone</aside>",
        "<footer>Gone</footer>",
        "<header><nav>Gone</nav></header>",
        "<main><aside class='sidebar'>Gone</aside></main>",
        "<main><nav>Gone</nav></main>",
        "<main><button>Gone</button></main>",
        "<main><div class='breadcrumbs'>Gone</div></main>",
        "<script>Gone</script>",
        "<template>Gone</template>",
    ],
)
def test_what_does_not_belong_to_the_content_goes(dropped: str) -> None:
    assert "Gone" not in convert_html(page(f"{dropped}<main><p>{LONG}</p></main>")).text


def test_an_article_is_told_from_its_teasers() -> None:
    teasers = "".join(f"<div class=card><a href=/{i}>Read about harvest {i}</a></div>" for i in range(20))
    body = f"<div id=content><h1>Wheat</h1><p>{LONG * 3}</p><p>{LONG * 2}</p></div><div class=more>{teasers}</div>"
    text = convert_html(page(body, '<meta property="og:type" content="article"><title>Wheat</title>')).text
    assert LONG.strip() in text
    assert "harvest 7" not in text


@pytest.mark.parametrize("head", ["<title>T</title>", "<meta charset=utf-8><link href=i>", "<html><title>T</title>"])
@pytest.mark.parametrize("opening", ["main", "header", "article", "section", "div"])
def test_a_page_that_omits_the_tags_of_head_and_body_is_read(head: str, opening: str) -> None:
    found = convert_html(f"<!doctype html>{head}<{opening}><h1>Mill</h1><p>One.</p></{opening}> Two. <p>Three.")
    whole = "# Mill\n\nOne." if opening in {"main", "article"} else "# Mill\n\nOne.\n\nTwo.\n\nThree."
    assert found.text == whole


def test_a_list_of_prose_beside_paragraphs_is_kept_where_the_page_marks_nothing() -> None:
    sentence = "The clients rest, everything is started, and the backlog has to run empty within a minute of that."
    prose = "".join(f"<p>{number}: {sentence}</p>" for number in range(6))
    promise = "each document is there as it was left, or as a later change made it"
    links = "".join(f'<li><a href="/{number}">Another page of the same site</a></li>' for number in range(4))
    items = f"<li>{promise};</li><li>its points are of it, and hold the stored text word for word.</li>"
    body = f"<h1>Kills</h1>{prose}<ul>{items}</ul>"
    text = "\n".join(read(f"<!doctype html><body>{body}<p>{sentence}</p><ul>{links}</ul></body>"))
    assert f"- {promise};" in text
    assert "Another page" not in text


def test_a_fragment_is_kept_whole() -> None:
    assert read("<p>Short.</p><footer>Signed</footer>tail") == ["Short.", "Signed", "tail"]


def test_a_page_that_is_all_navigation_is_not_lost() -> None:
    assert read("<html><body><nav>Only this</nav></body></html>") == ["Only this"]


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>Press <img src=s.png alt='the save icon'> to store.</p>", "Press the save icon to store."),
        ("<p>See <a href='https://x.org'>the <b>guide</b></a>.</p>", "See the guide."),
        ("<p>この<ruby>小麦粉<rp>(</rp><rt>こむぎこ</rt><rp>)</rp></ruby>は白い。</p>", "この小麦粉(こむぎこ)は白い。"),
        ("<p>a ||</p><p>| b</p>", "a ||\n\n| b"),
        ("<p># not a heading</p>", "\\# not a heading"),
        ("<p>1 &lt; 2 &amp; *stars* _under_</p>", "1 < 2 & *stars* _under_"),
        ("<head><title>T</title><body><p>No end tag of the head.", "No end tag of the head."),
        ("<table><tr><td>a<td>b<tr><td>c<td>d</table>End.", "| a | b |\n| --- | --- |\n| c | d |\n\nEnd."),
        ("<table><tr><th>A<th>B<th>C<tr><td><td>3<td></table>", "| A | B | C |\n| --- | --- | --- |\n|  | 3 |  |"),
        ("<h2>Learn C#</h2>", "## Learn C#"),
    ],
)
def test_markup_reads_as_it_is_meant(markup: str, text: str) -> None:
    assert convert_html(markup).text == text


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("<title>Copy · My Site</title>", "Copy"),
        ("<title>Paste &amp; more</title>", "Paste & more"),
        ("", "Copy"),
    ],
)
def test_the_title_is_the_pages_own(head: str, title: str) -> None:
    assert convert_html(page(f"<h1>Copy</h1><p>{LONG}</p>", head)).title == title


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 100_000 + "hello",
        "<html><body>" + "<div>" * 100_000 + "hello" + "</div>" * 100_000,
        "<" * 50_000,
        '<a href="' * 20_000,
        "<!--" * 50_000,
        "<a '\"" * 20_000,
        "<table><tr><td>" * 20_000 + "hello",
        "<ul><li>" * 20_000 + "hello",
        "<b>" * 50_000 + "hello",
    ],
)
def test_hostile_html_is_read_all_the_same(text: str) -> None:
    assert ("hello" in text) == ("hello" in convert_html(text).text)


def test_a_page_that_nests_too_deep_says_that_its_structure_is_lost() -> None:
    (warning,) = convert_html("<html><body>" + "<div>" * 300 + "Text").warnings
    assert warning.code == "structure_lost"


ARTICLE = '<meta property="og:type" content="article"><title>Wheat in spring - The Mill</title>'


def paragraphs(first: int, last: int) -> str:
    """Paragraphs of an article, each with its number."""
    return "".join(f"<p>In field {number} the wheat grows well. {LONG}</p>" for number in range(first, last))


def article(body: str, head: str = ARTICLE) -> str:
    """The text of a page that calls itself an article."""
    return convert_html(page(body, head)).text


def test_the_headline_of_an_article_is_its_title_or_in_its_text() -> None:
    for headline, in_text in (("Wheat in spring", False), ("What the fields hold", True)):
        found = convert_html(page(f"<h1>{headline}</h1><article>{paragraphs(0, 6)}</article>", ARTICLE))
        assert (headline in f"{found.title}\n{found.text}", f"# {headline}" in found.text) == (True, in_text)


def test_blocks_without_a_word_are_left_out_of_an_article() -> None:
    text = article(f"<article>{paragraphs(0, 4)}<hr><ul><li></li></ul>{paragraphs(4, 8)}</article>")
    assert all(any(char.isalpha() for char in block) for block in text.split("\n\n"))


def test_a_post_of_wordpress_is_an_article() -> None:
    share = "<ul><li>Facebook</li><li>Twitter</li></ul>"
    html = (
        f'<html><head><title>Wheat</title></head><body class="post single-post"><main><h1>Wheat</h1>{paragraphs(0, 6)}'
    )
    assert "Twitter" not in convert_html(f"{html}{share}</main></body></html>").text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<x-card><template shadowrootmode=open><p>Shadow.</p></template></x-card>", "Shadow."),
        ("<main><p>First.</p></main><main><p>Second.</p></main><main hidden><p>Old.</p></main>", "First.\n\nSecond."),
        ("<main><p>One.</p></main></body></html>", "One."),
        ("<p>One.</p></body></html><p>Two.</p>", "One.\n\nTwo."),
        ("<noscript><p>All there is.</p></noscript>", "All there is."),
        ("<noscript><p>Enable scripts.</p></noscript><main><p>One.</p></main>", "One."),
        ("<main><button class=accordion>Who may apply?</button><p>All.</p></main>", "Who may apply?\n\nAll."),
        ("<main><button aria-expanded=false>Who may apply?</button><p>All.</p></main>", "Who may apply?\n\nAll."),
        ("<main><p>Click <button>Save</button> to store.</p></main>", "Click Save to store."),
        (
            "<main><button>Go<p>Text after a button that was left open.</p></main>",
            "Go\n\nText after a button that was left open.",
        ),
        ("<main><p><i class=material-icons aria-hidden=true>save</i> Save it.</p></main>", "Save it."),
        ("<main><p>So <math><mi>a</mi><mo>=</mo><mi>b</mi></math> holds.</p></main>", "So a=b holds."),
    ],
)
def test_a_page_is_read_as_browsers_show_it(body: str, text: str) -> None:
    assert convert_html(page(body)).text == text


def test_an_unmarked_page_keeps_lists_tables_and_loose_text_beside_its_paragraphs() -> None:
    body = (
        f"<h1>Mill</h1><p>{LONG}</p><dl><dt>Rye<dd>5 euro</dl><h2>Hours</h2>Mon 9-12<br>Tue 10-14"
        "<ol><li>Follow the river<li>Cross it</ol><table><tr><td>Oats<td>7</table>"
        "<ul><li><a href=/a>Another page</a><li><a href=/b>One more page</a></ul>"
    )
    text = convert_html(page(body)).text
    assert "Rye\n\n5 euro\n\n## Hours\n\nMon 9-12\nTue 10-14\n\n1. Follow the river\n2. Cross it" in text
    assert "| Oats | 7 |" in text
    assert "nother page" not in text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<h2>Part<br>two</h2>x", "## Part two\n\nx"),
        ("<h2>T</h2><blockquote>Said.</blockquote>", "## T\n\n> Said."),
        ("<pre>one<br>two</pre>", "```\none\ntwo\n```"),
        ("<pre><code><div>one</div><div>two</div></code></pre>", "```\none\ntwo\n```"),
        ("<table><tr><td><pre>one\ntwo</pre></table>", "```\none\ntwo\n```"),
        ("<table><tr><td><h3>Rye</h3>5 kg<td><h3>Oats</h3>2 kg</table>", "### Rye\n\n5 kg\n\n### Oats\n\n2 kg"),
        ("<table><caption>Prices</caption><tr><th>Rye<tr><td>5</table>", "Prices\n\n| Rye |\n| --- |\n| 5 |"),
        ("<figure><img alt=Mill><figcaption>Fig. 1</figcaption></figure>", "Mill\n\nFig. 1"),
        ("Donau&shy;schiff and a<wbr>b", "Donauschiff and ab"),
        ("<x-note>One.</x-note><x-note>Two.</x-note>", "One.\n\nTwo."),
        ("<p>See <x-link>this</x-link>.</p>", "See this."),
        ("<div role=heading aria-level=3>Pseudo</div>x", "### Pseudo\n\nx"),
        ("<xmp>a <b>c</xmp>", "```\na <b>c\n```"),
    ],
)
def test_lines_and_blocks_stay_apart(markup: str, text: str) -> None:
    assert convert_html(markup).text == text


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ("<tr><td rowspan=2>A<td>1<td rowspan=9>Z<tr><td>2<tr><td>B<td>3", ["A|1|Z", "A|2|Z", "B|3|Z"]),
        ("<tr><td>x<td rowspan='2'>last<tr><td>y", ["x|last", "y|last"]),
        ("<tr><td rowspan=2 colspan=2>w<td>1<tr><td>2", ["w||1", "w||2"]),
        (f"<tr><td rowspan=2>{'long ' * 60}<td>1<tr><td>2", [f"{'long ' * 60}|1", "|2"]),
        ("<tr><td rowspan=x>A<td>1<tr><td>B<td>2", ["A|1", "B|2"]),
    ],
)
def test_a_cell_that_spans_rows_is_said_in_each_of_them(rows: str, lines: list[str]) -> None:
    text = convert_html(page(f"<p>Intro.</p><table><tr><th>a<th>b<th>c</tr>{rows}</table>"), whole=True).text
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert [row[: len(line.split("|"))] for row, line in zip(found[2:], lines, strict=True)] == [
        [cell.strip() for cell in line.split("|")] for line in lines
    ]


def test_spans_of_a_hostile_table_take_no_time() -> None:
    table = f"<table><tr>{'<td rowspan=65534>x</td>' * 2000}</tr>{'<tr></tr>' * 5000}</table>"
    assert len(convert_html(page(table), whole=True).text) < 200_000


@pytest.mark.parametrize(("markup", "text"), [("<p>Rye</p>" + "\x02\x00" * 500, "Rye"), ("\x00\x01\x02" * 99, "")])
def test_control_characters_are_not_text_however_many_there_are(markup: str, text: str) -> None:
    assert convert_html(markup).text == text
