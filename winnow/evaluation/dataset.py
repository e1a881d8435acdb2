"""Test collections in the BEIR layout: a corpus, queries, and judgments of which document answers which query.

::

    FOLDER/corpus.jsonl     {"_id": "…", "title": "…", "text": "…"}       a line a document
    FOLDER/queries.jsonl    {"_id": "…", "text": "…"}                     a line a query
    FOLDER/qrels.tsv        query-id <tab> corpus-id <tab> score           or FOLDER/qrels/test.tsv; header optional

Layout: https://github.com/beir-cellar/beir/wiki/Load-your-custom-dataset
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winnow.core.errors import InvalidSource
from winnow.core.text import counted
from winnow.core.types import Document

Judgments = Mapping[str, Mapping[str, int]]

CORPUS = "corpus.jsonl"
QUERIES = "queries.jsonl"
UNANSWERABLE = "unanswerable.jsonl"
QRELS = ("qrels.tsv", "qrels/test.tsv")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A checked test collection: every judgment names an existing query and document.

    Attributes:
        documents: those with a text or a title; without either a document can never be found.
        queries: text by id, only queries that have at least one relevant document, in the order of the file.
        judgments: query id -> document id -> grade; 0 is judged and not relevant.
        blank: ids of judged queries without text, which are left out.
    """

    name: str
    documents: tuple[Document, ...]
    queries: Mapping[str, str]
    judgments: Judgments
    blank: tuple[str, ...] = ()


def load_dataset(folder: Path) -> Dataset:
    """Read and check the test collection in ``folder``.

    Raises:
        InvalidSource: a file is missing or a line is invalid; the message names file, line and remedy.
    """
    if not folder.is_dir():
        raise InvalidSource(f"{folder} is not a folder: give one that holds {CORPUS}, {QUERIES} and {QRELS[0]}")
    if not (folder / CORPUS).is_file():
        raise InvalidSource(f"{folder / CORPUS} is missing: a test collection needs {CORPUS}, {QUERIES}, {QRELS[0]}")
    corpus: dict[str, Document] = {}
    for key, place, record in _records(folder / CORPUS, "document"):
        title, text = _string(record, "title", place).strip(), _string(record, "text", place)
        corpus[key] = Document(id=key, text=text, title=title) if text.strip() else Document(id=key, text=title)
    questions, blank = _read_questions(folder, corpus.keys())
    documents = tuple(document for document in corpus.values() if document.text)
    return Dataset(folder.resolve().name, documents, questions.queries, questions.judgments, blank)


@dataclass(frozen=True, slots=True)
class Questions:
    """Queries with their judgments, for documents that are indexed already; attributes as in ``Dataset``."""

    queries: Mapping[str, str]
    judgments: Judgments


def load_questions(folder: Path) -> Questions:
    """Read queries and judgments in ``folder``, which needs no corpus.

    Raises:
        InvalidSource: as ``load_dataset``.
    """
    return _read_questions(folder, None)[0]


def save_questions(questions: Questions, folder: Path) -> None:
    """Write queries and judgments to ``folder``, which ``load_questions`` reads again; the folder is made if needed.

    Raises:
        InvalidSource: a file cannot be written, or an id has a tab or a line break, which the layout cannot hold.
    """
    rows = [(key, document, grade) for key, found in questions.judgments.items() for document, grade in found.items()]
    if wrong := next((document for _, document, _ in rows if set(document) & set("\t\n\r")), None):
        raise InvalidSource(f"document {wrong!r} has a tab or a line break in its id, which {QRELS[0]} cannot hold")
    texts = (json.dumps({"_id": key, "text": text}, ensure_ascii=False) for key, text in questions.queries.items())
    lines = ("query-id\tcorpus-id\tscore", *(f"{key}\t{document}\t{grade}" for key, document, grade in rows))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((QUERIES, texts), (QRELS[0], lines)):
            (folder / name).write_text("".join(f"{line}\n" for line in content), encoding="utf-8")
    except OSError as error:
        raise InvalidSource(f"{error.filename or folder} cannot be written: {error.strerror}") from error


