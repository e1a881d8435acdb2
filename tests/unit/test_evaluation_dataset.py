from __future__ import annotations

import json

import pytest

from winnow.core.errors import InvalidSource
from winnow.evaluation.dataset import Questions, load_dataset, load_questions, save_questions

CORPUS = [{"_id": "a", "title": "Apples", "text": "Red fruit."}, {"_id": "b", "title": "", "text": "Blue\u2028sky."}]
QUERIES = [{"_id": "q1", "text": "red"}, {"_id": "q2", "text": "blue"}, {"_id": "q3", "text": "unjudged"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\ta\t1\nq2\tb\t2\nq2\ta\t0\n"


@pytest.fixture
def folder(tmp_path):
    write_lines(tmp_path / "corpus.jsonl", CORPUS)
    write_lines(tmp_path / "queries.jsonl", QUERIES)
    (tmp_path / "qrels.tsv").write_text(QRELS)
    return tmp_path


def write_lines(path, records):
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def test_reads_documents_queries_and_judgments(folder):
    dataset = load_dataset(folder)
    assert [(item.id, item.title, item.text) for item in dataset.documents] == [
        ("a", "Apples", "Red fruit."),
        ("b", "", "Blue\u2028sky."),
    ]
    assert dataset.name == folder.name
    assert dataset.judgments == {"q1": {"a": 1}, "q2": {"b": 2, "a": 0}}


def test_keeps_only_queries_with_a_relevant_document(folder):
    (folder / "qrels.tsv").write_text("q1\ta\t1\nq2\ta\t0\n")
    assert load_dataset(folder).queries == {"q1": "red"}


def test_reads_judgments_without_a_header_and_windows_line_ends(folder):
    (folder / "qrels.tsv").write_bytes(b"q1\ta\t1\r\n\r\nq2\tb\t1\r\n")
    assert load_dataset(folder).judgments == {"q1": {"a": 1}, "q2": {"b": 1}}


def test_reads_judgments_of_the_test_split(folder):
    (folder / "qrels").mkdir()
    (folder / "qrels.tsv").rename(folder / "qrels" / "test.tsv")
    assert set(load_dataset(folder).judgments) == {"q1", "q2"}


def test_a_title_stands_in_for_a_missing_text_and_an_empty_document_is_left_out(folder):
    write_lines(folder / "corpus.jsonl", [*CORPUS, {"_id": "c", "title": "Only a title"}, {"_id": "d", "text": " "}])
    documents = {item.id: item for item in load_dataset(folder).documents}
    assert set(documents) == {"a", "b", "c"}
    assert (documents["c"].title, documents["c"].text) == ("", "Only a title")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidSource, match=r"nowhere is not a folder: give one that holds corpus\.jsonl"):
        load_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InvalidSource, match=f"{name} is missing"):
        load_dataset(folder)


def test_missing_judgments_are_named(folder):
    (folder / "qrels.tsv").unlink()
    with pytest.raises(InvalidSource, match=r"add qrels\.tsv or qrels/test\.tsv"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("corpus.jsonl", "{oops", r"corpus\.jsonl:3: not JSON"),
        ("corpus.jsonl", "[1]", r"corpus\.jsonl:3: holds list"),
        ("corpus.jsonl", '{"text": "x"}', r"corpus\.jsonl:3: '_id' must be a non-empty string, not None"),
        ("corpus.jsonl", '{"_id": 7, "text": "x"}', r"corpus\.jsonl:3: '_id' must be a non-empty string, not 7"),
        ("corpus.jsonl", '{"_id": "c", "text": 7}', r"corpus\.jsonl:3: 'text' must be a string, not 7"),
        ("corpus.jsonl", '{"_id": "a", "text": "x"}', r"corpus\.jsonl:3: _id 'a' is used twice"),
        ("queries.jsonl", '{"_id": "q1", "text": "x"}', r"queries\.jsonl:4: _id 'q1' is used twice"),
        ("qrels.tsv", "q1 a 1", r"qrels\.tsv:5: 1 column; write query id"),
        ("qrels.tsv", "q1\ta\thigh", r"qrels\.tsv:5: the score 'high' is not a whole number"),
        ("qrels.tsv", "q9\ta\t1", r"qrels\.tsv:5: queries\.jsonl has no query 'q9'"),
        ("qrels.tsv", "q1\tz\t1", r"qrels\.tsv:5: corpus\.jsonl has no document 'z'"),
    ],
)
def test_a_bad_line_is_named_with_file_and_number(folder, name, line, message):
    with (folder / name).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InvalidSource, match=message):
        load_dataset(folder)


def test_judgments_without_a_relevant_document_are_refused(folder):
    (folder / "qrels.tsv").write_text("q1\ta\t0\n")
    with pytest.raises(InvalidSource, match="marks no document as relevant"):
        load_dataset(folder)


def test_a_file_that_is_not_utf8_is_named(folder):
    (folder / "corpus.jsonl").write_bytes(b'{"_id": "a", "text": "caf\xe9"}\n')
    with pytest.raises(InvalidSource, match=r"corpus\.jsonl is not UTF-8"):
        load_dataset(folder)


def test_saved_questions_are_read_again(tmp_path):
    questions = Questions({"q1": "red 😀\u2028\tapple"}, {"q1": {"a": 3, "no such/document": 0}})
    save_questions(questions, tmp_path / "new" / "folder")
    assert load_questions(tmp_path / "new" / "folder") == questions


def test_questions_that_cannot_be_saved_are_refused_with_the_reason(tmp_path):
    with pytest.raises(InvalidSource, match=r"document 'a\\tb' has a tab"):
        save_questions(Questions({"q1": "red"}, {"q1": {"a\tb": 3}}), tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSource, match=r"file cannot be written: .*exists"):
        save_questions(Questions({"q1": "red"}, {"q1": {"a": 3}}), tmp_path / "file")


def test_a_query_without_text_is_left_out_and_named(tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "text": "grain"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "grain"}\n{"_id": "blank", "text": " "}\n')
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\nblank\td\t1\n")
    dataset = load_dataset(tmp_path)
    assert list(dataset.queries) == ["q"]
    assert dataset.blank == ("blank",)
