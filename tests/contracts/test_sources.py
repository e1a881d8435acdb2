"""Every source passes the contract."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from indexer.sources.build import open_source
from winnow.ports.source import Source
from winnow.testing.contracts.source import SourceContract


class TestFolder(SourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        (tmp_path / "a.md").write_text("# Mill\n\nText.")
        (tmp_path / "rows.jsonl").write_text('{"id": "x", "text": "row"}\n{"id": "y"}\n')
        (tmp_path / "picture.png").write_bytes(b"no")
        return open_source(str(tmp_path))


class TestPython(SourceContract):
    @pytest.fixture
    def source(self) -> Source:
        return open_source("python")


class TestMbox(SourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        heads = (f"From x\nMessage-ID: <{number}@example.org>\n\nText {number}.\n\n" for number in range(3))
        (tmp_path / "a.mbox").write_text("".join(heads))
        return open_source(f"mbox:{tmp_path / 'a.mbox'}")


class TestGit(SourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        (tmp_path / "a.md").write_text("# A")
        (tmp_path / "b.md").write_text("# B")
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        for command in (("init", "--quiet"), ("add", "."), (*who, "commit", "--quiet", "--message=x")):
            subprocess.run(["git", "-C", tmp_path, *command], check=True)
        return open_source(f"git:{tmp_path}")


class TestObjectStore(SourceContract):
    @pytest.fixture
    def source(self, monkeypatch: pytest.MonkeyPatch) -> Source:
        monkeypatch.setattr(MemoryFileSystem, "store", {})
        monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
        MemoryFileSystem(skip_instance_cache=True).pipe({"/docs/a.md": b"# A", "/docs/b.md": b"# B"})
        return open_source("memory://docs")
