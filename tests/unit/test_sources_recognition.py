"""Text recognition of scanned pages: with a program in the place of ocrmypdf, which copies what it is told to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from indexer.sources import recognition
from indexer.sources.build import open_source
from tests.files import pdf, write
from tests.sources import read_all
from winnow.core.types import Document
from winnow.ports.source import Failure, SourceOptions

SCAN = pdf([], [])
PROGRAM = """#!{python}
import pathlib, sys
source, target = sys.argv[-2:]
assert "--skip-text" in sys.argv
{action}
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(folder: Path, action: str) -> None:
    for name in ("ocrmypdf", "tesseract"):
        (folder / name).write_text(PROGRAM.format(python=sys.executable, action=action))
        (folder / name).chmod(0o755)


def read(path: Path, *, ocr: bool = True) -> Document | Failure:
    (item,) = read_all(open_source(str(path), SourceOptions(ocr=ocr)))
    return item


def test_text_that_is_recognised_is_read(tmp_path: Path, programs: Path) -> None:
    result = write(tmp_path / "result", pdf(["Amber is a resin."], ["Copal too."]))
    install(programs, f"pathlib.Path(target).write_bytes(pathlib.Path({str(result)!r}).read_bytes())")
    scan, half = (write(tmp_path / "in" / name, data) for name, data in [("a.pdf", SCAN), ("b.pdf", pdf(["x"], []))])
    for path in (scan, half):
        item = read(path)
        assert isinstance(item, Document)
        assert (item.text, item.warnings) == ("Amber is a resin.\n\nCopal too.", ())


def test_a_pdf_whose_pages_all_have_text_is_not_given_to_the_program(tmp_path: Path, programs: Path) -> None:
    assert isinstance(read(write(tmp_path / "a.pdf", pdf(["Amber."]))), Document)


def test_where_it_is_not_installed_the_failure_names_what_to_install(tmp_path: Path, programs: Path) -> None:
    item = read(write(tmp_path / "a.pdf", SCAN))
    assert isinstance(item, Failure)
    assert item.code == "ocr_not_installed"
    assert "apt-get install ocrmypdf" in item.message


def test_recognition_that_fails_or_hangs_is_named(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.pdf", SCAN)
    install(programs, "sys.exit('no language')")
    failed = read(path)
    install(programs, "import time; time.sleep(60)")
    monkeypatch.setattr(recognition, "SECONDS", 1.0)
    hung = read(path)
    assert isinstance(failed, Failure)
    assert isinstance(hung, Failure)
    assert (failed.code, "no language" in failed.message, hung.code) == ("ocr_failed", True, "too_slow")


def test_without_it_a_scan_is_a_failure_that_says_what_to_do(tmp_path: Path, programs: Path) -> None:
    item = read(write(tmp_path / "a.pdf", SCAN), ocr=False)
    assert isinstance(item, Failure)
    assert (item.code, "--ocr" in item.message) == ("no_text", True)
