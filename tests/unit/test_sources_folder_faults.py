"""What a folder may hold besides files: links, entries that cannot be read, paths and names of any kind."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from indexer.ingest import ingest
from indexer.sources import opening
from indexer.sources.build import open_source
from indexer.sources.files import LocalSource
from indexer.sources.formats import File
from tests.files import pdf, write
from tests.sources import count_items
from tests.unit.test_sources_missing import Destination
from winnow.core.types import Document
from winnow.ports.source import Failure, Notice, SourceItem, SourceOptions


def everything(folder: Path, *, follow: bool = False) -> list[SourceItem]:
    async def collected() -> list[SourceItem]:
        return [item async for item in open_source(str(folder), SourceOptions(follow_links=follow)).read()]

    return asyncio.run(collected())


def ids(items: list[SourceItem]) -> list[str]:
    return [item.id for item in items if isinstance(item, Document)]


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder with links to files and folders in it and outside of it."""
    inside, outside = tmp_path / "in", tmp_path / "out"
    write(inside / "a.md", b"# A")
    write(inside / "sub" / "b.md", b"# B")
    write(outside / "c.md", b"# C")
    write(outside / "more" / "d.pdf", pdf(["D"]))
    (inside / "alias.md").symlink_to(inside / "a.md")
    (inside / "c.md").symlink_to(outside / "c.md")
    (inside / "elsewhere").symlink_to(outside)
    (inside / "again").symlink_to(inside / "sub")
    (outside / "back").symlink_to(inside)
    (outside / "more" / "round").symlink_to(outside)
    return inside


def test_links_out_of_a_folder_are_counted_and_not_followed(linked: Path) -> None:
    items = everything(linked)
    assert ids(items) == ["a.md", "alias.md", "sub/b.md"]
    (notice,) = [item for item in items if isinstance(item, Notice)]
    assert (notice.code, notice.count) == ("outward_links", 2)
    assert "2 links out of the folder left out; --follow-links" in notice.message


def test_they_are_followed_if_that_is_asked_for_and_circles_end(linked: Path) -> None:
    items = everything(linked, follow=True)
    assert ids(items) == ["a.md", "alias.md", "c.md", "elsewhere/c.md", "elsewhere/more/d.pdf", "sub/b.md"]
    assert len(items) == 6
    assert count_items(open_source(str(linked), SourceOptions(follow_links=True))) == 6


@pytest.mark.parametrize("name", ["b.md", "b.pdf", "b.jsonl", "b.csv"])
def test_a_file_that_becomes_a_link_before_it_is_read_is_not_followed(tmp_path: Path, name: str) -> None:
    write(tmp_path / "secret", b"id,text\ns,secret\n")
    write(tmp_path / "in" / "a.md", b"# A")
    write(tmp_path / "in" / name, pdf(["B"]))
    failure = _second(tmp_path / "in", lambda: _become_link(tmp_path / "in" / name, tmp_path / "secret"))
    assert isinstance(failure, Failure)
    assert failure.code == "unreadable"
    assert "it became a link" in failure.message


@pytest.mark.parametrize("name", ["b.md", "b.pdf", "b.jsonl", "b.csv"])
def test_a_folder_that_becomes_a_link_before_a_file_in_it_is_read_is_not_followed(tmp_path: Path, name: str) -> None:
    write(tmp_path / "secret" / name, b"id,text\ns,secret\n")
    write(tmp_path / "in" / "sub" / "a.md", b"# A")
    write(tmp_path / "in" / "sub" / name, pdf(["B"]))
    failure = _second(tmp_path / "in", lambda: _become_link(tmp_path / "in" / "sub", tmp_path / "secret"))
    assert isinstance(failure, Failure)
    assert failure.code == "unreadable"
    assert "became a link out of the source" in failure.message


def _become_link(path: Path, target: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(target)


def _second(folder: Path, meanwhile: Callable[[], None]) -> SourceItem:
    """The second item of a folder, if something happens between its listing and its reading."""
    list_files = LocalSource.list_files

    def listed(self: LocalSource, *rest: Any) -> Iterator[File]:
        for file in list_files(self, *rest):
            if file.relative.stem == "b":
                meanwhile()
            yield file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalSource, "list_files", listed)
        first, second = everything(folder)
    assert isinstance(first, Document)
    return second


def test_a_pipe_in_place_of_a_file_does_not_make_the_run_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.md")
    (notice,) = everything(tmp_path)
    assert isinstance(notice, Notice)
    assert "1 file that are not regular" in notice.message
    with pytest.raises(OSError, match="not a regular file"):
        opening.open_file(tmp_path / "a.md")


def test_a_path_that_is_too_long_for_the_system_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    write(tmp_path / "z.md", b"# Z")
    with chdir(tmp_path):
        for _ in range(30):
            Path("deep" * 50).mkdir()
            os.chdir("deep" * 50)
        Path("lost.md").write_text("# Lost")
    items = everything(tmp_path)
    assert ids(items) == ["z.md"]
    (failure,) = [item for item in items if isinstance(item, Failure)]
    assert (failure.code, failure.document_id) == ("unreadable", "")
    assert "name too long" in failure.message


def test_a_path_that_is_too_long_for_an_id_is_named(tmp_path: Path) -> None:
    write(tmp_path / "z.md", b"# Z")
    write(tmp_path / Path(*["long" * 40] * 4) / "a.md", b"# A")
    items = everything(tmp_path)
    (failure,) = [item for item in items if isinstance(item, Failure)]
    assert failure.code == "invalid_document"
    assert "the limit is 512" in failure.message
    assert ids(items) == ["z.md"]


def test_names_that_are_no_unicode_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    for name in (b"caf\xe9.md", b"caf\xe9.\xe9xyz", b"caf\xe9.csv", b"d\xe9/x.md"):
        write(Path(os.fsdecode(root + b"/" + name)), b"id,text\nx,row\n")
    write(tmp_path / "z.md", b"# Z")
    items = everything(tmp_path)
    failures = [item for item in items if isinstance(item, Failure)]
    assert [item.code for item in failures] == ["not_utf8", "not_utf8"]
    assert ids(items) == ["x", "z.md"]
    for item in [*failures, *(item for item in items if isinstance(item, Notice))]:
        assert item.source.encode()
        assert item.message.encode()


async def test_nothing_of_a_folder_with_an_unreadable_entry_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.md", b"# A")
    write(tmp_path / "shut" / "b.md", b"# B")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    source = open_source(str(tmp_path))
    destination = Destination()
    monkeypatch.setattr(source, "label", "listed")
    summary = await ingest(
        destination, "docs", [source], delete_missing=True, may_delete=lambda *_: True, max_chars=1000
    )
    assert destination.deleted == []
    assert [(item.source, item.code) for item in summary.failures] == [
        (str(tmp_path / "shut"), "unreadable"),
        ("listed", "kept_missing"),
    ]


def test_a_folder_whose_own_path_is_no_unicode_or_too_long_has_a_label_of_its_own(tmp_path: Path) -> None:
    odd = [Path(os.fsdecode(os.fsencode(tmp_path) + name)) for name in (b"/d\xe9", b"/d\xe8")]
    long = [tmp_path / Path(*["long" * 40] * 4, name) for name in "ab"]
    labels = []
    for folder in (*odd, *long):
        write(folder / "a.md", b"# A")
        labels.append(open_source(str(folder)).label)
        assert ids(everything(folder)) == ["a.md"]
    assert len(set(labels)) == 4
    assert all(label.startswith("dir:…") and len(label) <= 512 and label.encode() for label in labels)
