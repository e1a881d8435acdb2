"""Repositories of Git: a commit is read like a folder, and what did not change is not read again."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from indexer.sources.build import open_source
from indexer.sources.git import program
from tests.files import pdf, write
from tests.sources import read_all
from winnow.core.errors import InvalidSource
from winnow.core.types import Document
from winnow.ports.source import Failure, Notice, SourceOptions

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


class Repository:
    """A repository that tests commit to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
        command = ["git", "-C", str(self.path), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, **files: bytes) -> str:
        for name, content in files.items():
            write(self.path / name, content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=x")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "made")
    made.commit(**{"docs/a.md": b"# A", "docs/b.pdf": pdf(["Stones."]), "rows.csv": b"id,text\nr1,row\n", "x.py": b"x"})
    return made


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the blobs that are read."""
    seen: list[str] = []
    copy = program.BlobReader.copy

    def watched(self: program.BlobReader, blob: str, target: Path) -> None:
        seen.append(blob)
        copy(self, blob, target)

    monkeypatch.setattr(program.BlobReader, "copy", watched)
    return seen


def read(spec: str, state_dir: Path | None = None) -> list[Document | Failure]:
    return read_all(open_source(spec, SourceOptions(state_dir=state_dir, base_url="https://x.org")))


def texts(spec: str, state_dir: Path | None = None) -> dict[str, str]:
    items = read(spec, state_dir)
    assert not [item for item in items if isinstance(item, Failure)]
    return {item.id: item.text for item in items if isinstance(item, Document)}


def notices(spec: str) -> list[str]:
    async def collected() -> list[str]:
        return [item.message async for item in open_source(spec).read() if isinstance(item, Notice)]

    return asyncio.run(collected())


def test_the_last_commit_is_read_like_a_folder_whatever_the_work_tree_holds(repository: Repository) -> None:
    write(repository.path / "docs" / "a.md", b"# Changed and not committed")
    write(repository.path / "new.md", b"# Not committed")
    items = read(f"git:{repository.path}")
    assert [(item.id, item.url) for item in items if isinstance(item, Document)] == [
        ("docs/a.md", "https://x.org/docs/a"),
        ("docs/b.pdf", "https://x.org/docs/b.pdf"),
        ("r1", ""),
    ]
    assert texts(f"git:{repository.path}") == {"docs/a.md": "# A", "docs/b.pdf": "Stones.", "r1": "row"}
    assert "1 file .py" in notices(f"git:{repository.path}")[0]


def test_a_branch_a_tag_and_a_commit_are_read_as_they_are(repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "v1")
    repository.git("checkout", "--quiet", "-b", "next")
    repository.commit(**{"docs/a.md": b"# Next"})
    for ref, text in (("v1", "# A"), (first, "# A"), ("main", "# A"), ("next", "# Next")):
        assert texts(f"git:{repository.path}#{ref}")["docs/a.md"] == text


def test_a_folder_of_the_repository_is_read_alone(repository: Repository) -> None:
    source = f"git:{repository.path}#main:docs"
    assert list(texts(source)) == ["a.md", "b.pdf"]
    assert open_source(f"{source}/").label == source


def test_a_blob_that_did_not_change_is_not_read_again(
    repository: Repository, tmp_path: Path, copied: list[str]
) -> None:
    source = f"git:{repository.path}#HEAD:docs"
    first = texts(source, tmp_path / "state")
    assert len(copied) == 2
    copied.clear()
    repository.commit(**{"docs/a.md": b"# A, changed", "docs/c.md": b"# C"})
    assert texts(source, tmp_path / "state") == first | {"a.md": "# A, changed", "c.md": "# C"}
    assert sorted(copied) == sorted(repository.git("rev-parse", "HEAD:docs/a.md", "HEAD:docs/c.md").split())


@pytest.mark.parametrize("keeps", [True, False])
def test_a_repository_elsewhere_is_fetched_without_its_history(
    repository: Repository, tmp_path: Path, copied: list[str], keeps: bool
) -> None:
    state_dir = tmp_path / "state" if keeps else None
    source = f"git:{repository.path.as_uri()}#main:docs"
    repository.commit(**{"docs/a.md": b"# A second"})
    assert texts(source, state_dir)["a.md"] == "# A second"
    repository.commit(**{"docs/a.md": b"# A third"})
    copied.clear()
    assert texts(source, state_dir)["a.md"] == "# A third"
    if state_dir is not None:
        assert copied == [repository.git("rev-parse", "HEAD:docs/a.md")]
        (copy,) = (state_dir / "repositories").iterdir()
        log = subprocess.run(["git", "-C", copy, "rev-list", "refs/winnow/tip"], check=True, capture_output=True)
        assert len(log.stdout.split()) == 1


def test_links_are_followed_inside_of_the_commit_only(repository: Repository, tmp_path: Path) -> None:
    write(tmp_path / "secret.md", b"# Secret")
    for name, target in (("in.md", "docs/a.md"), ("out.md", "../secret.md"), ("again.md", "in.md"), ("gone.md", "no")):
        (repository.path / name).symlink_to(target)
    repository.commit()
    source = f"git:{repository.path}"
    assert texts(source)["in.md"] == "# A"
    assert not {"out.md", "again.md", "gone.md"} & texts(source).keys()
    assert "3 files that are links to no file of the folder" in notices(source)[0]


def test_what_a_repository_does_not_hold_itself_is_named(repository: Repository, tmp_path: Path) -> None:
    Repository(tmp_path / "part").commit(**{"p.md": b"# P"})
    repository.git("submodule", "--quiet", "add", (tmp_path / "part").as_uri(), "part")
    repository.commit(**{"big.pdf": LFS})
    failures = [item for item in read(f"git:{repository.path}") if isinstance(item, Failure)]
    assert [(item.code, item.document_id) for item in failures] == [("lfs_pointer", "big.pdf")]
    assert "1 file that are submodules" in notices(f"git:{repository.path}")[0]


def test_the_names_of_a_commit_may_be_anything(repository: Repository) -> None:
    path = repository.path / "docs" / "with a\ttab, a \n line\x01.md"
    write(path, b"# Odd")
    write(repository.path / "-rf.md", b"# Dash")
    write(repository.path / ".hidden" / "x.md", b"# Hidden")
    repository.commit()
    items = read(f"git:{repository.path}")
    assert "-rf.md" in [item.id for item in items if isinstance(item, Document)]
    (failure,) = [item for item in items if isinstance(item, Failure)]
    assert failure.code == "invalid_document"
    assert failure.document_id.startswith("docs/with")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("#nope", "no branch, tag or commit 'nope'"),
        ("#main:nope", "ls-tree failed"),
        ("/docs", "not a git repository"),
    ],
)
def test_what_cannot_be_read_fails_without_a_document_so_that_nothing_counts_as_gone(
    repository: Repository, asked: str, words: str
) -> None:
    (failure,) = read(f"git:{repository.path}{asked}")
    assert isinstance(failure, Failure)
    assert (failure.code, failure.document_id) == ("git_failed", "")
    assert words in failure.message


def test_a_repository_that_cannot_be_reached_fails_with_the_words_of_git(tmp_path: Path) -> None:
    (failure,) = read(f"git:{(tmp_path / 'nowhere').as_uri()}", tmp_path / "state")
    assert isinstance(failure, Failure)
    assert (failure.code, failure.document_id) == ("git_failed", "")
    assert "does not appear to be a git repository" in failure.message


def test_the_environment_of_a_caller_does_not_change_what_is_read(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Repository(tmp_path / "other")
    other.commit(**{"o.md": b"# Other"})
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    assert "docs/a.md" in texts(f"git:{repository.path}")


def test_one_that_takes_too_long_is_ended(repository: Repository) -> None:
    with pytest.raises(program.ReadError, match="took longer"):
        program.run_git(repository.path, "cat-file", "--batch-all-objects", "--batch", seconds=0.0)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("git:", "names neither a folder nor the address"),
        ("git:no/such/folder", "names neither a folder nor the address"),
        ("git:ext::sh -c id", "names neither a folder nor the address"),
        ("git:https://user:hush@example.org/x.git", "credential helper"),
        ("git:https://hush@example.org/x.git", "credential helper"),
        ("git:https://example.org/x.git#--upload-pack=id", "cannot be a branch"),
    ],
)
def test_what_is_no_repository_is_refused(spec: str, words: str) -> None:
    with pytest.raises(InvalidSource, match=words) as caught:
        open_source(spec)
    assert "hush" not in caught.value.message


def test_addresses_of_ssh_are_accepted() -> None:
    for address in ("git@example.org:docs/handbook.git", "ssh://git@example.org/handbook.git"):
        assert open_source(f"git:{address}#v1").label == f"git:{address}#v1"


def test_the_program_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidSource, match="the program 'git', which is not installed"):
        open_source("git:https://example.org/x.git")
