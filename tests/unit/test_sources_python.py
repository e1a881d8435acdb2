"""The standard library as a source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from indexer.sources.build import open_source
from indexer.sources.stdlib_pages import PAGES
from indexer.sources.stdlib_source import Library
from tests.sources import read_all
from winnow.core.types import Document

DOCS = "https://docs.python.org/3/library/"


@pytest.fixture(scope="module")
def library() -> dict[str, Document]:
    items = read_all(open_source("python"))
    found = {item.id: item for item in items if isinstance(item, Document)}
    assert len(found) == len(items)
    return found


def test_there_are_some_thousand_documents_in_a_stable_order(library: dict[str, Document]) -> None:
    assert 3_000 < len(library) < 8_000
    assert list(library) == sorted(library)


def test_a_function_has_signature_docstring_address_and_metadata(library: dict[str, Document]) -> None:
    document = library["shutil.copy2"]
    assert document.title == "shutil.copy2"
    assert document.text.startswith("shutil.copy2(src, dst, *, follow_symlinks=True)\n\nCopy data and metadata.")
    assert document.url == DOCS + "shutil.html#shutil.copy2"
    assert document.metadata == {"module": "shutil", "kind": "function"}
    assert document.source_format == "text"


@pytest.mark.parametrize(
    ("name", "kind", "url"),
    [
        ("shutil", "module", "shutil.html#module-shutil"),
        ("len", "function", "functions.html#len"),
        ("open", "function", "functions.html#open"),
        ("str.split", "method", "stdtypes.html#str.split"),
        ("ValueError", "class", "exceptions.html#ValueError"),
        ("os.path.join", "function", "os.path.html#os.path.join"),
        ("os.path.exists", "function", "os.path.html#os.path.exists"),
        ("os.mkdir", "function", "os.html#os.mkdir"),
        ("json.JSONDecoder", "class", "json.html#json.JSONDecoder"),
        ("collections.abc.Mapping", "class", "collections.abc.html#collections.abc.Mapping"),
        ("collections.deque.append", "method", "collections.html#collections.deque.append"),
        ("asyncio.gather", "function", "asyncio-task.html#asyncio.gather"),
        ("asyncio.Queue.put", "method", "asyncio-queue.html#asyncio.Queue.put"),
        ("xml.etree.ElementTree.parse", "function", "xml.etree.elementtree.html#xml.etree.ElementTree.parse"),
        ("socket.socket.bind", "method", "socket.html#socket.socket.bind"),
        ("math.sqrt", "function", "math.html#math.sqrt"),
    ],
)
def test_names_and_pages_are_the_public_ones(library: dict[str, Document], name: str, kind: str, url: str) -> None:
    assert library[name].url == DOCS + url
    assert library[name].metadata["kind"] == kind


def test_names_that_are_inherited_assigned_or_lent_a_docstring_are_there(library: dict[str, Document]) -> None:
    assert {"argparse.ArgumentParser.add_argument", "mailbox.mbox.get_file"} <= library.keys()
    assert "echo turned off" in library["getpass.getpass"].text
    assert "extension" in library["os.path.splitext"].text


def test_nothing_private_empty_or_twice(library: dict[str, Document]) -> None:
    assert not [name for name in library if any(part.startswith("_") for part in name.split("."))]
    assert not [name for name, document in library.items() if not document.text.strip()]
    assert not {"posixpath.join", "json.decoder.JSONDecoder", "genericpath.exists", "this", "array.ArrayType"} & {
        *library
    }


def test_methods_are_shown_without_self(library: dict[str, Document]) -> None:
    assert library["pathlib.Path.mkdir"].text.startswith("pathlib.Path.mkdir(mode=")
    assert library["subprocess.Popen.communicate"].text.startswith("subprocess.Popen.communicate(input=None")


def test_reading_has_no_effects() -> None:
    code = (
        "import sys; from indexer.sources.build import open_source; from tests.sources import read_all;"
        "read_all(open_source('python'));"
        "print([m for m in ('this', 'antigravity', 'idlelib', 'turtle', 'tkinter', 'test') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert (run.stdout, run.stderr) == ("[]\n", "")


def test_re_exports_are_documented_under_the_package(tmp_path: Path) -> None:
    package = tmp_path / "json"
    package.mkdir()
    (package / "__init__.py").write_text(
        'from .decoder import Public\n__all__ = ["Public", "own"]\ndef own(a, *, b=1):\n    "Own."\n'
    )
    (package / "decoder.py").write_text(
        'class Public:\n    "Doc."\n'
        '    @staticmethod\n    def make(x): "Make."\n'
        '    @property\n    def size(self): "Size."\n'
        'class Other:\n    "Not exported."\n    def _private(self): "No."\n'
    )
    found = {item.name: item.signature for item in Library(tmp_path).docstrings(["json.decoder", "json"])}
    assert found == {
        "json.Public": "class json.Public",
        "json.Public.make": "json.Public.make(x)",
        "json.Public.size": "json.Public.size",
        "json.own": "json.own(a, *, b=1)",
        "json.decoder.Other": "class json.decoder.Other",
    }


def test_every_page_belongs_to_a_module_that_python_knows() -> None:
    future = {"sys.monitoring"}
    unknown = {module for module in PAGES if module.partition(".")[0] not in sys.stdlib_module_names}
    assert unknown <= future
