"""Folders and files as sources: what is read, under which id, and what fails."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path, PurePosixPath

import pytest

from indexer.sources import formats
from indexer.sources.build import open_source
from indexer.sources.formats import file_url
from tests.sources import count_items, read_all
from winnow.core.errors import InvalidSource
from winnow.core.types import Document
from winnow.ports.source import Failure, Notice, SourceOptions


def write(root: Path, **files: str | bytes) -> None:
    for name, content in files.items():
        put(root, name, content)


def put(root: Path, name: str, content: str | bytes) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def documents(root: Path) -> dict[str, Document]:
    items = read_all(open_source(str(root)))
    assert not [item for item in items if isinstance(item, Failure)]
    return {item.id: item for item in items if isinstance(item, Document)}


def notices(root: Path) -> list[Notice]:
    async def collected() -> list[Notice]:
        return [item async for item in open_source(str(root)).read() if isinstance(item, Notice)]

    return asyncio.run(collected())


def failure(root: Path) -> Failure:
    (item,) = read_all(open_source(str(root)))
    assert isinstance(item, Failure)
    return item


def test_known_suffixes_are_read_in_a_stable_order_and_the_rest_is_ignored(tmp_path: Path) -> None:
    names = ["b.md", "a.TXT", "c.mdx", "d.html", "e.htm", "f.rst", "g.markdown", "sub/z.text", "x.png", "y.py", "noext"]
    for name in names:
        put(tmp_path, name, f"Content of {name}")
    put(tmp_path, "h.ndjson", '{"id": "line", "text": "T"}')
    ids = [item.id for item in read_all(open_source(str(tmp_path))) if isinstance(item, Document)]
    assert ids == ["a.TXT", "b.md", "c.mdx", "d.html", "e.htm", "f.rst", "g.markdown", "line", "sub/z.text"]
    assert count_items(open_source(str(tmp_path))) == 9


def test_hidden_and_generated_folders_are_skipped(tmp_path: Path) -> None:
    for name in (".git/a.md", ".hidden.md", "node_modules/b.md", "x/__pycache__/c.md", "x/.venv/d.md", "x/kept.md"):
        put(tmp_path, name, "Text")
    assert list(documents(tmp_path)) == ["x/kept.md"]
    (notice,) = notices(tmp_path)
    assert (notice.code, notice.count, "node_modules" in notice.message) == ("hidden", 5, True)


def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    put(tmp_path, "a/b.md", "Text")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "self.md").symlink_to(tmp_path / "self.md")
    assert list(documents(tmp_path)) == ["a/b.md"]


def test_markdown_has_title_and_metadata_from_the_front_matter(tmp_path: Path) -> None:
    text = (
        "---\ntitle: 'Copy: files'\ndate: 2024-02-29\nweight: 3\ndraft: false\nratio: .nan\ntags: [a, b]\n"
        "nested: {a: 1}\nnothing: null\n7: seven\n---\n# Heading\n\nBody."
    )
    put(tmp_path, "guide/copy.md", text)
    assert documents(tmp_path)["guide/copy.md"] == Document(
        "guide/copy.md",
        "# Heading\n\nBody.",
        "markdown",
        "Copy: files",
        metadata={"date": "2024-02-29", "weight": 3, "draft": False, "ratio": ".nan", "tags": ["a", "b"], "7": "seven"},
    )


@pytest.mark.parametrize(
    ("name", "text", "title"),
    [
        ("a.md", "Intro.\n\n## First *heading*\n\n# Second", "First heading"),
        ("a.md", "```\n# not a heading\n```\n", "a"),
        ("release-notes.md", "No heading.", "release-notes"),
        ("a.html", "<title>Copy · My Site</title><h1>Copy</h1><p>T</p>", "Copy"),
        ("a.html", "<title>Copy &amp; paste</title><h1>My Site</h1><p>T</p>", "Copy & paste"),
        ("a.html", "<p>T</p><h2>Only heading</h2>", "Only heading"),
        ("notes.txt", "# no markup here", "notes"),
    ],
)
def test_titles(tmp_path: Path, name: str, text: str, title: str) -> None:
    put(tmp_path, name, text)
    assert documents(tmp_path)[name].title == title


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "empty", "empty"),
        (b" \n\t\n", "empty", "empty"),
        (b"PNG\x00\x01", "binary", "NUL"),
        (b"<!-- nothing -->", "no_text", "no text"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff", "not_utf8", "NUL"),
        (b'---\ntitle: "\\ud800"\n---\nBody', "invalid_document", "surrogates"),
    ],
)
def test_a_bad_file_fails_and_is_named(tmp_path: Path, content: bytes, code: str, words: str) -> None:
    path = put(tmp_path, "bad.md", content)
    item = failure(tmp_path)
    assert (item.source, item.code, item.document_id) == (str(path), code, "bad.md")
    assert words in item.message


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"fine\nM\xfcller", "encoding_detected"),
        ("Mühle am Bach. ".encode() * 50 + b"\xff", "replacement_characters"),
        (b"---\ntitle: a\n  bad: [\n---\nBody", "invalid_front_matter"),
        (b"---\n- a: list\n---\nBody", "invalid_front_matter"),
    ],
)
def test_a_file_that_is_read_with_losses_carries_a_warning(tmp_path: Path, content: bytes, code: str) -> None:
    put(tmp_path, "a.md", content)
    assert [warning.code for warning in documents(tmp_path)["a.md"].warnings] == [code]


def test_what_a_folder_leaves_out_is_counted_by_kind(tmp_path: Path) -> None:
    write(tmp_path, **{"a.md": "A", "b.xyz": "B", "c.xyz": "C", "d": "D", "out/e.md": "E"})
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.md").symlink_to(tmp_path / "out" / "e.md")
    (notice,) = notices(tmp_path)
    assert (notice.code, notice.count) == ("unknown_type", 3)
    assert "2 files .xyz" in notice.message
    (notice,) = notices(tmp_path / "in")
    assert (notice.code, notice.count) == ("outward_links", 1)


def test_kinds_that_a_message_has_no_room_for_are_counted(tmp_path: Path) -> None:
    write(tmp_path, **{f"f.x{number}": "B" for number in range(23)})
    (notice,) = notices(tmp_path)
    assert notice.message.endswith(", 3 files of 3 other types")


def test_an_entry_that_cannot_be_looked_at_is_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, **{"a.md": "A", "shut/b.md": "B", "z.md": "Z"})
    lstat = Path.lstat

    def refuse(self: Path) -> os.stat_result:
        if self.name == "b.md":
            raise PermissionError(13, "Permission denied", str(self))
        return lstat(self)

    monkeypatch.setattr(Path, "lstat", refuse)
    source = open_source(str(tmp_path))
    assert count_items(source) == 2
    first, second, failed = read_all(source)
    assert [item.id for item in (first, second) if isinstance(item, Document)] == ["a.md", "z.md"]
    assert isinstance(failed, Failure)
    assert (failed.code, failed.document_id, failed.source) == ("unreadable", "", str(tmp_path / "shut" / "b.md"))


def test_one_bad_file_does_not_stop_the_rest(tmp_path: Path) -> None:
    write(tmp_path, **{"a.md": "A", "b.md": b"\xff\xfe", "c.md": "C"})
    items = read_all(open_source(str(tmp_path)))
    assert [type(item) for item in items] == [Document, Failure, Document]


def test_a_file_over_the_limit_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_FILE_BYTES", 1024)
    put(tmp_path, "a.txt", "x" * 1025)
    assert failure(tmp_path).code == "too_large"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_fails(tmp_path: Path) -> None:
    put(tmp_path, "a.md", "A").chmod(0)
    assert failure(tmp_path).code == "unreadable"


def test_a_file_that_is_gone_when_it_is_read_fails(tmp_path: Path) -> None:
    path = put(tmp_path, "a.md", "A")
    source = open_source(str(path))
    path.unlink()
    assert [item.code for item in read_all(source) if isinstance(item, Failure)] == ["unreadable"]


def test_a_name_that_is_not_utf8_fails(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")).write_text("Text")
    item = failure(tmp_path)
    assert item.code == "not_utf8"
    assert item.source.encode()


def test_a_yaml_bomb_is_harmless(tmp_path: Path) -> None:
    levels = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 30))
    put(tmp_path, "bomb.md", f"---\nl0: &l0 [lol]\n{levels}\n---\nBody")
    assert documents(tmp_path)["bomb.md"].metadata == {"l0": ["lol"]}


def test_an_id_that_stands_in_two_files_fails_the_second_time(tmp_path: Path) -> None:
    write(tmp_path, **{"a.jsonl": '{"id": "x", "text": "one"}', "b.jsonl": '{"id": "x", "text": "two"}'})
    first, second = read_all(open_source(str(tmp_path)))
    assert isinstance(first, Document)
    assert isinstance(second, Failure)
    assert second.code == "duplicate_id"


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("", "a.md", ""),
        ("https://docs.example.org", "guide/copy.mdx", "https://docs.example.org/guide/copy"),
        ("https://docs.example.org/en/", "index.md", "https://docs.example.org/en"),
        ("https://docs.example.org", "guide/Index.html", "https://docs.example.org/guide"),
        ("https://docs.example.org", "a b/ü.v2.md", "https://docs.example.org/a%20b/%C3%BC.v2"),
    ],
)
def test_addresses(base: str, path: str, url: str) -> None:
    assert file_url(base, PurePosixPath(path)) == url


def test_a_base_url_gives_every_file_its_address(tmp_path: Path) -> None:
    put(tmp_path, "a/b.md", "Text")
    (item,) = read_all(open_source(str(tmp_path), SourceOptions(base_url="https://x.org")))
    assert isinstance(item, Document)
    assert item.url == "https://x.org/a/b"


def test_a_single_file_has_its_name_as_id(tmp_path: Path) -> None:
    source = open_source(str(put(tmp_path, "deep/page.md", "# Page\n\nText")))
    assert [item.id for item in read_all(source) if isinstance(item, Document)] == ["page.md"]
    assert count_items(source) == 1


def test_labels_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert open_source("docs").label == open_source("./docs/").label == f"dir:{tmp_path.resolve() / 'docs'}"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "empty"),
        ("no/such/folder", "does not exist"),
        ("ftp://example.org/docs", "not supported"),
        ("https://example.org/sitemap.xml", "site:https://example.org"),
    ],
)
def test_what_is_no_source_is_refused_with_what_is_accepted(spec: str, words: str) -> None:
    with pytest.raises(InvalidSource, match=words) as caught:
        open_source(spec)
    assert "sources can be 'python'" in caught.value.message


def test_a_file_of_an_unknown_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource, match=r"'\.xyz'"):
        open_source(str(put(tmp_path, "a.xyz", "x")))
