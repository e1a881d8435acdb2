"""Object stores through fsspec: the same formats, nothing fetched twice, and failures by name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from indexer.sources import remote
from indexer.sources.build import open_source
from tests.files import docx, pdf
from tests.sources import read_all
from tests.unit.test_sources_office import GOOD
from winnow.core.errors import InvalidSource
from winnow.core.types import Document
from winnow.ports.source import Failure, SourceOptions


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> MemoryFileSystem:
    """An empty store whose files have ETags, as object stores have."""
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    listed = MemoryFileSystem.ls

    def ls(self: MemoryFileSystem, path: str, detail: bool = True, **more: Any) -> Any:
        found = listed(self, path, detail=True, **more)
        for entry in found:
            if entry["type"] == "file":
                entry["ETag"] = str(hash(self.store[entry["name"]].getvalue()))
        return found if detail else [entry["name"] for entry in found]

    monkeypatch.setattr(MemoryFileSystem, "ls", ls)
    return MemoryFileSystem(skip_instance_cache=True)


def read(spec: str, state_dir: Path | None = None) -> list[Document | Failure]:
    return read_all(open_source(spec, SourceOptions(state_dir=state_dir, base_url="https://x.org")))


def test_files_of_a_bucket_are_read_like_those_of_a_folder(bucket: MemoryFileSystem) -> None:
    bucket.pipe("/docs/b/mill.md", b"---\nlang: en\n---\n# Mill\n\nText.")
    bucket.pipe("/docs/a.pdf", pdf(["Stones."], title="Stones"))
    bucket.pipe("/docs/rows.csv", b"id,text\nr1,row\n")
    bucket.pipe("/docs/.hidden/x.md", b"hidden")
    bucket.pipe("/docs/image.png", b"no")
    items = read("memory://docs/")
    assert [(item.id, item.title, item.url) for item in items if isinstance(item, Document)] == [
        ("a.pdf", "Stones", "https://x.org/a.pdf"),
        ("r1", "", ""),
        ("b/mill.md", "Mill", "https://x.org/b/mill"),
    ]
    assert len(items) == 3


def test_pages_and_office_files_of_a_bucket_are_read_and_not_fetched_again(
    bucket: MemoryFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a.pptx", "a.xlsx", "a.odt", "a.epub", "a.eml")
    bucket.pipe({f"/docs/{name}": GOOD[name][0] for name in names})
    bucket.pipe("/docs/b.html", b"<!doctype html><title>T</title><nav>Menu</nav><main><h1>Mill</h1>Stone.</main>")
    bucket.pipe("/docs/c.docx", docx(("Normal", "Rye.")))
    items = read("memory://docs", tmp_path)
    expected = {name: GOOD[name][2] for name in names} | {"b.html": "# Mill\n\nStone.", "c.docx": "Rye."}
    assert {item.id: item.text for item in items if isinstance(item, Document)} == expected
    monkeypatch.setattr(MemoryFileSystem, "get_file", None)
    assert read("memory://docs", tmp_path) == items


def test_a_single_object_is_a_source(bucket: MemoryFileSystem) -> None:
    bucket.pipe("/docs/mill.md", b"# Mill")
    (item,) = read("memory://docs/mill.md")
    assert isinstance(item, Document)
    assert item.id == "mill.md"
    assert open_source("memory://docs/mill.md").label == "memory://docs/mill.md"


def test_what_is_unchanged_is_not_fetched_again(
    bucket: MemoryFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe({"/docs/a.md": b"# A", "/docs/b.md": b"# B"})
    first = read("memory://docs", tmp_path)
    fetched: list[str] = []
    fetch = MemoryFileSystem.get_file

    def watched(self: MemoryFileSystem, path: str, *rest: Any) -> None:
        fetched.append(path)
        fetch(self, path, *rest)

    monkeypatch.setattr(MemoryFileSystem, "get_file", watched)
    assert read("memory://docs", tmp_path) == first
    assert fetched == []
    bucket.pipe("/docs/b.md", b"# B, again")
    assert [item.title for item in read("memory://docs", tmp_path) if isinstance(item, Document)] == ["A", "B, again"]
    assert fetched == ["/docs/b.md"]


def test_an_object_that_cannot_be_fetched_is_named_and_the_rest_is_read(
    bucket: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe({"/docs/a.md": b"# A", "/docs/b.md": b"# B"})
    fetch = MemoryFileSystem.get_file

    def denied(self: MemoryFileSystem, path: str, *rest: Any) -> None:
        if path.endswith("a.md"):
            raise RuntimeError("AccessDenied")
        fetch(self, path, *rest)

    monkeypatch.setattr(MemoryFileSystem, "get_file", denied)
    failed, read_one = read("memory://docs")
    assert isinstance(failed, Failure)
    assert (failed.source, failed.code, failed.document_id) == ("memory://docs/a.md", "unreadable", "a.md")
    assert "AccessDenied" in failed.message
    assert isinstance(read_one, Document)


def test_a_listing_that_fails_leaves_open_what_is_there(
    bucket: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe("/docs/a.md", b"# A")

    def broken(*rest: Any, **more: Any) -> Any:
        raise RuntimeError("NoCredentials")

    monkeypatch.setattr(MemoryFileSystem, "ls", broken)
    (failure,) = read("memory://docs")
    assert isinstance(failure, Failure)
    assert (failure.code, failure.document_id) == ("unreadable", "")
    assert "NoCredentials" in failure.message


def test_an_address_with_nothing_under_it_is_named(bucket: MemoryFileSystem) -> None:
    (failure,) = read("memory://nothing")
    assert isinstance(failure, Failure)
    assert "nothing exists under this address" in failure.message
    assert "Error" not in failure.message


def test_a_file_of_an_unknown_type_is_named_with_those_that_are_read(tmp_path: Path) -> None:
    (tmp_path / "note.xyz").write_text("words")
    (failure,) = read(f"file://{tmp_path / 'note.xyz'}")
    assert isinstance(failure, Failure)
    assert "unknown type '.xyz'; read are" in failure.message
    assert "Error" not in failure.message


def test_an_object_that_is_too_large_is_not_fetched(bucket: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_MAX_OBJECT_BYTES", 3)
    monkeypatch.setattr(MemoryFileSystem, "get_file", None)
    bucket.pipe("/docs/a.md", b"1234")
    (failure,) = read("memory://docs")
    assert isinstance(failure, Failure)
    assert (failure.code, failure.document_id) == ("too_large", "a.md")


def test_a_driver_that_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(InvalidSource, match=r"pip install 'winnow-search\[s3\]'"):
        open_source("s3://bucket/docs")


def test_credentials_do_not_belong_into_the_address() -> None:
    with pytest.raises(InvalidSource, match="environment") as caught:
        open_source("s3://key:hush@bucket/docs")
    assert "hush" not in caught.value.message


def test_a_folder_can_be_given_as_an_address(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A")
    (item,) = read(f"file://{tmp_path}")
    assert isinstance(item, Document)
    assert item.id == "a.md"
