"""Names: how they are folded, and what of a chunk is one."""

from __future__ import annotations

import pytest

from winnow.core.exact import Level, folded_name, level_of_name, names_of
from winnow.core.words import tokens_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("json.JSONEncoder", "JSON  jsonencoder"),
        ("ｐｉｃｋｌｅ", "Pickle"),
        ("Straße", "STRASSE"),
        ("as_file", "as-file"),
        ("“Quoted” – title!", "quoted title"),
        ("re\u0301sume\u0301", "résumé"),
        ("안녕 하세요", "안녕 하세요?"),
    ],
)
def test_spellings_of_one_name_are_equal(one: str, other: str) -> None:
    assert folded_name(one) == folded_name(other) != ""


@pytest.mark.parametrize(("one", "other"), [("C++", "C"), ("C#", "C++"), ("résumé", "resume"), ("कॉपी", "कपी")])
def test_different_names_are_not(one: str, other: str) -> None:
    assert folded_name(one) != folded_name(other)


def names(text: str = "", *, title: str = "", headings: tuple[str, ...] = ()) -> dict[str, Level]:
    tokens = tokens_of(" ".join((title, *headings, text)))
    return names_of("1", title, headings, text, tokens)


@pytest.mark.parametrize(
    ("title", "part"),
    [
        ("smtplib.SMTP", "smtp"),
        ("std::vector", "vector"),
        ("os.path.join()", "join"),
        ("guide/install.md", "install"),
        ("README.md", "readme"),
        ("Getting started", None),
        ("pickle", None),
    ],
)
def test_the_last_part_of_a_title_without_spaces_is_a_name(title: str, part: str | None) -> None:
    found = [name for name, level in names(title=title).items() if level == Level.PART_OF_TITLE]
    assert found == ([part] if part else [])


@pytest.mark.parametrize(
    "text", ["as_file", "__init__", "os.path.join", "E0502", "ERR_CONN_1045", "JSONEncoder", "IL-2"]
)
def test_code_and_error_codes_are_identifiers(text: str) -> None:
    assert names(f"see {text} there") == {"1": Level.ID, folded_name(text): Level.IDENTIFIER}


def test_a_flag_is_one() -> None:
    assert names("use --no-verify")["no verify"] == Level.IDENTIFIER
    assert names(title="git commit --no-verify")["no verify"] == Level.IDENTIFIER


@pytest.mark.parametrize("text", ["a well-known word", "NOTE: JSON", "e.g. the 2nd of 3.11", "don't"])
def test_ordinary_words_are_not(text: str) -> None:
    assert names(text) == {"1": Level.ID}


def test_the_best_level_of_a_name_counts() -> None:
    assert names("use_it", title="use_it", headings=("use it",)) == {"use it": Level.TITLE, "1": Level.ID}


@pytest.mark.parametrize(
    "query", ["smtplib.SMTP", "smtp", "install", "Getting started", "guide/install.md", "no-verify", "nothing", ""]
)
def test_the_level_of_one_name_is_that_among_all(query: str) -> None:
    title, document, headings = "smtplib.SMTP", "guide/install.md", ("Getting started", "git commit --no-verify")
    all_names = names_of(document, title, headings, "", ())
    name = folded_name(query)
    assert level_of_name(name, document, title, headings) == all_names.get(name, Level.NONE)