def load_unanswerable(folder: Path) -> Mapping[str, str]:
    """Queries by id in ``folder`` that no document answers, from ``unanswerable.jsonl``; empty without that file.

    Raises:
        InvalidSource: a line is invalid.
    """
    path = folder / UNANSWERABLE
    if not path.is_file():
        return {}
    texts = {key: _string(record, "text", place) for key, place, record in _records(path, "query")}
    return {key: text for key, text in texts.items() if text.strip()}


def _read_questions(folder: Path, documents: Container[str] | None) -> tuple[Questions, tuple[str, ...]]:
    """The queries that have a relevant document, and the ids of those among them without text, which are left out."""
    if not (folder / QUERIES).is_file():
        raise InvalidSource(f"{folder / QUERIES} is missing: queries and judgments need {QUERIES} and {QRELS[0]}")
    qrels = next((path for name in QRELS if (path := folder / name).is_file()), None)
    if qrels is None:
        raise InvalidSource(f"{folder} has no judgments: add {' or '.join(QRELS)}")
    texts = {key: _string(record, "text", place) for key, place, record in _records(folder / QUERIES, "query")}
    judgments = _read_qrels(qrels, texts, documents)
    judged = [key for key in texts if any(grade > 0 for grade in judgments.get(key, {}).values())]
    queries = {key: texts[key] for key in judged if texts[key].strip()}
    if not queries:
        raise InvalidSource(f"{qrels} marks no document as relevant: give at least one line with a score above 0")
    blank = tuple(key for key in judged if key not in queries)
    return Questions(queries, {key: judgments[key] for key in queries}), blank


def _read_qrels(path: Path, queries: Container[str], documents: Container[str] | None) -> dict[str, dict[str, int]]:
    """Grades by query and document; where ``documents`` is ``None`` every document counts as known."""
    judgments: dict[str, dict[str, int]] = {}
    for number, line in _lines(path):
        place = f"{path}:{number}"
        columns = line.split("\t")
        if len(columns) != 3:
            found = counted(len(columns), "column")
            raise InvalidSource(f"{place}: {found}; write query id, document id and score, tab-separated")
        query, document, grade = (column.strip() for column in columns)
        if not grade.removeprefix("-").isdecimal():
            if number == 1:
                continue  # the header
            raise InvalidSource(f"{place}: the score {grade!r} is not a whole number; write 0, 1, 2 …")
        if query not in queries:
            raise InvalidSource(f"{place}: {QUERIES} has no query {query!r}; add the query or remove the line")
        if documents is not None and document not in documents:
            raise InvalidSource(f"{place}: {CORPUS} has no document {document!r}; add the document or remove the line")
        judgments.setdefault(query, {})[document] = int(grade)
    return judgments


def _records(path: Path, noun: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The id of each record, its place for error messages, and the record."""
    seen: set[str] = set()
    for place, record in _json_lines(path):
        key = _string(record, "_id", place, required=True)
        if key in seen:
            raise InvalidSource(f"{place}: _id {key!r} is used twice: give every {noun} its own _id")
        seen.add(key)
        yield key, place, record


def _string(record: Mapping[str, Any], key: str, place: str, *, required: bool = False) -> str:
    value = record.get(key)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise InvalidSource(f"{place}: {key!r} must be a{' non-empty' if required else ''} string, not {value!r}")
    return value


def _json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in _lines(path):
        place = f"{path}:{number}"
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise InvalidSource(f"{place}: not JSON ({error}); write one JSON object a line") from error
        if not isinstance(record, dict):
            raise InvalidSource(f"{place}: holds {type(record).__name__}; write one JSON object a line")
        yield place, record


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if stripped := line.rstrip("\n"):
                    yield number, stripped
    except UnicodeDecodeError as error:
        raise InvalidSource(f"{path} is not UTF-8 ({error}); convert it to UTF-8") from error
    except OSError as error:
        raise InvalidSource(f"{path} cannot be read ({error.strerror}); check its permissions") from error
