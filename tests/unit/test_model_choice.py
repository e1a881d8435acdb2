"""The choice of a collection's embedding model by its first documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.sources.python import PythonSource
from tests.support.two_models import Reembed, model_of
from winnow.core.principal import LOCAL
from winnow.core.types import Collection, Document
from winnow.models.bundled.language import LanguageChoice
from winnow.models.bundled.offered import OFFERED
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.operations.model_choice import choose_model

ENGLISH = [
    "The shutil module offers a number of high-level operations on files and collections of files.",
    (
        "Copy the file src to the file or directory dst. Both names are strings. If dst is a directory, a file with "
        "the same basename as src is created (or overwritten) in the directory specified."
    ),
    "Microstructural development of human newborn cerebral white matter assessed in vivo by diffusion tensor MRI.",
    "def spans(self, text: str) -> list[tuple[int, int]]: ...  # return the ranges of all tokens",
]
OTHERS = {
    "de": "Das Modul bietet eine Reihe von Funktionen zum Kopieren und Löschen von Dateien und ganzen Verzeichnissen.",
    "tr": "Bu modül, dosyaları ve dizinleri kopyalamak, taşımak ve silmek için çeşitli işlevler sunar.",
    "vi": "Mô-đun này cung cấp nhiều thao tác cấp cao trên tệp và tập hợp các tệp, như sao chép và xóa.",
    "fr": "Ce module propose de nombreuses opérations de haut niveau sur les fichiers et les collections de fichiers.",
    "id": "Modul ini menawarkan sejumlah operasi tingkat tinggi pada berkas, seperti menyalin dan menghapus berkas.",
    "ru": "Модуль предоставляет функции высокого уровня для копирования и удаления файлов.",
    "zh": "该模块提供了许多对文件和文件集合的高级操作，例如复制和删除。",
    "th": "โมดูลนี้มีฟังก์ชันสำหรับคัดลอกและลบไฟล์",
}


@pytest.fixture(scope="module")
def choice() -> LanguageChoice:
    return LanguageChoice()


def test_english_prose_science_and_code_are_known_to_the_english_model(choice: LanguageChoice) -> None:
    assert choice(ENGLISH) == "english"
    for text in ENGLISH:
        assert choice.english_share([text]) == 1, text


@pytest.mark.parametrize("language", OTHERS)
def test_other_languages_are_not_whatever_their_script(choice: LanguageChoice, language: str) -> None:
    assert choice.english_share([OTHERS[language]]) == 0
    assert choice([OTHERS[language]] * 3) == "multilingual"


def test_a_tenth_of_the_text_may_be_foreign(choice: LanguageChoice) -> None:
    assert choice([*ENGLISH * 10, OTHERS["de"]]) == "english"
    assert choice([*ENGLISH, OTHERS["de"], OTHERS["zh"] * 4]) == "multilingual"
    assert choice(["2026-11-28 12:00", "", "42"]) == "english", "what has no letters says nothing"


async def test_docstrings_are_english_whatever_they_name(choice: LanguageChoice) -> None:
    documents = [each async for each in PythonSource().read() if isinstance(each, Document)]
    for begin in range(0, 1000, 100):
        assert choice([f"{each.title}\n{each.text}" for each in documents[begin : begin + 100]]) == "english"


def test_either_choice_has_the_same_index() -> None:
    one, other = OFFERED["english"].info, OFFERED["multilingual"].info
    assert (one.dimensions, one.token_dimensions) == (other.dimensions, other.token_dimensions)


@pytest.fixture
async def built(tmp_path: Path) -> AsyncIterator[Reembed]:
    """A set-up whose first documents take the model ``other``, of other dimensions, where they have an ``ü``."""
    found = Reembed(tmp_path)

    def chooser(texts: Sequence[str]) -> str:
        return "other" if "ü" in "".join(texts) else "default"

    embedders = replace(found.resources.embedders, further={"other": model_of(48)}, next=None)
    found.resources = replace(found.resources, embedders=embedders, chooser=chooser)
    yield found
    await found.store.close()
    await found.catalog.close()


async def made(built: Reembed, **spec: Any) -> Collection:
    return (await ensure_collection(built.resources, LOCAL, "c", CollectionSpec(overlap=0, **spec))).collection


async def test_the_first_documents_choose_and_later_ones_do_not(built: Reembed) -> None:
    open_one = await made(built, max_tokens=40)
    assert (open_one.awaits_model, open_one.serving.identity.model) == (True, "fake-32")
    await choose_model(built.resources, "c", [Document("a", "grün", title="t")])
    await built.catalog.documents.submit("c", [Document("a", "grün")])
    settled = await built.catalog.collections.get("c")
    assert (settled.awaits_model, settled.serving.identity.model) == (False, "fake-48")
    assert settled.serving.identity.dimensions == 48
    await choose_model(built.resources, "c", [Document("b", "plain")])
    assert await built.catalog.collections.get("c") == settled
    assert await made(built, max_tokens=40) == settled, "the same settings are no change"
    assert await made(built, max_tokens=40, model="other") == settled


async def test_the_index_takes_the_size_of_the_chosen_model(built: Reembed) -> None:
    await made(built, max_tokens=32)
    await choose_model(built.resources, "c", [Document("a", "grün")])
    await built.catalog.documents.submit("c", [Document("a", "grün")])
    built.worker = built.worker_of(built.resources.embedders.further["other"])  # type: ignore[arg-type]
    await built.work()
    (points,) = (await built.points(1)).values()
    assert [point.dense.shape for point in points if point.dense is not None] == [(48,)]


async def test_documents_that_the_default_suits_leave_it(built: Reembed) -> None:
    await made(built)
    await choose_model(built.resources, "c", [Document("a", "plain")])
    settled = await built.catalog.collections.get("c")
    assert (settled.awaits_model, settled.serving.identity.model) == (False, "fake-32")


async def test_a_named_model_leaves_nothing_to_choose(built: Reembed) -> None:
    assert not (await made(built, model="default")).awaits_model
    await choose_model(built.resources, "c", [Document("a", "grün")])
    assert (await built.catalog.collections.get("c")).serving.identity.model == "fake-32"


async def test_a_model_may_still_be_named_before_the_first_documents(built: Reembed) -> None:
    await made(built)
    named = await made(built, model="other")
    assert (named.awaits_model, named.serving.identity.model) == (False, "fake-48")
