"""Sources of other packages: found by scheme, named when they are broken, and harmless to the other sources."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from indexer.ingest import ingest
from indexer.sources.build import open_source
from tests.sources import count_items, read_all
from tests.unit.test_sources_missing import Destination
from winnow.core.errors import InvalidSource
from winnow.core.types import Document
from winnow.ports.source import Failure, SourceOptions

MODULE = """
from winnow.core.errors import InvalidSource
from winnow.core.types import Document

class Shelf:
    is_complete, fields = True, {"year": "integer"}

    def __init__(self, spec, options):
        if spec == "shelf:none":
            raise InvalidSource("there is no such shelf")
        self.label = "dir:/home" if spec == "shelf:dir" else spec
        self.spec = spec

    async def count(self):
        return 2

    async def read(self):
        yield Document("a", "<h1>Mill</h1><p>Stone</p>", "html", canonical=False)
        if "broken" in self.spec:
            raise ZeroDivisionError("nothing left")
        yield Document("a", "twice")
        yield Document("b", "Text", metadata={"when": object()})
        yield "nonsense"
"""


def package(root: Path, name: str, **entries: str) -> None:
    """Install a package that declares entry points, as pip leaves it on disk."""
    folder = root / f"{name}-1.2.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    lines = "".join(f"{scheme} = {value}\n" for scheme, value in entries.items())
    (folder / "entry_points.txt").write_text(f"[winnow.sources]\n{lines}")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place on the import path with a package ``shelves`` that reads ``shelf:`` and one that cannot be imported."""
    place = tmp_path / "site"
    package(place, "shelves", shelf="shelves_source:Shelf")
    package(place, "ruins", ruin="ruins_source:Ruin")
    (place / "shelves_source.py").write_text(MODULE)
    (place / "ruins_source.py").write_text("import a_module_that_does_not_exist\n")
    monkeypatch.syspath_prepend(str(place))
    yield place
    sys.modules.pop("shelves_source", None)


def test_a_plug_in_is_opened_by_its_scheme(installed: Path) -> None:
    source = open_source("shelf:books")
    assert (source.label, dict(source.fields), count_items(source)) == ("shelf:books", {"year": "integer"}, 2)
    mill, *_ = read_all(source)
    assert isinstance(mill, Document)
    assert mill.text == "# Mill\n\nStone"


def test_its_items_are_checked_one_by_one(installed: Path) -> None:
    _, twice, unfit, nonsense = read_all(open_source("shelf:books"))
    assert isinstance(twice, Failure)
    assert (twice.code, twice.document_id) == ("duplicate_id", "a")
    assert isinstance(unfit, Failure)
    assert (unfit.code, unfit.document_id) == ("plug_in_failed", "b")
    assert isinstance(nonsense, Failure)
    assert "returned str in place of a Document" in nonsense.message


def test_one_that_raises_ends_alone_and_nothing_of_it_counts_as_gone(installed: Path) -> None:
    mill, failure = read_all(open_source("shelf:broken"))
    assert isinstance(mill, Document)
    assert isinstance(failure, Failure)
    assert (failure.source, failure.code, failure.document_id) == ("shelf:broken", "plug_in_failed", "")
    assert "'shelf' (shelves_source:Shelf) of the package shelves 1.2" in failure.message
    assert "ZeroDivisionError: nothing left" in failure.message


async def test_the_other_sources_of_the_run_are_indexed(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A")
    sources = [open_source("shelf:broken"), open_source(str(tmp_path / "docs"))]
    summary = await ingest(Destination(), "docs", sources, max_chars=1000)
    assert summary.seen == 3
    assert [failure.code for failure in summary.failures] == ["plug_in_failed"]


def test_one_that_cannot_be_imported_is_named_with_its_package(installed: Path) -> None:
    with pytest.raises(InvalidSource, match=r"'ruin' \(ruins_source:Ruin\) of the package ruins 1\.2") as caught:
        open_source("ruin:x")
    assert "a_module_that_does_not_exist" in caught.value.message
    assert open_source("shelf:books").label == "shelf:books"


def test_its_own_refusal_is_shown_as_it_is(installed: Path) -> None:
    with pytest.raises(InvalidSource, match=r"^there is no such shelf$"):
        open_source("shelf:none")


def test_a_label_that_another_source_could_have_is_refused(installed: Path) -> None:
    with pytest.raises(InvalidSource, match="a label starts with shelf:"):
        open_source("shelf:dir")


def test_two_packages_with_one_scheme_are_both_named(installed: Path) -> None:
    package(installed, "copies", shelf="copies_source:Shelf")
    with pytest.raises(InvalidSource, match=r"copies 1\.2 and .*shelves 1\.2 both read shelf: sources"):
        open_source("shelf:books")


def test_a_plug_in_does_not_take_the_place_of_a_source_of_winnows_own(installed: Path) -> None:
    package(installed, "thieves", site="thieves_source:Site")
    assert open_source("site:https://example.org/docs/").label == "site:https://example.org/docs/"


def test_an_unknown_scheme_is_refused_with_the_schemes_there_are(installed: Path) -> None:
    with pytest.raises(InvalidSource) as caught:
        open_source("thing:x")
    assert "'thing:' are not supported" in caught.value.message
    for known in ("site:https://…", "s3://…", "shelf:… (a plug-in)", "ruin:… (a plug-in)"):
        assert known in caught.value.message


class Partial:
    """A source without ``count`` and ``read``."""

    label, fields, is_complete = "part:x", MappingProxyType({}), True

    def __init__(self, *_: Any) -> None:
        pass


class Mistyped(Partial):
    fields = MappingProxyType({"year": "number"})

    async def count(self) -> int:
        raise RuntimeError

    async def read(self) -> AsyncGenerator[Document, None]:
        yield Document("a", "A")


@pytest.mark.parametrize(("name", "words"), [("Partial", "without count, read"), ("Mistyped", "'year' as 'number'")])
def test_an_object_that_is_not_a_source_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    package(tmp_path, "parts", part=f"{__name__}:{name}")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InvalidSource, match=words):
        open_source("part:x", SourceOptions())
